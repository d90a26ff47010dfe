"""How callers authenticate: with a bearer token, or with the login form of the admin."""
