"""Runs: what a run will collect, its planning, its progress, its end, and the schedules that start one.

Doors, `maintenance` and `apps.admin` call it.
"""
