"""The version of the product: pyproject.toml, the API, metrics and backups take it from here."""

VERSION = "1.0.0"
