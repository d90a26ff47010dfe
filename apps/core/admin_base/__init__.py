"""The building blocks of the admin: model admins, pagers, permissions, operations, error pages."""
