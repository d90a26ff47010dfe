"""The channels that this process knows from its settings."""

from __future__ import annotations

from functools import partial
from urllib.parse import urlsplit

from django.conf import settings

from apps.admin.alerts.channels import webhook
from apps.admin.alerts.channels.base import Channel
from apps.admin.alerts.channels.service_url import channel_ids, configured_urls, send_notice

WEBHOOK = "webhook"


def list_channels() -> list[Channel]:
    """Return every configured channel: the signed webhook, then each address of ALERT_URLS."""
    channels = []
    if settings.ALERT_WEBHOOK_URL:
        channels.append(Channel(WEBHOOK, _webhook_label(settings.ALERT_WEBHOOK_URL), webhook.post_notice))
    for url in configured_urls():
        name, *others = channel_ids(url)
        channels.append(Channel(name, name, partial(send_notice, url), tuple(others)))
    return channels


def _webhook_label(url: str) -> str:
    try:
        host = urlsplit(url).hostname
    except ValueError:
        host = None
    return f"{WEBHOOK} ({host})" if host else WEBHOOK
