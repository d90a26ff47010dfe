"""What a collection keeps of its attempts: the newest ones, each with its start, end, outcome and reason.

An entry is part of the update that ends the attempt, so it costs no operation of its own. It has no attempt
token. ``attempts`` and ``refusals`` count all attempts, also those that are no longer kept.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from apps.mengla.choices import AttemptOutcome, CollectionStatus

MAX_KEPT = 20
_REASON_FIELDS = ("error_code", "error_message", "error_message_parts", "empty_reason")
Document = dict[str, Any]


def with_entry(
    changes: Document, outcome: AttemptOutcome, *, ended_at: datetime, attempt_token: str | None = None
) -> list[Document]:
    """Return the update (an aggregation pipeline) that makes the changes and logs the end of an attempt.

    :param changes: the values of fields. Those that say why the attempt has no figures are logged, too.
    :param ended_at: UTC without zone.
    :param attempt_token: of the attempt that ended; None for the current one. The answer to an earlier
        attempt is late, and when that one was sent is not known.
    """
    is_current: Any = {"$eq": ["$status", CollectionStatus.DISPATCHED.value]}
    if attempt_token is not None:
        is_current = {"$and": [is_current, {"$eq": ["$attempt_token", {"$literal": attempt_token}]}]}
    reasons = {name: {"$literal": changes[name]} for name in _REASON_FIELDS if changes.get(name)}
    entry = reasons | {
        "started_at": {"$cond": [is_current, "$dispatched_at", None]},
        "ended_at": ended_at,
        "outcome": {"$cond": [is_current, outcome.value, AttemptOutcome.ANSWERED_LATE.value]},
        "execution_id": {"$cond": [is_current, "$execution_id", ""]},
    }
    # A document of an earlier version has no log.
    log = {"$concatArrays": [{"$ifNull": ["$attempt_log", []]}, [entry]]}
    values = {name: {"$literal": value} for name, value in changes.items()}
    return [{"$set": values | {"attempt_log": {"$slice": [log, -MAX_KEPT]}}}]
