"""Sends collections to the collection service, pauses while it is down, cancels and retries collections.

Tasks, doors, `maintenance` and `apps.admin` call it.
"""
