"""Stored records as figures, and how they are found. It writes nothing.

The rooms above call it.
"""
