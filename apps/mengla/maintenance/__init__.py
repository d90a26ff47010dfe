"""What keeps the product in order: the regular tick, and the purge.

Tasks, commands and `apps.admin` call it.
"""
