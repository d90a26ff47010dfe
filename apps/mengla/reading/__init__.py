"""The read path: from a query to figures or a miss, and following a run to its end.

Doors, `runs` and the pages of `apps.admin` call it.
"""
