"""Sends an alert event to the receiver at ALERT_WEBHOOK_URL, as one signed POST.

The address may contain a credential, so it is never logged.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

from django.conf import settings

from apps.admin.choices import AlertEventKind, AlertStatus
from apps.core.api.envelope import JSON_CONTENT_TYPE, dump_json
from apps.core.liveness.bounded_reads import call_all
from apps.core.signing import SIGNATURE_HEADER, sign

TIMEOUT_SECONDS = 5.0
TOTAL_SECONDS = 10.0
_CLIENT_ERRORS = range(400, 500)
_RETRYABLE = frozenset({408, 429})  # timeout, too many requests
_STATUSES = {
    AlertEventKind.FIRED.value: AlertStatus.FIRING.value,
    AlertEventKind.RESOLVED.value: AlertStatus.RESOLVED.value,
}


class NotDeliveredError(Exception):
    """The receiver did not accept the notice; the text is the reason, without the receiver's address.

    ``is_permanent``: the receiver would refuse the same notice again.
    """

    def __init__(self, reason: str, *, is_permanent: bool = False) -> None:
        super().__init__(reason)
        self.is_permanent = is_permanent


def post_notice(notice_id: str, event: Mapping[str, Any]) -> None:
    """Post one event; waits for the status of the response, not for its body.

    :raises NotDeliveredError: when the receiver does not respond in time, or not with a 2xx.
    """
    body = dump_json(
        {
            "id": notice_id,
            "status": _STATUSES[event["kind"]],
            "rule": event["rule"],
            "action": event["action"],
            "severity": event["severity"],
            "message": event["message"],
            "value": event["value"],
            "threshold": event["threshold"],
            "at": event["at"],
            "source": settings.APP_BASEURL,
        }
    )
    headers = {"Content-Type": JSON_CONTENT_TYPE, "User-Agent": "mengla-collector"}
    if settings.ALERT_WEBHOOK_SECRET:
        headers[SIGNATURE_HEADER] = sign(body, settings.ALERT_WEBHOOK_SECRET)
    # httpx limits the wait for each byte, not for the whole response: a slow name server, or a receiver that
    # sends byte by byte, would block a worker forever.
    problem = call_all(
        {"receiver": partial(_send, body, headers)},
        deadline_seconds=TOTAL_SECONDS,
        late=lambda _name: NotDeliveredError("no answer in time"),
    )["receiver"]
    if problem is not None:
        raise problem


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
            status = response.status_code
            if response.is_success:
                return None
            is_permanent = status in _CLIENT_ERRORS and status not in _RETRYABLE
            return NotDeliveredError(f"status {status}", is_permanent=is_permanent)
    except Exception as error:  # noqa: BLE001 - after any error the notice counts as not delivered
        return NotDeliveredError(type(error).__name__)
