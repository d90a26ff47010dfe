"""How fast the collections of a run end at present, measured from those that ended last.

The rate is the number of ended collections by the time since the first of them was sent. What says nothing
about the present is left out: the time before the collecting window opened, and everything before a gap in
which the service answered nothing at all, neither this run nor others. Such a gap was an outage, a pause, or
a time without a worker. A gap in which the service answered others is part of the pace: the run had to wait.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from pymongo import DESCENDING

from apps.core.storage.mongo import collection_of, utc_now
from apps.core.time_texts import seconds_between
from apps.mengla.choices import Action, CollectionStatus
from apps.mengla.models import ANSWERED_INDEX, EXPIRY_INDEX, RUN_PACE_INDEX, Collection
from apps.mengla.queue import window
from apps.mengla.upstream import breaker, spacing
from apps.mengla.upstream.breaker import BreakerState
from apps.sync_tasks.work import Rate

# Few enough for a page that refreshes every other second, and enough for a steady rate with many slots.
_MAX_MEASURED = 100
_MEASURED_SECONDS = 3600
_OTHERS_SECONDS = 3600
_OTHERS_OF_EACH = 10
# A shorter gap is no outage: the dispatcher may pause between two requests. The interval counts twice.
_MIN_GAP_SECONDS = 10.0
_SHORTEST_SECONDS = 0.001
_FIELDS = {"dispatched_at": 1, "created_at": 1, "finished_at": 1}
Document = dict[str, Any]


@dataclass(frozen=True, slots=True)
class _Stay:
    """When a collection was with the service, in the last attempt; UTC without zone."""

    start: datetime
    end: datetime


def rate_of_run(run_id: str, started_at: datetime) -> Rate:
    """Return the present rate of a run; of all collections while none of the run has ended yet.

    It is 0 while nothing is done: while the breaker is not closed, the service has asked for a pause or the
    window is closed, and when nothing is in flight and nothing was answered lately.

    :param started_at: of the run, UTC without zone.
    """
    now = utc_now()
    if _is_held_back():
        return Rate(0.0)
    since = max(started_at, now - timedelta(seconds=_MEASURED_SECONDS), _window_start(now))
    stays = _stays(run_id, since)
    if not stays:
        return Rate(0.0) if _is_nothing_done(since, now) else _rate_of_others(now)
    in_flight = {"run_ids": run_id, "status": CollectionStatus.DISPATCHED.value}
    sent = [one["dispatched_at"] for one in collection_of(Collection).find(in_flight, {"dispatched_at": 1})]
    until, newest_end = now, stays[0].end
    if _is_idle(newest_end, min(sent, default=now)):
        if not sent:
            return Rate(0.0)  # nothing is being done
        until = newest_end  # it has just gone on: the pace before the gap is the best that is known
    measured = _since_last_gap(stays)
    # Requests are spaced, so the answer to the first one does not yet tell the pace.
    seconds = max(
        _SHORTEST_SECONDS,
        len(measured) * settings.COLLECT_INTERVAL_SECONDS,
        seconds_between(min(one.start for one in measured), until),
    )
    return Rate(len(measured) * 60 / seconds, len(measured))


def _is_held_back() -> bool:
    """Whether nothing is sent for runs at present; the same as ``dispatch/waiting.py`` tells as reasons."""
    if not window.is_open() or breaker.snapshot().state is not BreakerState.CLOSED:
        return True
    return spacing.remaining_pause_seconds() > 0


def _is_nothing_done(since: datetime, now: datetime) -> bool:
    """Whether nothing is in flight, and nothing was answered since then, or lately."""
    if collection_of(Collection).find_one({"status": CollectionStatus.DISPATCHED.value}, {"_id": 1}):
        return False
    return _is_idle(max(since, now - timedelta(seconds=_gap_seconds())), now)


def _stays(run_id: str, since: datetime) -> list[_Stay]:
    """Return the last collections of the run that ended since then, the last one first."""
    found = (
        collection_of(Collection)
        .find(
            {
                "run_ids": run_id,
                "finished_at": {"$gte": since},
                "status": {"$ne": CollectionStatus.CANCELLED.value},  # a cancelled one took no time
            },
            _FIELDS,
        )
        .sort("finished_at", DESCENDING)
        .hint(RUN_PACE_INDEX)
        .limit(_MAX_MEASURED)
    )
    return [_Stay(_start_of(one, since), one["finished_at"]) for one in found]


def _start_of(collection: Document, since: datetime) -> datetime:
    sent_at: datetime = collection["dispatched_at"] or collection["created_at"]
    finished_at: datetime = collection["finished_at"]
    # The run may have joined a collection that was sent before it started.
    return max(since, min(sent_at, finished_at))


def _since_last_gap(stays: Sequence[_Stay]) -> Sequence[_Stay]:
    """Return the stays after the last gap in which nothing at all was answered."""
    start = stays[0].start
    for number, one in enumerate(stays):
        if one.end < start and _is_idle(one.end, start):
            return stays[:number]
        start = min(start, one.start)
    return stays


def _is_idle(start: datetime, end: datetime) -> bool:
    """Whether the service answered nothing for an unusual time; the instants are the bounds of a gap."""
    if seconds_between(start, end) < _gap_seconds():
        return False
    answered = {
        "finished_at": {"$gt": start, "$lt": end},
        "status": {"$in": [CollectionStatus.SUCCEEDED.value, CollectionStatus.EMPTY.value]},
    }
    return collection_of(Collection).find_one(answered, {"_id": 1}, hint=EXPIRY_INDEX) is None


def _gap_seconds() -> float:
    return max(_MIN_GAP_SECONDS, 2 * float(settings.COLLECT_INTERVAL_SECONDS))


def _window_start(now: datetime) -> datetime:
    """Return when the collecting window opened last; without a window, a time long ago."""
    open_seconds = window.open_seconds()
    return datetime.min if open_seconds is None else now - timedelta(seconds=open_seconds)


def _rate_of_others(now: datetime) -> Rate:
    """Return the rate at which the service answered last, whoever asked: its slots by the mean answer time.

    Without an answer within the last hour it is not known, and the rate is 0.
    """
    answered = [CollectionStatus.SUCCEEDED.value, CollectionStatus.EMPTY.value]
    seconds: list[float] = []
    for action in Action.values:
        criteria = {
            "action": action,
            "status": {"$in": answered},
            "execution_id": {"$gt": ""},
            "finished_at": {"$gte": now - timedelta(seconds=_OTHERS_SECONDS)},
        }
        found = collection_of(Collection).find(criteria, _FIELDS).sort("finished_at", DESCENDING)
        seconds += [
            seconds_between(one["dispatched_at"], one["finished_at"])
            for one in found.hint(ANSWERED_INDEX).limit(_OTHERS_OF_EACH)
            if one["dispatched_at"] is not None
        ]
    if not seconds:
        return Rate(0.0)
    each = max(
        settings.COLLECT_INTERVAL_SECONDS,
        sum(seconds) / len(seconds) / settings.MAX_INFLIGHT_REQUESTS,
        _SHORTEST_SECONDS,
    )
    return Rate(60 / each, len(seconds), is_own=False)
