"""Who may use the API: login, API tokens, permissions, and the log of who tried."""
