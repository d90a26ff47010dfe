"""Describes bearer tokens in the OpenAPI document."""

from __future__ import annotations

from typing import Any

from drf_spectacular.extensions import OpenApiAuthenticationExtension


class BearerAuthenticationScheme(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]
    """Lets the page of the API documentation send a login token or an API token."""

    target_class = "apps.auth.entry.authentication.BearerAuthentication"
    name = "bearerAuth"

    def get_security_definition(self, auto_schema: Any) -> dict[str, Any]:
        """Return OpenAPI's description of the scheme."""
        return {
            "type": "http",
            "scheme": "bearer",
            "description": "The token of `POST /api/auth/login` or of `POST /api/auth/generate-token`.",
        }
