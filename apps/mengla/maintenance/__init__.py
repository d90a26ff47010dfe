"""The upkeep of the product: the one-minute tick, and the purge.

Tasks, commands and `apps.admin` call it.
"""
