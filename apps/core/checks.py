"""System checks: rules between settings that one variable alone cannot break."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.core.checks import CheckMessage, Warning, register


@register
def check_collection_service(app_configs: Any, **kwargs: Any) -> list[CheckMessage]:
    """Warn of settings that are each valid and do not fit together."""
    messages: list[CheckMessage] = []
    if settings.COLLECT_SERVICE_URL and not settings.COLLECT_SERVICE_API_KEY:
        messages.append(
            Warning(
                "COLLECT_SERVICE_URL is set without COLLECT_SERVICE_API_KEY.",
                hint="Set COLLECT_SERVICE_API_KEY (or COLLECT_SERVICE_API_KEY_FILE).",
                id="collector.W001",
            )
        )
    webhook_host = urlsplit(settings.MENGLA_WEBHOOK_URL).hostname or ""
    service_host = urlsplit(settings.COLLECT_SERVICE_URL or "").hostname
    loopback = {"localhost", "127.0.0.1", "::1"}
    if service_host and service_host not in loopback and webhook_host in loopback:
        messages.append(
            Warning(
                "The webhook address is a loopback address; the collection service cannot reach it.",
                hint="Set APP_BASEURL or MENGLA_WEBHOOK_URL to an address of this server.",
                id="collector.W002",
            )
        )
    if settings.APP_BASEURL.startswith("https://") and not settings.TRUSTED_PROXIES:
        messages.append(
            Warning(
                "APP_BASEURL is https, which a proxy must end, and TRUSTED_PROXIES is not set: all clients "
                "seem to have the address of the proxy, and share one limit of login tries.",
                hint="Set TRUSTED_PROXIES to the address of the proxy.",
                id="collector.W003",
            )
        )
    return messages


@register
def check_alert_webhook(app_configs: Any, **kwargs: Any) -> list[CheckMessage]:
    """Warn of alerts that are posted unsigned; production refuses to start so."""
    if not settings.ALERT_WEBHOOK_URL or settings.ALERT_WEBHOOK_SECRET:
        return []
    return [
        Warning(
            "ALERT_WEBHOOK_URL is set without ALERT_WEBHOOK_SECRET: alerts are posted unsigned.",
            hint="Set ALERT_WEBHOOK_SECRET (or ALERT_WEBHOOK_SECRET_FILE).",
            id="collector.W004",
        )
    ]
