"""What cannot be undone: purges, and the removal of duplicates."""
