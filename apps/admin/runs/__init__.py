"""Sync tasks by hand: starting them, and what they answer."""
