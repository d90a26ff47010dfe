"""Why collections failed lately, counted by reason."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from apps.core.storage.mongo import collection_of, utc_now
from apps.mengla.choices import Action, CollectionError, CollectionStatus
from apps.mengla.models import IDENTITY_INDEX, Collection
from apps.mengla.monitoring.hourly import since_text

SPAN_HOURS = 24
MAX_COUNTED = 20_000
MAX_LOOKED_UP = 1_000  # with so many, two queries of a few milliseconds
_ENDED_INDEX = "collection_ended"


@dataclass(frozen=True, slots=True)
class FailureReason:
    """How many collections failed for one reason; ``reason`` is its name in the reader's language.

    ``answered_later``: how many of them have the answer of a later collection; 0 if there are too many to
    look them up.
    """

    code: str
    reason: str
    count: int
    answered_later: int = 0


@dataclass(frozen=True, slots=True)
class RecentFailures:
    """The reasons, the most frequent first; not complete when there were too many failures to count.

    ``since``: from when they are counted, as the list of collections is filtered by it.
    """

    reasons: list[FailureReason]
    is_complete: bool
    since: str


def recent_failures() -> RecentFailures:
    """Count the collections that failed in the last 24 hours by reason, :data:`MAX_COUNTED` at most."""
    since = (utc_now() - timedelta(hours=SPAN_HOURS)).replace(second=0, microsecond=0)
    failed = {
        "action": {"$in": list(Action.values)},
        "status": CollectionStatus.FAILED.value,
        "finished_at": {"$gte": since},
    }
    grouped = collection_of(Collection).aggregate(
        [
            {"$match": failed},
            {"$limit": MAX_COUNTED},
            {"$group": {"_id": "$error_code", "count": {"$sum": 1}}},
            {"$sort": {"count": -1, "_id": 1}},
        ],
        hint=_ENDED_INDEX,
    )
    counts = {row["_id"]: row["count"] for row in grouped}
    total = sum(counts.values())
    answered = _answered_later(failed, since) if 0 < total <= MAX_LOOKED_UP else Counter()
    reasons = [FailureReason(code, _label(code), count, answered[code]) for code, count in counts.items()]
    is_complete = total < MAX_COUNTED
    return RecentFailures(reasons, is_complete, since_text(since))


def _answered_later(failed: Mapping[str, Any], since: datetime) -> Counter[str]:
    """Count by reason the failed collections whose query a later collection has got an answer to."""
    fields = {"identity": 1, "error_code": 1, "finished_at": 1}
    rows = list(collection_of(Collection).find(failed, fields, hint=_ENDED_INDEX).limit(MAX_LOOKED_UP))
    answered = {
        "identity": {"$in": list({row["identity"] for row in rows})},
        "created_at": {"$gte": since},  # a query has only one collection at a time
        "status": {"$in": [CollectionStatus.SUCCEEDED.value, CollectionStatus.EMPTY.value]},
    }
    newest: dict[str, datetime] = {}
    for one in collection_of(Collection).find(
        answered, {"identity": 1, "finished_at": 1}, hint=IDENTITY_INDEX
    ):
        newest[one["identity"]] = max(newest.get(one["identity"], since), one["finished_at"])
    return Counter(
        row["error_code"] for row in rows if newest.get(row["identity"], since) > row["finished_at"]
    )


def _label(code: str) -> str:
    return str(CollectionError(code).label) if code in CollectionError.values else code
