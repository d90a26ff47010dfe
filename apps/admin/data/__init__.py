"""Deletions, which cannot be undone: the purge, and the removal of duplicates."""
