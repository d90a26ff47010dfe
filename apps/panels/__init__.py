"""Panels: what the dashboards of clients show, and the tasks that fill them."""
