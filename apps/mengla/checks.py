"""System checks for rules between several settings."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.core.checks import CheckMessage, Warning, register


@register
def check_collection_service(app_configs: Any, **kwargs: Any) -> list[CheckMessage]:
    """Warn of settings that are valid alone but wrong together."""
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
    return messages
