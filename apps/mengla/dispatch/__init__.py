"""The only part that talks to the collection service: sends collections, and stops sending while it is down.

Tasks, doors, `maintenance` and `apps.admin` call it.
"""
