"""Management commands of the panels app."""
