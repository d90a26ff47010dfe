"""Migrations of contrib apps and django-q2, generated anew with ObjectId keys (see MIGRATION_MODULES)."""
