"""The management commands of this app, and the modules they share."""
