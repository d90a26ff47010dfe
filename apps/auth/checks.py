"""System checks of logins."""

from __future__ import annotations

from importlib.util import find_spec
from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage, Error, Warning, register

_PACKAGES = ("joserfc", "cryptography")
# Whoever sets one of them wants a provider.
_OF_A_PROVIDER = ("OIDC_CLIENT_ID", "OIDC_CLIENT_SECRET", "OIDC_GROUP_ROLES", "OIDC_REQUIRED_GROUP")


@register
def check_oidc_packages(app_configs: Any, **kwargs: Any) -> list[CheckMessage]:
    """Refuse an OpenID provider when the packages that verify its tokens are missing."""
    if not settings.OIDC_ISSUER_URL or all(map(find_spec, _PACKAGES)):
        return []
    return [
        Error(
            "OIDC_ISSUER_URL is set, but the packages for logins by an OpenID provider are missing.",
            hint="Run: pip install --require-hashes -r locked/oidc.txt",
            id="collector.E005",
        )
    ]


@register
def check_oidc_issuer(app_configs: Any, **kwargs: Any) -> list[CheckMessage]:
    """Warn when variables describe an OpenID provider that nobody asks, because it has no address."""
    given = [name for name in _OF_A_PROVIDER if getattr(settings, name)]
    if settings.OIDC_ISSUER_URL or not given:
        return []
    return [
        Warning(
            "OIDC_ISSUER_URL is not set, so users log in with passwords only. "
            f"Without effect: {', '.join(given)}.",
            hint="Set OIDC_ISSUER_URL, or unset these.",
            id="collector.W011",
        )
    ]
