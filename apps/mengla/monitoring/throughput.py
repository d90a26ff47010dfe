"""Whether collections get done: how those of the last minutes ended, and whether the queue moves.

Counted from the collections themselves, so it is exact after any crash and loss of Redis. Reads only.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from math import ceil

from django.conf import settings

from apps.core.storage.mongo import collection_of, utc_now
from apps.mengla.choices import CollectionStatus, Priority
from apps.mengla.models import EXPIRY_INDEX, Collection
from apps.mengla.monitoring.queue_state import oldest_seconds
from apps.mengla.queue import window

_ANSWERED = (CollectionStatus.SUCCEEDED.value, CollectionStatus.EMPTY.value)
_SHORTEST_SECONDS = 0.001
_MEASURED_SECONDS = 3600
_URGENT = (Priority.READER, Priority.MANUAL)


@dataclass(frozen=True, slots=True)
class RecentCollections:
    """How the collections with a request to the service ended; ``mean_seconds`` is from request to answer."""

    answered: int
    failed: int
    mean_seconds: float | None


@dataclass(frozen=True, slots=True)
class QueueWait:
    """How many seconds the oldest pending collections have waited; None when none is pending.

    *Urgent* ones were asked for by readers and operators, *planned* ones by schedules and backfills. Those of
    runs wait only while the collecting window is open.
    ``is_moving``: whether a request was sent to the service, or a collection ended, recently.
    """

    urgent_seconds: float | None
    planned_seconds: float | None
    is_moving: bool


@dataclass(frozen=True, slots=True)
class Pace:
    """How many collections can be done per minute; not measured when none was answered recently."""

    per_minute: float
    is_measured: bool

    @property
    def is_known(self) -> bool:
        """Whether anything is known: a measurement, or the least time between two requests."""
        return self.is_measured or settings.COLLECT_INTERVAL_SECONDS > 0

    def seconds_for(self, count: int) -> int:
        """Return how many seconds this many collections take."""
        return ceil(count * 60 / self.per_minute)


def present_pace() -> Pace:
    """Return the pace of collections while the queue is not empty, from the answers of the last hour.

    Requests in flight are bounded by ``MAX_INFLIGHT_REQUESTS`` and spaced by ``COLLECT_INTERVAL_SECONDS``;
    the time to an answer is measured. Without a measurement only the spacing is known: then the pace is the
    highest possible one.
    """
    mean_seconds = recent_collections(within_seconds=_MEASURED_SECONDS).mean_seconds
    seconds_each = max(
        settings.COLLECT_INTERVAL_SECONDS,
        (mean_seconds or 0.0) / settings.MAX_INFLIGHT_REQUESTS,
        _SHORTEST_SECONDS,
    )
    return Pace(60 / seconds_each, is_measured=mean_seconds is not None)


def recent_collections(*, within_seconds: float) -> RecentCollections:
    """Count the collections that ended within this time; those that needed no request are left out."""
    since = utc_now() - timedelta(seconds=within_seconds)
    was_asked = {"status": {"$in": _ANSWERED}, "execution_id": {"$ne": ""}}
    rows = collection_of(Collection).aggregate(
        [
            {
                "$match": {
                    "finished_at": {"$gte": since},
                    "$or": [was_asked, {"status": CollectionStatus.FAILED.value}],
                }
            },
            {
                "$group": {
                    "_id": {"$in": ["$status", _ANSWERED]},
                    "count": {"$sum": 1},
                    "mean_ms": {"$avg": {"$subtract": ["$finished_at", "$dispatched_at"]}},
                }
            },
        ],
        # One of the indexes on the status would read all collections that have ever ended.
        hint=EXPIRY_INDEX,
    )
    found = {row["_id"]: row for row in rows}
    answered, failed = found.get(True), found.get(False)
    return RecentCollections(
        answered=answered["count"] if answered else 0,
        failed=failed["count"] if failed else 0,
        mean_seconds=answered["mean_ms"] / 1000 if answered and answered["mean_ms"] is not None else None,
    )


def queue_wait(*, moved_within_seconds: float) -> QueueWait:
    """Return how long the queue has waited, and whether it moved within the given time."""
    now = utc_now()
    waits = {priority: _allowed_seconds(priority) for priority in Priority}
    return QueueWait(
        urgent_seconds=_longest(seconds for priority, seconds in waits.items() if priority in _URGENT),
        planned_seconds=_longest(seconds for priority, seconds in waits.items() if priority not in _URGENT),
        is_moving=_is_moving(now - timedelta(seconds=moved_within_seconds)),
    )


def _allowed_seconds(priority: Priority) -> float | None:
    """Return how long the oldest of a priority has waited in a time in which it could be sent."""
    seconds, open_seconds = oldest_seconds(priority), window.open_seconds()
    if seconds is None or open_seconds is None or priority == Priority.READER:
        return seconds
    return min(seconds, open_seconds)


def _longest(seconds: Iterable[float | None]) -> float | None:
    return max((one for one in seconds if one is not None), default=None)


def _is_moving(since: datetime) -> bool:
    collections = collection_of(Collection)
    in_flight = {"status": CollectionStatus.DISPATCHED.value, "dispatched_at": {"$gte": since}}
    if collections.find_one(in_flight, {"_id": 1}) is not None:
        return True
    ended = {
        "finished_at": {"$gte": since},
        "status": {"$in": [*_ANSWERED, CollectionStatus.FAILED.value]},
    }
    return collections.find_one(ended, {"_id": 1}, hint=EXPIRY_INDEX) is not None
