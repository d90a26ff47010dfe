"""Management commands of the category app."""
