"""Alerts: the rules, the alerts that they raise, their history, silences, and the notices to a webhook."""
