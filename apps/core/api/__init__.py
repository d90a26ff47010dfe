"""What addresses of the API are made of: envelope, errors, serializers, parsers, pages of lists, OpenAPI."""
