"""The admin as people use it: a real Chromium on a real stack."""
