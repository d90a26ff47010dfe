"""Channels: the signed webhook and each address of ALERT_URLS, and how a notice is sent to one."""
