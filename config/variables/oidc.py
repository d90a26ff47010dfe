"""Declares the environment variables of logins by an OpenID provider, for the whole environment."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from config import parsers
from config.variables.declaration import variable

_DISCOVERY_PATH = "/.well-known/openid-configuration"
_LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})


@dataclass(frozen=True)
class OidcVariables:
    """Which provider logs people in to the admin, and what its groups may do."""

    ADMIN_PASSWORD_LOGIN: bool = variable(
        parsers.boolean,
        default=True,
        help="Let users log in to the admin with a password; can be off when OIDC_ISSUER_URL is set.",
    )
    OIDC_ISSUER_URL: str | None = variable(
        parsers.http_url,
        example="https://login.example.com/realms/staff",
        help="Issuer of the OpenID provider that logs users in to the admin. Unset: only passwords do.",
    )
    OIDC_CLIENT_ID: str | None = variable(
        parsers.text_of(max_length=255),
        example="mengla-collector",
        help="Client ID of this product at the provider; required with OIDC_ISSUER_URL.",
    )
    OIDC_CLIENT_SECRET: str = variable(
        parsers.text_of(max_length=4096),
        default="",
        example="(the client's secret)",
        help="Secret of this client. Unset: it is a public client, which PKCE protects.",
        is_secret=True,
    )
    OIDC_SCOPES: str = variable(
        parsers.scopes,
        default="openid profile email",
        help="Scopes that a login requests, separated by spaces; some providers need one for groups.",
    )
    OIDC_GROUPS_CLAIM: str = variable(
        parsers.text_of(max_length=200),
        default="groups",
        help="Claim with the groups of the user; a dot leads into an object, as in realm_access.roles.",
    )
    OIDC_GROUP_ROLES: tuple[str, ...] = variable(
        parsers.group_roles,
        default=(),
        example="mengla-readers=viewer,mengla-ops=operator,mengla-owners=superuser",
        help=(
            "Which group of the provider gives which group here, separated by commas; superuser gives all "
            "rights. Required with OIDC_ISSUER_URL. A comma in a name is written %2C."
        ),
    )
    OIDC_REQUIRED_GROUP: str = variable(
        parsers.text_of(max_length=200),
        default="",
        example="mengla-users",
        help="Group of the provider that every user must be in. Unset: one of OIDC_GROUP_ROLES is enough.",
    )
    OIDC_CREATE_USERS: bool = variable(
        parsers.boolean,
        default=True,
        help="Create a user at the first login. Off: manage.py oidc_users link lets a user log in.",
    )
    OIDC_SESSION_HOURS: int = variable(
        parsers.integer(minimum=1, maximum=336),
        default=8,
        help="Lifetime of a session that the provider has started, in hours; then it is asked again.",
    )
    OIDC_NAME: str = variable(
        parsers.text_of(max_length=60),
        default="",
        example="Example Corp",
        help="Name of the provider on the button of the login page. Unset: single sign-on.",
    )


def oidc_problems(values: Mapping[str, Any], given: Mapping[str, str]) -> Iterator[str]:
    """Yield what is wrong with the variables of the provider together."""
    issuer = values["OIDC_ISSUER_URL"]
    if issuer is None:
        # Without a provider nobody could log in to the admin.
        if not values["ADMIN_PASSWORD_LOGIN"]:
            yield "ADMIN_PASSWORD_LOGIN must be true without OIDC_ISSUER_URL: nobody could log in"
        return
    for name in ("OIDC_CLIENT_ID", "OIDC_GROUP_ROLES"):
        if name not in given:
            yield f"{name} is missing: it is required with OIDC_ISSUER_URL"
    if issuer.endswith(_DISCOVERY_PATH):
        yield f"OIDC_ISSUER_URL must be the issuer, without {_DISCOVERY_PATH}, which is added to it"
    parts = urlsplit(issuer)
    if values["ENV"] == "production" and parts.scheme != "https" and parts.hostname not in _LOOPBACK:
        yield "OIDC_ISSUER_URL must be https in production: over http, anyone between could log in as anyone"
