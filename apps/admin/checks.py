"""System checks: rules between settings that one variable alone cannot break."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage, Warning, register


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
