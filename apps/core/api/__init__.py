"""The HTTP frame every app shares: envelope, errors, middleware, schema."""
