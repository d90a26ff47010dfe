"""System checks of logins."""

from __future__ import annotations

from importlib.util import find_spec
from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage, Error, register

_PACKAGES = ("joserfc", "cryptography")


@register
def check_oidc_packages(app_configs: Any, **kwargs: Any) -> list[CheckMessage]:
    """Refuse an OpenID provider when the packages that verify its tokens are missing."""
    if not settings.OIDC_ISSUER_URL or all(map(find_spec, _PACKAGES)):
        return []
    return [
        Error(
            "OIDC_ISSUER_URL is set, but the packages for logins by an OpenID provider are missing.",
            hint="Run: pip install --require-hashes -r locked/oidc.txt",
            id="collector.E002",
        )
    ]
