"""What operators watch: the queue, the requests in flight, the counts of a day, the newest records.

Reads only. Every search is bounded and uses an index, so that it stays fast while the queue is long.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from itertools import product, takewhile
from typing import Any, cast

from pymongo import ASCENDING, DESCENDING

from apps.core import market_clock
from apps.core.storage.mongo import collection_of, count_each, utc_now
from apps.core.time_texts import seconds_between
from apps.mengla.choices import ACTIVE_STATUSES, FINAL_STATUSES, Action, CollectionStatus, Priority
from apps.mengla.models import ANSWERED_INDEX, ANY_KIND, EXPIRY_INDEX, KIND_INDEX, Collection, Record

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
    pending = [
        {"status": CollectionStatus.PENDING.value, "priority": priority.value} for priority in Priority
    ]
    *counts, in_flight = count_each(collections, [*pending, {"status": CollectionStatus.DISPATCHED.value}])
    names = [priority.name.lower() for priority in Priority]
    ages = [oldest_seconds(priority) for priority in Priority]
    rounded = [None if seconds is None else round(seconds, 1) for seconds in ages]
    return QueueDepth(
        pending=sum(counts),
        by_priority=dict(zip(names, counts, strict=True)),
        oldest_seconds_by_priority=dict(zip(names, rounded, strict=True)),
        in_flight=in_flight,
        oldest_pending_seconds=max((one for one in rounded if one is not None), default=None),
    )


def oldest_seconds(priority: Priority) -> float | None:
    """Return how long the oldest pending collection of this priority has waited, None if none is pending."""
    oldest = collection_of(Collection).find_one(
        {"status": CollectionStatus.PENDING.value, "priority": priority.value},
        {"created_at": 1},
        sort=[("created_at", ASCENDING)],
    )
    return None if oldest is None else seconds_between(oldest["created_at"], utc_now())


def is_any_under_way(actions: Iterable[Action]) -> bool:
    """Whether any collection of these data sets is pending or dispatched."""
    under_way = {
        "status": {"$in": [status.value for status in ACTIVE_STATUSES]},
        "action": {"$in": [action.value for action in actions]},
    }
    # One of the other indexes on the status would read all that wait of the other data sets.
    return collection_of(Collection).find_one(under_way, {"_id": 1}, hint=KIND_INDEX) is not None


def last_end() -> datetime | None:
    """Return when a collection ended last (UTC without zone), None if none has ended."""
    newest = collection_of(Collection).find_one(
        {"finished_at": {"$gt": datetime.min}},
        {"finished_at": 1},
        sort=[("finished_at", DESCENDING)],
        hint=EXPIRY_INDEX,
    )
    return None if newest is None else cast("datetime", newest["finished_at"])


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
    within = {"$gte": market_clock.midnight(day), "$lt": market_clock.midnight(day + timedelta(days=1))}
    # Each filter is the beginning of an index, so that only keys of this day are counted: there may be many.
    ends = list(product(Action.values, [status.value for status in FINAL_STATUSES]))
    ended = count_each(
        collection_of(Collection),
        [{"action": action, "status": status, "finished_at": within} for action, status in ends],
    )
    kinds = list(product(*ANY_KIND.values()))
    written = count_each(
        collection_of(Record),
        [dict(zip(ANY_KIND, kind, strict=True)) | {"updated_at": within} for kind in kinds],
    )
    counts: dict[str, dict[str, int]] = {action: {} for action in Action.values}
    for (action, status), count in zip(ends, ended, strict=True):
        counts[action][status.lower()] = count
    for each in counts.values():
        each["records"] = 0
    for (action, *_kind), count in zip(kinds, written, strict=True):
        counts[action]["records"] += count
    return counts


def count_records() -> dict[str, tuple[int, int]]:
    """Count the stored records by action: all of them, and those without figures."""
    kinds = list(product(*ANY_KIND.values()))
    found = count_each(collection_of(Record), [dict(zip(ANY_KIND, kind, strict=True)) for kind in kinds])
    counts = dict.fromkeys(Action.values, (0, 0))
    for (action, _granularity, is_empty), count in zip(kinds, found, strict=True):
        total, empty = counts[action]
        counts[action] = (total + count, empty + count * is_empty)
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


def _renamed(document: Mapping[str, Any]) -> Document:
    return {"id": document["_id"], **{name: value for name, value in document.items() if name != "_id"}}
