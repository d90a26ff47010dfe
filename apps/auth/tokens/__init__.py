"""Tokens: their text, and what is remembered of their bearers."""
