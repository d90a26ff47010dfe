"""Parses a webhook call of the collection service: a heartbeat, a result or a failure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from apps.mengla.upstream.wire_json import NotJSON, loads
from apps.mengla.upstream.wire_values import (
    LIST_KEYS,
    MAX_WRAPPERS,
    RESULT_KEYS,
    WRAPPER_KEYS,
    error_text,
    execution_id_in,
    scalar_text,
    wrapped,
)
from apps.mengla.words import FAILED_WITH_STATUS, FAILED_WITHOUT_REASON

# These say that the execution goes on, whatever else the body holds.
HEARTBEAT_STATUSES = frozenset({"running", "sync", "pending", "queued"})
# These say so, too, unless the body has a list.
PROGRESS_STATUSES = frozenset(
    {
        *("inprogress", "progress", "processing", "started", "starting", "working", "waiting", "active"),
        *("created", "accepted", "submitted", "scheduled", "initializing", "executing", "ongoing"),
        "retrying",
    }
)
FINISHED_STATUSES = frozenset(
    {"completed", "complete", "success", "succeeded", "successful", "finished", "finish", "done", "ended"}
)
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
    """One parsed webhook call; ``error_message`` is set for failures and None otherwise.

    ``has_result_key``: the body names a result, which may be empty. Without the key it never counts as empty.
    """

    kind: WebhookKind
    execution_id: str | None
    status: str | None
    result: object
    error_message: str | None
    has_result_key: bool = True

    @property
    def is_unfinished(self) -> bool:
        """Whether the status says that the execution goes on, and no list beside it says otherwise."""
        is_running = _word_of(self.status) in HEARTBEAT_STATUSES | PROGRESS_STATUSES
        return is_running and self.kind is WebhookKind.HEARTBEAT


def parse_webhook(body: dict[str, Any] | list[Any]) -> WebhookMessage:
    """Parse a webhook body; every JSON object or list gives a message, and none raises.

    The message may lie inside ``data``: then the execution id is there. The rules, in this order:

    1. A heartbeat status makes a heartbeat, whatever else the body holds: the execution has not ended.
    2. A failure status, a status that is an HTTP error (400 to 599) or ``success: false`` makes a failure.
    3. An error text without a result makes a failure: as a result it would pass for an empty answer.
    4. A finished status makes a result, even if there is none.
    5. A body without a result makes a heartbeat, whatever its status: it has no result key; or only an object
       in ``data`` that is neither empty nor a result; or a progress status and no list.
    6. Everything else is a result. Unknown words, other numbers and other types of status are ignored.

    A list is a result without a result key.
    """
    if isinstance(body, list):
        return WebhookMessage(WebhookKind.RESULT, None, None, body, None, has_result_key=False)
    data = body.get("data")
    inner = [data] if isinstance(data, dict) else []
    envelopes = [body, *(level for level in inner if execution_id_in(level) is not None)]
    status = next((text for level in envelopes if (text := scalar_text(level.get("status")))), None)
    word = _word_of(status)
    error_message = None
    has_result_key = _has_result_key(envelopes)
    result = _result_in(body)
    if word in HEARTBEAT_STATUSES:
        kind = WebhookKind.HEARTBEAT
    elif _is_failure(envelopes, status, word):
        kind = WebhookKind.FAILURE
        unexplained = FAILED_WITH_STATUS(status=status) if status else FAILED_WITHOUT_REASON()
        error_message = error_text([body, *inner]) or unexplained
    elif word not in FINISHED_STATUSES and (
        not has_result_key
        or _is_progress(envelopes)
        or (word in PROGRESS_STATUSES and not _holds_list(result))
    ):
        kind = WebhookKind.HEARTBEAT
    else:
        kind = WebhookKind.RESULT
    return WebhookMessage(
        kind=kind,
        execution_id=next((found for level in envelopes if (found := execution_id_in(level))), None),
        status=status,
        result=result,
        error_message=error_message,
        has_result_key=has_result_key,
    )


def _word_of(status: str | None) -> str:
    return (status or "").lower().translate(str.maketrans("", "", "-_ "))


def _is_failure(envelopes: Sequence[Mapping[str, Any]], status: str | None, word: str) -> bool:
    if word in FAILURE_STATUSES or any(level.get("success") is False for level in envelopes):
        return True
    if status and status.isascii() and status.isdecimal() and int(status) in HTTP_ERRORS:
        return True
    has_result = not _is_progress(envelopes) and (
        envelopes[-1].get("data") is not None
        or any(level.get("resultData") is not None or _has_list(level) for level in envelopes)
    )
    return not has_result and bool(error_text(envelopes, ("error", "errorMessage")))


def _has_result_key(envelopes: Sequence[Mapping[str, Any]]) -> bool:
    *outer, innermost = envelopes
    # The data of an outer envelope is the inner one.
    return not RESULT_KEYS.isdisjoint(innermost) or any(
        not (RESULT_KEYS - {"data"}).isdisjoint(level) for level in outer
    )


def _is_progress(envelopes: Sequence[Mapping[str, Any]]) -> bool:
    """Whether the only result key is ``data`` and its object holds something else, such as a percentage."""
    *outer, innermost = envelopes
    data = innermost.get("data")
    if not isinstance(data, dict) or not data or not (RESULT_KEYS | {"list", "code"}).isdisjoint(data):
        return False
    return RESULT_KEYS & {*innermost, *(name for level in outer for name in level)} == {"data"}


def _holds_list(node: object) -> bool:
    """Whether a list is found in the result, which may be wrapped and written as text."""
    for _ in range(MAX_WRAPPERS + 1):
        if isinstance(node, str):
            try:
                node = loads(node)
            except NotJSON:
                return False
        if isinstance(node, list):
            return bool(node)
        if not isinstance(node, dict):
            return False
        if _has_list(node):
            return True
        node = wrapped(node)
    return False


def _result_in(body: Mapping[str, Any]) -> object:
    if _has_list(body) or not any(key in body for key in WRAPPER_KEYS):
        return body
    return wrapped(body)


def _has_list(level: Mapping[str, Any]) -> bool:
    return any(level.get(key) is not None for key in LIST_KEYS.values())
