"""Bulk exports: the stored figures of many categories and periods as one file; it collects nothing.

Doors and the pages of `apps.admin` call it.
"""
