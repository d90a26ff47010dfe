"""System checks: rules that concern more than one setting."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage, Warning, register


@register
def check_proxy(app_configs: Any, **kwargs: Any) -> list[CheckMessage]:
    """Warn when the settings imply a proxy, but TRUSTED_PROXIES does not name it."""
    if not settings.APP_BASEURL.startswith("https://") or settings.TRUSTED_PROXIES:
        return []
    return [
        Warning(
            "APP_BASEURL is https, so a proxy must terminate TLS, but TRUSTED_PROXIES is not set: all "
            "clients appear to have the address of the proxy, and share one limit of login attempts.",
            hint="Set TRUSTED_PROXIES to the address of the proxy.",
            id="collector.W003",
        )
    ]
