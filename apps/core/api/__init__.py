"""The building blocks of the API: envelope, errors, serializers, parsers, pagination, OpenAPI."""
