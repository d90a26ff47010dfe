"""What operators watch: the queue, the requests in flight, the counts of a day, the newest records.

Reads only. Every search is bounded and uses an index, so that it stays fast while the queue is long.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from itertools import takewhile
from typing import Any

from pymongo import ASCENDING, DESCENDING

from apps.core import market_clock
from apps.core.storage.mongo import collection_of, utc_now
from apps.core.time_texts import seconds_between
from apps.mengla.choices import Action, CollectionStatus, Priority
from apps.mengla.models import ANSWERED_INDEX, Collection, Record

MAX_IN_FLIGHT_SHOWN = 100
MAX_STREAK = 100
_STREAK_WINDOW = timedelta(days=7)
RECENT_RECORDS = 20
Document = dict[str, Any]


@dataclass(frozen=True, slots=True)
class QueueDepth:
    """How many collections are pending and in flight, and how old the oldest pending ones are, in seconds.

    An age is None when no collection is pending. Priorities are named as in the API.
    """

    pending: int
    by_priority: dict[str, int]
    oldest_seconds_by_priority: dict[str, float | None]
    in_flight: int
    oldest_pending_seconds: float | None


def queue_depth() -> QueueDepth:
    """Count the queue."""
    collections = collection_of(Collection)
    grouped = collections.aggregate(
        [
            {"$match": {"status": CollectionStatus.PENDING.value}},
            {"$group": {"_id": "$priority", "count": {"$sum": 1}, "oldest_at": {"$min": "$created_at"}}},
        ]
    )
    rows = {row["_id"]: row for row in grouped}
    by_priority = {
        priority.name.lower(): int(rows[priority.value]["count"]) if priority.value in rows else 0
        for priority in Priority
    }
    oldest = {
        priority.name.lower(): _seconds_since(rows[priority.value]["oldest_at"])
        if priority.value in rows
        else None
        for priority in Priority
    }
    return QueueDepth(
        pending=sum(row["count"] for row in rows.values()),
        by_priority=by_priority,
        oldest_seconds_by_priority=oldest,
        in_flight=collections.count_documents({"status": CollectionStatus.DISPATCHED.value}),
        oldest_pending_seconds=max((one for one in oldest.values() if one is not None), default=None),
    )


def list_in_flight() -> list[Document]:
    """Return the collections the collection service is working on, the oldest first."""
    now = utc_now()
    found = (
        collection_of(Collection)
        .find({"status": CollectionStatus.DISPATCHED.value})
        .sort("dispatched_at", ASCENDING)
        .limit(MAX_IN_FLIGHT_SHOWN)
    )
    return [
        {
            "id": str(one["_id"]),
            "identity": one["identity"],
            "priority": one["priority"],
            "attempts": one["attempts"],
            "dispatched_at": one["dispatched_at"],
            "lease_until": one["lease_until"],
            "is_overdue": one["lease_until"] is not None and one["lease_until"] < now,
        }
        for one in found
    ]


def day_counts(day: date) -> dict[str, dict[str, int]]:
    """Count, by action, the collections that ended on a day of the market and the records written on it."""
    begin, end = market_clock.midnight(day), market_clock.midnight(day + timedelta(days=1))
    counts = {
        action.value: {"succeeded": 0, "empty": 0, "failed": 0, "cancelled": 0, "records": 0}
        for action in Action
    }
    ended = collection_of(Collection).aggregate(
        [
            {"$match": {"finished_at": {"$gte": begin, "$lt": end}}},
            {"$group": {"_id": {"action": "$action", "status": "$status"}, "count": {"$sum": 1}}},
        ]
    )
    for row in ended:
        of_action = counts.get(row["_id"]["action"], {})
        if row["_id"]["status"].lower() in of_action:
            of_action[row["_id"]["status"].lower()] = row["count"]
    # The key begins with the action: MongoDB counts from the index, without reading the figures.
    written = collection_of(Record).aggregate(
        [
            {"$match": {"updated_at": {"$gte": begin, "$lt": end}}},
            {"$project": {"updated_at": 1}},
            {"$group": {"_id": {"$first": {"$split": ["$_id", ":"]}}, "count": {"$sum": 1}}},
        ]
    )
    for row in written:
        if row["_id"] in counts:
            counts[row["_id"]]["records"] = row["count"]
    return counts


def empty_streaks() -> dict[str, int]:
    """Return, by action, how many of the newest answers in a row were empty: of a week, up to a hundred.

    A collection that ended without a request to the service does not count.
    """
    return {action.value: _empty_streak(action) for action in Action}


def list_recent_records(*, limit: int = RECENT_RECORDS) -> list[Document]:
    """Return the newest records, without their figures."""
    wanted = {"is_empty": 1, "empty_reason": 1, "collected_at": 1, "updated_at": 1, "collect_duration_ms": 1}
    found = (
        collection_of(Record)
        .find({}, wanted)
        .sort([("updated_at", DESCENDING), ("_id", DESCENDING)])
        .limit(limit)
    )
    return [_renamed(document) for document in found]


def _empty_streak(action: Action) -> int:
    # Exactly what the index holds: collections that the service has answered.
    answered = [CollectionStatus.SUCCEEDED.value, CollectionStatus.EMPTY.value]
    found = (
        collection_of(Collection)
        .find(
            {
                "action": action.value,
                "status": {"$in": answered},
                "execution_id": {"$gt": ""},
                "finished_at": {"$gte": utc_now() - _STREAK_WINDOW},
            },
            {"status": 1},
        )
        .sort("finished_at", DESCENDING)
        .hint(ANSWERED_INDEX)
        .limit(MAX_STREAK)
    )
    return sum(1 for _ in takewhile(lambda one: one["status"] == CollectionStatus.EMPTY, found))


def _seconds_since(instant: datetime) -> float:
    return round(seconds_between(instant, utc_now()), 1)


def _renamed(document: Mapping[str, Any]) -> Document:
    return {"id": document["_id"], **{name: value for name, value in document.items() if name != "_id"}}
