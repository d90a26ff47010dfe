"""Passwords: what they may look like, how often one may be tried, and how many are hashed at once."""
