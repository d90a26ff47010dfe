"""Sends an alert event to the receiver at ALERT_WEBHOOK_URL, as one signed POST.

The address may contain a credential, so it is never logged.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

from django.conf import settings

from apps.admin.alerts.channels.base import (
    TIMEOUT_SECONDS,
    TOTAL_SECONDS,
    NotDeliveredError,
    refusal,
    send_in_time,
)
from apps.admin.alerts.channels.notice_text import evidence_address, page_address
from apps.admin.choices import AlertEventKind, AlertStatus
from apps.core.api.envelope import JSON_CONTENT_TYPE, dump_json
from apps.core.signing import SIGNATURE_HEADER, sign

_STATUSES = {
    AlertEventKind.FIRED.value: AlertStatus.FIRING.value,
    AlertEventKind.RESOLVED.value: AlertStatus.RESOLVED.value,
}


def post_notice(notice_id: str, event: Mapping[str, Any]) -> None:
    """Post one event; waits for the status of the response, not for its body.

    :raises NotDeliveredError: when the receiver does not respond in time, or not with a 2xx.
    """
    kind = event["kind"]
    body = dump_json(
        {
            "id": notice_id,
            "status": _STATUSES.get(kind, kind),
            "rule": event["rule"],
            "action": event["action"],
            "severity": event["severity"],
            "message": event["message"],
            "value": event["value"],
            "threshold": event["threshold"],
            "at": event["at"],
            "source": settings.APP_BASEURL,
            "url": page_address(event),
            "evidence_url": evidence_address(event),
        }
    )
    headers = {"Content-Type": JSON_CONTENT_TYPE, "User-Agent": "mengla-collector"}
    if settings.ALERT_WEBHOOK_SECRET:
        headers[SIGNATURE_HEADER] = sign(body, settings.ALERT_WEBHOOK_SECRET)
    send_in_time(partial(_send, body, headers), seconds=TOTAL_SECONDS)


def _send(body: bytes, headers: Mapping[str, str]) -> NotDeliveredError | None:
    """Send the notice; returns the error when that fails."""
    import httpx  # web processes hardly ever send notices

    try:
        with (
            httpx.Client(timeout=TIMEOUT_SECONDS, trust_env=False) as client,
            client.stream(
                "POST", settings.ALERT_WEBHOOK_URL or "", content=body, headers=headers
            ) as response,
        ):
            return None if response.is_success else refusal(response.status_code)
    except Exception as error:  # noqa: BLE001 - after any error the notice counts as not delivered
        return NotDeliveredError(type(error).__name__)
