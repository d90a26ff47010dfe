"""Access to the API: login, API tokens, permissions, and the audit log of logins."""
