"""The turns of callers in the queue, and how many collections of one caller may wait.

Callers take turns: a collection gets the number of the round in which it is sent. The first one that waits of
a caller is in the present round, each further one in the next round. So a caller waits for at most one
collection of each other caller before its own next one. A *place* is the round and the time as a text, and
the readers' collections are sent in the order of their places.

Only collections that readers asked for have a caller and a place. Those of runs are sent in the order in
which they were planned.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from bson import ObjectId
from django.conf import settings
from pymongo import ASCENDING

from apps.core.storage.mongo import collection_of, utc_now
from apps.core.time_texts import seconds_between
from apps.mengla.choices import CollectionStatus, Priority
from apps.mengla.models import CALLERS_INDEX, QUEUE_INDEX, TURNS_INDEX, Collection
from apps.mengla.queue import window
from apps.mengla.store import selectors

_ROUND_DIGITS = 10
Document = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Line:
    """A part of the queue: which collections are in it, in which order they are sent, and by which index."""

    criteria: Document
    order: list[tuple[str, int]]
    index: str


READERS = Line(
    {"status": CollectionStatus.PENDING.value, "priority": Priority.READER.value},
    [("place", ASCENDING)],
    TURNS_INDEX,
)
RUNS = Line(
    {"status": CollectionStatus.PENDING.value, "priority": {"$gt": Priority.READER.value}},
    [("priority", ASCENDING), ("created_at", ASCENDING)],
    QUEUE_INDEX,
)


def open_lines() -> tuple[Line, ...]:
    """Return the lines that may be sent at present, in their order."""
    return (READERS, RUNS) if window.is_open() else (READERS,)


def has_waiting() -> bool:
    """Whether any collection waits in the open lines, due or not."""
    documents = collection_of(Collection)
    return any(documents.find_one(line.criteria, {"_id": 1}, hint=line.index) for line in open_lines())


def seconds_until_due() -> float | None:
    """Return the seconds until a collection may be sent: 0 if one may be now, None if none waits.

    Those of runs may not be sent before the window opens.
    """
    until_open = window.seconds_until_open()
    if until_open == 0:
        return selectors.seconds_until_due()
    documents, now = collection_of(Collection), utc_now()
    due = READERS.criteria | {"not_before": {"$lte": now}}
    if documents.find_one(due, {"_id": 1}, hint=TURNS_INDEX) is not None:
        return 0.0
    times = [until_open] if documents.find_one(RUNS.criteria, {"_id": 1}, hint=RUNS.index) else []
    later = documents.find_one(
        READERS.criteria, {"not_before": 1}, sort=[("not_before", ASCENDING)], hint=TURNS_INDEX
    )
    if later is not None:
        times.append(seconds_between(now, later["not_before"]))
    return min(times, default=None)


def first_ids(criteria: Document, *, limit: int) -> list[ObjectId]:
    """Return the ids of the first collections of the open lines that match, in one operation."""
    documents, lines = collection_of(Collection), open_lines()
    stages: list[list[Document]] = [
        [
            {"$match": line.criteria | criteria},
            {"$sort": dict(line.order)},
            {"$limit": limit},
            {"$project": {"number": {"$literal": number}}},
        ]
        for number, line in enumerate(lines)
    ]
    # A hint is for the first search only. That of the readers, who are few, needs none.
    *others, last = stages
    union: list[Document] = [{"$unionWith": {"coll": documents.name, "pipeline": one}} for one in others]
    found = list(documents.aggregate([*last, *union], hint=lines[-1].index))
    return [row["_id"] for row in sorted(found, key=lambda row: int(row["number"]))][:limit]


def next_place(caller: str, *, now: datetime) -> str | None:
    """Return the place of a caller's next collection; None when as many of its collections wait as may.

    One operation looks at the keys of the caller's waiting collections, and at the first place of all.
    Requests of one caller that are in progress at the same time may exceed the bound by their number.

    :param caller: the key of the caller; without one (empty) there is no bound, and it is the present round.
    :param now: UTC without zone.
    """
    mine: list[Document] = [
        {"$match": READERS.criteria | {"caller": caller}},
        {"$group": {"_id": "mine", "count": {"$sum": 1}, "place": {"$max": "$place"}}},
    ]
    first: list[Document] = [
        {"$match": READERS.criteria},
        {"$sort": dict(READERS.order)},
        {"$limit": 1},
        {"$project": {"_id": "first", "place": 1}},
    ]
    documents = collection_of(Collection)
    if caller:
        stages = [*mine, {"$unionWith": {"coll": documents.name, "pipeline": first}}]
        rows = documents.aggregate(stages, hint=CALLERS_INDEX)
    else:
        rows = documents.aggregate(first, hint=TURNS_INDEX)
    found = {row["_id"]: row for row in rows}
    if "mine" not in found:
        return _place(_round_of(found.get("first")), now)
    if found["mine"]["count"] >= settings.MAX_WAITING_PER_CALLER:
        return None
    return _place(_round_of(found["mine"]) + 1, now)


def _place(number: int, now: datetime) -> str:
    milliseconds = int(now.replace(tzinfo=UTC).timestamp() * 1000)
    return f"{number:0{_ROUND_DIGITS}}-{milliseconds:015}"


def _round_of(row: Document | None) -> int:
    # An older version of this program stores no places.
    return int(((row or {}).get("place") or "0")[:_ROUND_DIGITS])
