"""Alerts: rules that judge the installation, what they found, and whom it is told."""
