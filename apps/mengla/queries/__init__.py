"""Queries, their parameters, the plans of runs, and how long figures are fresh.

Pure functions without MongoDB; every room calls them.
"""
