"""Logins by an OpenID provider that runs in a process of its own."""
