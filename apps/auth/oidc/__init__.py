"""Logins by an OpenID provider: the protocol, what its groups may do here, the identities of users."""
