"""Starts the product and the servers that it needs; no other app imports it."""
