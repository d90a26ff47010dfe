"""Counts reads and collections. This module defines the names of all these counters.

Counts are stored by :mod:`apps.core.storage.counters`, one number per event and combination of labels:

* ``read:{action}:{source}:{result}``: a query that was served. The source is a tier (``l1``, ``l2``,
  ``l3``) with the result ``fresh``, ``stale`` or ``empty``; or ``miss`` (nothing was stored) or ``refresh``
  (the reader skipped the caches) with a :class:`ReadResult`.
* ``collection:{action}:{source}:{outcome}:{reason}``: a collection that ended. The source is the name of its
  priority; :class:`Outcome` explains the outcomes.
* ``retry:{action}:{source}:{reason}``: an attempt that failed and will be repeated.

The code that caused an event calls the function for it, after the event, so that each event counts once.
Reads are gathered and sent once a second; collections are counted at once, so that a kill loses none of them.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from apps.core.errors import InvalidInput
from apps.core.storage import counters
from apps.core.storage.latency import LATENCY, fields_of
from apps.core.storage.mongo import utc_now
from apps.core.time_texts import seconds_between
from apps.mengla.choices import CollectionStatus, Priority
from apps.mengla.errors import CollectFailed, CollectTimeout

READ, COLLECTION, RETRY = "read", "collection", "retry"
TIERS = ("l1", "l2", "l3")
MISS, REFRESH = "miss", "refresh"
# The series of durations: of reads without `wait`, and from a request to the service to its answer.
READ_SECONDS, COLLECTION_SECONDS = "read", "collection"
_NONE = "-"
_SOURCES = {priority.value: priority.name.lower() for priority in Priority}
_UNKNOWN_SOURCE = "other"
WAS_EMPTY = "empty"  # the reason of a recovered collection that had not failed


class Outcome(StrEnum):
    """How a collection can end."""

    SUCCEEDED = "succeeded"
    EMPTY = "empty"
    FAILED = "failed"
    # Its figures came after the collection had been counted as failed, or as empty: then the reason says so.
    RECOVERED = "recovered"
    # No request was sent: when its turn came, fresh figures were stored already.
    SPARED = "spared"
    CANCELLED = "cancelled"


class ReadResult(StrEnum):
    """How a read ended: the first three were served from a tier, the others were not."""

    FRESH = "fresh"
    STALE = "stale"
    EMPTY = "empty"
    COLLECTING = "collecting"  # a collection is under way (202)
    COLLECTED = "collected"  # the read waited for the collection and got its figures
    FAILED = "failed"  # the read waited and the collection failed (502, 504)
    UNAVAILABLE = "unavailable"  # MongoDB did not respond (503)


@dataclass(slots=True)
class Reading:
    """A read in progress; the read path sets its source and result."""

    source: str
    result: ReadResult = ReadResult.UNAVAILABLE


@contextmanager
def reading(action: str, *, is_refresh: bool, is_timed: bool) -> Iterator[Reading]:
    """Count one read when the block ends, and record its duration if ``is_timed``.

    Invalid input is not counted.
    """
    one = Reading(REFRESH if is_refresh else MISS)
    started_at = time.perf_counter()
    try:
        yield one
    except InvalidInput:
        raise
    except Exception as error:
        if isinstance(error, CollectFailed | CollectTimeout):
            one.result = ReadResult.FAILED
        _count_read(action, one, None)
        raise
    _count_read(action, one, time.perf_counter() - started_at if is_timed else None)


def _count_read(action: str, one: Reading, seconds: float | None) -> None:
    increments = {counters.STATS: {f"{READ}:{action}:{one.source}:{one.result}": 1}}
    if seconds is not None:
        increments[LATENCY] = fields_of(READ_SECONDS, seconds)
    counters.gather(increments)


def counter_of_hits(
    action: str, source: str, result: ReadResult, *, is_timed: bool
) -> Callable[[float], None]:
    """Return a function that counts one more such read, given how long it took in seconds."""
    hit = Reading(source, result)

    def count(seconds: float) -> None:
        _count_read(action, hit, seconds if is_timed else None)

    return count


def count_ended(
    before: Mapping[str, Any],
    status: CollectionStatus,
    *,
    reason: str = "",
    attempt_token: str | None = None,
    was_sent: bool = True,
) -> None:
    """Count a collection that has just ended; ``before`` is its document before the end.

    The duration is recorded only if the answer belongs to the current attempt, named by ``attempt_token``.
    ``was_sent``: false if the collection ended without a request to the service.
    """
    outcome = Outcome(status.value.lower())
    if before["status"] in (CollectionStatus.FAILED, CollectionStatus.EMPTY):
        outcome = Outcome.RECOVERED
        reason = WAS_EMPTY if before["status"] == CollectionStatus.EMPTY else ""
    elif not was_sent:
        outcome = Outcome.SPARED
    increments = {counters.STATS: {f"{COLLECTION}:{_labels_of(before)}:{outcome}:{reason or _NONE}": 1}}
    if (
        outcome in (Outcome.SUCCEEDED, Outcome.EMPTY)
        and before["dispatched_at"] is not None
        and before["attempt_token"] == attempt_token
    ):
        seconds = seconds_between(before["dispatched_at"], utc_now())
        increments[LATENCY] = fields_of(COLLECTION_SECONDS, seconds)
    counters.add(increments)


def count_retry(collection: Mapping[str, Any], reason: str) -> None:
    """Count a failed attempt whose collection goes back to the queue."""
    counters.add({counters.STATS: {f"{RETRY}:{_labels_of(collection)}:{reason}": 1}})


def count_cancelled(count: int) -> None:
    """Count collections that were cancelled together, without their action and source."""
    if count:
        field = f"{COLLECTION}:{_NONE}:{_NONE}:{Outcome.CANCELLED}:{_NONE}"
        counters.add({counters.STATS: {field: count}})


def each_counter(counts: Mapping[str, int], kind: str) -> Iterator[tuple[list[str], int]]:
    """Yield the labels and the number of every counter of a kind, sorted by name."""
    for field in sorted(counts):
        name, *labels = field.split(":")
        if name == kind:
            yield [label if label != _NONE else "" for label in labels], counts[field]


@dataclass(frozen=True, slots=True)
class Lookups:
    """How many reads looked into the tiers, and how many of them were hits."""

    hits: int
    total: int


def lookups_of(counts: Mapping[str, int]) -> Lookups:
    """Return the hits and the total of lookups; reads that skipped the caches do not count."""
    hits = total = 0
    for (_, source, _), count in each_counter(counts, READ):
        hits += count if source in TIERS else 0
        total += count if source != REFRESH else 0
    return Lookups(hits, total)


def _labels_of(collection: Mapping[str, Any]) -> str:
    return f"{collection['action']}:{_SOURCES.get(collection['priority'], _UNKNOWN_SOURCE)}"
