"""What every page of the admin is made of: the base of model admins, pagers, rights, operations."""
