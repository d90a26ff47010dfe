"""Migrations of contrib apps and django-q2, generated with ObjectId keys (see MIGRATION_MODULES)."""
