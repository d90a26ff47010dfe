"""The queue of collections and their states. The only writer of collections.

The rooms above call it.
"""
