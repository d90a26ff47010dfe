"""Parses a webhook call of the collection service: a heartbeat, a result or a failure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from apps.mengla.upstream.wire_values import (
    LIST_KEYS,
    WRAPPER_KEYS,
    error_text,
    execution_id_in,
    scalar_text,
    wrapped,
)
from apps.mengla.words import FAILED_WITH_STATUS, FAILED_WITHOUT_REASON

HEARTBEAT_STATUSES = frozenset({"running", "sync", "pending", "queued"})
FAILURE_STATUSES = frozenset(
    {
        *("failed", "failure", "fail", "error", "errored", "rejected", "crashed"),
        *("cancelled", "canceled", "aborted", "killed", "terminated", "timeout", "timedout"),
    }
)
HTTP_ERRORS = range(400, 600)


class WebhookKind(StrEnum):
    """The kinds of webhook calls."""

    HEARTBEAT = "heartbeat"
    RESULT = "result"
    FAILURE = "failure"


@dataclass(frozen=True, slots=True)
class WebhookMessage:
    """One parsed webhook call; ``error_message`` is set for failures and None otherwise."""

    kind: WebhookKind
    execution_id: str | None
    status: str | None
    result: object
    error_message: str | None


def parse_webhook(body: dict[str, Any]) -> WebhookMessage:
    """Parse a webhook body; every JSON object gives a message, and none raises.

    The message may lie inside ``data``: then the execution id is there. The rules, in this order:

    1. A heartbeat status makes a heartbeat, whatever else the body holds: the execution has not ended.
    2. A failure status, a status that is an HTTP error (400 to 599) or ``success: false`` makes a failure.
    3. An error text without a result makes a failure: as a result it would pass for an empty answer.
    4. Everything else is a result. Unknown words, other numbers and other types of status are ignored.
    """
    data = body.get("data")
    inner = [data] if isinstance(data, dict) else []
    envelopes = [body, *(level for level in inner if execution_id_in(level) is not None)]
    status = next((text for level in envelopes if (text := scalar_text(level.get("status")))), None)
    word = (status or "").lower().translate(str.maketrans("", "", "-_ "))
    error_message = None
    if word in HEARTBEAT_STATUSES:
        kind = WebhookKind.HEARTBEAT
    elif _is_failure(envelopes, status, word):
        kind = WebhookKind.FAILURE
        unexplained = FAILED_WITH_STATUS(status=status) if status else FAILED_WITHOUT_REASON()
        error_message = error_text([body, *inner]) or unexplained
    else:
        kind = WebhookKind.RESULT
    return WebhookMessage(
        kind=kind,
        execution_id=next((found for level in envelopes if (found := execution_id_in(level))), None),
        status=status,
        result=_result_in(body),
        error_message=error_message,
    )


def _is_failure(envelopes: Sequence[Mapping[str, Any]], status: str | None, word: str) -> bool:
    if word in FAILURE_STATUSES or any(level.get("success") is False for level in envelopes):
        return True
    if status and status.isascii() and status.isdecimal() and int(status) in HTTP_ERRORS:
        return True
    has_result = envelopes[-1].get("data") is not None or any(
        level.get("resultData") is not None or _has_list(level) for level in envelopes
    )
    return not has_result and bool(error_text(envelopes, ("error", "errorMessage")))


def _result_in(body: Mapping[str, Any]) -> object:
    if _has_list(body) or not any(key in body for key in WRAPPER_KEYS):
        return body
    return wrapped(body)


def _has_list(level: Mapping[str, Any]) -> bool:
    return any(level.get(key) is not None for key in LIST_KEYS.values())
