"""Counts and durations: as JSON for operators, and in the text format of Prometheus."""
