"""The category tree: its import from a file, and its reads."""
