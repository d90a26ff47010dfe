"""The upkeep of the product: the one-minute tick, the watch for its work, and the purge.

Tasks, commands and `apps.admin` call it.
"""
