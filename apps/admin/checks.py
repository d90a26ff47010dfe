"""System checks of settings that depend on each other."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage, Error, Warning, register


@register
def check_alert_webhook(app_configs: Any, **kwargs: Any) -> list[CheckMessage]:
    """Warn that alerts are posted unsigned. In production the process does not start with this warning."""
    if not settings.ALERT_WEBHOOK_URL or settings.ALERT_WEBHOOK_SECRET:
        return []
    return [
        Warning(
            "ALERT_WEBHOOK_URL is set without ALERT_WEBHOOK_SECRET: alerts are posted unsigned.",
            hint="Set ALERT_WEBHOOK_SECRET (or ALERT_WEBHOOK_SECRET_FILE).",
            id="collector.W004",
        )
    ]


@register
def check_alert_urls(app_configs: Any, **kwargs: Any) -> list[CheckMessage]:
    """Refuse addresses of ALERT_URLS that no notice could be sent to, without printing one."""
    from apps.admin.alerts.channels.service_url import configured_urls, is_valid

    urls = configured_urls()
    return [
        Error(
            f"ALERT_URLS: address {number} of {len(urls)} is not an address of apprise.",
            hint="See https://appriseit.com for the form of the service's address.",
            id="collector.E001",
        )
        for number, url in enumerate(urls, start=1)
        if not is_valid(url)
    ]
