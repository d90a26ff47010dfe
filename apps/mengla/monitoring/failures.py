"""Why collections failed lately, counted by reason."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from apps.core.storage.mongo import collection_of, utc_now
from apps.mengla.choices import Action, CollectionError, CollectionStatus
from apps.mengla.models import Collection

SPAN_HOURS = 24
MAX_COUNTED = 20_000
_ENDED_INDEX = "collection_ended"


@dataclass(frozen=True, slots=True)
class FailureReason:
    """How many collections failed for one reason; ``reason`` is its name in the reader's language."""

    code: str
    reason: str
    count: int


@dataclass(frozen=True, slots=True)
class RecentFailures:
    """The reasons, the most frequent first; not complete when there were too many failures to count."""

    reasons: list[FailureReason]
    is_complete: bool


def recent_failures() -> RecentFailures:
    """Count the collections that failed in the last 24 hours by reason, :data:`MAX_COUNTED` at most."""
    failed = {
        "action": {"$in": list(Action.values)},
        "status": CollectionStatus.FAILED.value,
        "finished_at": {"$gte": utc_now() - timedelta(hours=SPAN_HOURS)},
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
    reasons = [FailureReason(row["_id"], _label(row["_id"]), row["count"]) for row in grouped]
    return RecentFailures(reasons, is_complete=sum(one.count for one in reasons) < MAX_COUNTED)


def _label(code: str) -> str:
    return str(CollectionError(code).label) if code in CollectionError.values else code
