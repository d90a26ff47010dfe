"""What every page of the admin is made of: the base of model admins, pagers, filters, the history log."""
