"""The way from the former program: its documents become records, and duplicates are removed.

Commands and `apps.admin` call it.
"""
