"""The collections: their states, and the work that waits. The only writer of collections.

Every room above calls it; it knows none of them.
"""
