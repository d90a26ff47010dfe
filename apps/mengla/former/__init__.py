"""Imports the documents of the former program as records, and removes duplicates.

Commands and `apps.admin` call it.
"""
