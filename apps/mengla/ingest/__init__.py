"""Turns the collection service's answers into records and notifies the caches. The only writer of records.

Webhooks call it, and the rooms above that write or delete records.
"""
