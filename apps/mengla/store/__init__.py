"""Finds records and builds figures from them; counts outcomes. It writes no record and no collection.

The rooms above call it.
"""
