"""The attempts at a collection, as its document keeps them (written by ``queue/attempt_log.py``)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from apps.core.time_texts import seconds_between
from apps.mengla.choices import AttemptOutcome, CollectionError, CollectionStatus, EmptyReason
from apps.mengla.words import ERRORS

FIELDS = {"attempt_log": 1, "status": 1, "dispatched_at": 1, "execution_id": 1}
_REASONS = dict(CollectionError.choices) | dict(EmptyReason.choices)


@dataclass(frozen=True, slots=True)
class Attempt:
    """One attempt at a collection. Instants are UTC without zone.

    ``started_at`` is None for a late answer, ``ended_at`` while the attempt is in progress. ``reason`` is the
    code of an error or of an empty answer, or empty. ``message`` is in the user's language.
    """

    started_at: datetime | None
    ended_at: datetime | None
    outcome: AttemptOutcome
    reason: str
    message: str
    execution_id: str

    @property
    def seconds(self) -> float | None:
        """How long it took; None while it is in progress, and for a late answer."""
        if self.started_at is None or self.ended_at is None:
            return None
        return seconds_between(self.started_at, self.ended_at)

    @property
    def reason_name(self) -> str:
        """The reason in the user's language; an unknown code is returned unchanged."""
        return str(_REASONS.get(self.reason, self.reason))


def attempts_of(collection: Mapping[str, Any]) -> list[Attempt]:
    """Return the attempts that the document keeps, the newest first; the first may be in progress.

    A document of an earlier version keeps none. The document has at least the fields in :data:`FIELDS`.
    """
    attempts = [_attempt(entry) for entry in reversed(collection.get("attempt_log") or [])]
    execution_id, sent_at = collection["execution_id"], collection["dispatched_at"]
    if collection["status"] == CollectionStatus.DISPATCHED:
        current = Attempt(sent_at, None, AttemptOutcome.IN_PROGRESS, "", "", execution_id)
        return [current, *attempts]
    return attempts


def _attempt(entry: Mapping[str, Any]) -> Attempt:
    return Attempt(
        started_at=entry["started_at"],
        ended_at=entry["ended_at"],
        outcome=AttemptOutcome(entry["outcome"]),
        reason=entry.get("error_code") or entry.get("empty_reason") or "",
        message=ERRORS.shown({"error_message": "", **entry}),
        execution_id=entry["execution_id"],
    )
