"""System checks of settings that depend on each other."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage, Warning, register


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
