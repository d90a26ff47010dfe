"""Collections that the service did not take go back into the queue and lose no attempt.

A refusal is the service's fault, so it does not count as an attempt. The pause before the next try grows
with each refusal, so that a single collection that the service always refuses does not delay the others. When
the breaker closes, the pauses end, because the refusals of an outage say nothing about the time after it.
"""

from __future__ import annotations

import random
from datetime import timedelta
from typing import Any

from bson import ObjectId
from django.conf import settings

from apps.core.storage.mongo import collection_of, utc_now
from apps.mengla.choices import AttemptOutcome, CollectionError, CollectionStatus
from apps.mengla.models import Collection
from apps.mengla.queue import ending
from apps.mengla.store import outcomes
from apps.mengla.words import ERRORS

_MIN_PAUSE_SECONDS = 1.0
_MAX_DOUBLINGS = 20
Document = dict[str, Any]


def put_back(
    collection_id: ObjectId,
    *,
    attempt_token: str,
    error: CollectionError,
    message: str,
    outcome: AttemptOutcome = AttemptOutcome.REFUSED,
    must_pause: bool = True,
    retry_after_seconds: float | None = None,
) -> CollectionStatus | None:
    """Put a collection that the service refused back into the queue; the attempt does not count.

    It fails after COLLECT_GIVE_UP_HOURS of refusals, and is cancelled if no reader and no run needs it any
    more. Returns the new status, or None when this attempt is no longer the current one.

    :param outcome: what is kept of the attempt.
    :param must_pause: false if the whole dispatcher pauses instead, so that the order of the queue stays.
    :param retry_after_seconds: the least delay before the next attempt.
    """
    current = ending.find_attempt(collection_id, attempt_token)
    if current is None:
        return None
    now = utc_now()
    refused_since = current.get("refused_since") or now
    refusals = current.get("refusals", 0) + 1
    changes: Document = {
        "attempts": current["attempts"] - 1,
        "refusals": refusals,
        "refused_since": refused_since,
        "has_failed_as_probe": bool(current.get("has_failed_as_probe") or current.get("is_probe")),
        "error_code": error.value,
        **ERRORS.stored(message),
    }
    if now - refused_since >= timedelta(hours=settings.COLLECT_GIVE_UP_HOURS):
        return ending.end_attempt(current, CollectionStatus.FAILED, changes, outcome, reason=error.value)
    if not ending.is_still_requested(current):
        return ending.end_attempt(current, CollectionStatus.CANCELLED, changes, outcome)
    pause_seconds = max(_pause_seconds(refusals) if must_pause else 0.0, retry_after_seconds or 0.0)
    changes |= {"not_before": now + timedelta(seconds=pause_seconds)}
    if not ending.return_to_queue(current, changes, outcome):
        return None
    outcomes.count_retry(current, error.value)
    return CollectionStatus.PENDING


def end_outage() -> None:
    """Make the refused collections due, and forget since when they were refused: the breaker has closed.

    Those that failed as a probe keep their pauses: one of them may be the only cause of what opened it.
    """
    refused: Document = {"status": CollectionStatus.PENDING.value, "refused_since": {"$type": "date"}}
    documents, now = collection_of(Collection), utc_now()
    paused = refused | {"not_before": {"$gt": now}, "has_failed_as_probe": {"$ne": True}}
    documents.update_many(paused, {"$set": {"not_before": now}})
    documents.update_many(refused, {"$set": {"refused_since": None}})


def _pause_seconds(refusals: int) -> float:
    """Return the pause after so many refusals: it doubles, up to twice the breaker's CB_TIMEOUT."""
    first = max(_MIN_PAUSE_SECONDS, settings.COLLECT_RETRY_DELAY_SECONDS)
    longest = max(_MIN_PAUSE_SECONDS, 2 * settings.CB_TIMEOUT)
    seconds = min(longest, first * 2 ** min(refusals - 1, _MAX_DOUBLINGS))
    return float(seconds * random.uniform(0.75, 1.0))  # noqa: S311 - no secret
