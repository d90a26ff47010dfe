"""System checks for rules between several settings."""

from __future__ import annotations

from datetime import UTC, date, timedelta
from ipaddress import ip_address
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.core.checks import CheckMessage, Warning, register

from apps.core import market_clock
from apps.core.scheduling.schedules import next_run_of

_CRONS = ("CRON_DAILY_COLLECT", "CRON_MONTHLY_COLLECT", "CRON_QUARTERLY_COLLECT", "CRON_YEARLY_COLLECT")
_END_OF_ALL = date(2026, 1, 1)  # a day, a month, a quarter and a year end at its midnight


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
    if settings.ENV == "production" and _is_plain_and_public(settings.MENGLA_WEBHOOK_URL):
        messages.append(
            Warning(
                "The webhook has a public http address: figures can be read on their way.",
                hint="Set APP_BASEURL or MENGLA_WEBHOOK_URL to an https address.",
                id="collector.W009",
            )
        )
    return [*messages, *_early_schedules()]


def _is_plain_and_public(url: str) -> bool:
    """Whether a URL is http and its host may be outside of the local network."""
    parts = urlsplit(url)
    host = parts.hostname or ""
    try:
        is_public = ip_address(host).is_global
    except ValueError:
        is_public = "." in host
    return parts.scheme == "http" and is_public


def _early_schedules() -> list[CheckMessage]:
    """Warn of schedules that collect a period before its figures are final."""
    end = market_clock.midnight(_END_OF_ALL)
    final_at = (end + timedelta(hours=settings.SETTLE_HOURS)).astimezone(UTC).replace(tzinfo=None)
    return [
        Warning(
            f"{name} fires before the figures of the period are final (SETTLE_HOURS).",
            hint="Let it fire later: what it collects is provisional, and is collected again.",
            id="collector.W005",
        )
        for name in _CRONS
        if next_run_of(getattr(settings, name), after=end - timedelta(microseconds=1)) < final_at
    ]
