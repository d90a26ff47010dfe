"""System checks: rules between settings that one variable alone cannot break."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage, Warning, register


@register
def check_proxy(app_configs: Any, **kwargs: Any) -> list[CheckMessage]:
    """Warn of a proxy that the settings imply and do not name."""
    if not settings.APP_BASEURL.startswith("https://") or settings.TRUSTED_PROXIES:
        return []
    return [
        Warning(
            "APP_BASEURL is https, which a proxy must end, and TRUSTED_PROXIES is not set: all clients "
            "seem to have the address of the proxy, and share one limit of login tries.",
            hint="Set TRUSTED_PROXIES to the address of the proxy.",
            id="collector.W003",
        )
    ]
