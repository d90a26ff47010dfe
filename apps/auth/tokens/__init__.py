"""Tokens: their text, and the cache of their callers."""
