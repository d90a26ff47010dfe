"""System checks: rules that concern more than one setting."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage, Warning, register


@register
def check_environment(app_configs: Any, **kwargs: Any) -> list[CheckMessage]:
    """Warn of variables that are set but mean something else than it seems."""
    return [Warning(note, id="collector.W006") for note in settings.ENVIRONMENT_NOTES]


@register
def check_hosts(app_configs: Any, **kwargs: Any) -> list[CheckMessage]:
    """Warn when a production installation answers to every host name."""
    if settings.ENV != "production" or "*" not in settings.ALLOWED_HOSTS:
        return []
    return [
        Warning(
            "ALLOWED_HOSTS=* in production: requests with a made-up Host header are answered, so links and "
            "cached pages can be made to lead to another server.",
            hint="Name the hosts at which clients reach this server, such as www.example.com.",
            id="collector.W007",
        )
    ]


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
