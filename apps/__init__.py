"""The domain apps of MengLa Collector; which may import which is checked by import-linter."""
