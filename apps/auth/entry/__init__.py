"""How a request shows who sends it: a bearer token, or the login form of the admin."""
