"""How long the collections of a run took, over the time of the run.

The time of the run is divided into equal slots. Of each slot a sample is read, so that it costs the same for
a run of any size. Reads only.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from math import ceil
from typing import Any

from pymongo import ASCENDING

from apps.core.storage.mongo import collection_of
from apps.core.time_texts import seconds_between
from apps.mengla.choices import CollectionStatus
from apps.mengla.models import RUN_PACE_INDEX, Collection

SLOTS = 20
_SAMPLE = 100
_FIELDS = {"dispatched_at": 1, "finished_at": 1, "status": 1}
_SLOW_SHARE = 0.95
Document = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Slot:
    """The collections that ended in one part of the run's time; instants are UTC without zone.

    The seconds are from the last request to the answer; None when none with a request ended. ``count`` is
    exact, and ``failed`` and the seconds are those of the first collections of the slot (``sample``).
    """

    start: datetime
    end: datetime
    count: int
    sample: int
    failed: int
    median_seconds: float | None
    slow_seconds: float | None  # 95 of 100 took at most so long
    slowest_seconds: float | None
    slowest_id: str  # of the collection that took longest, empty when there is none


def timeline(run_id: str, start: datetime, end: datetime) -> list[Slot]:
    """Return the slots of a run's time in their order, up to :data:`SLOTS`; a short run has fewer."""
    seconds = max(1.0, seconds_between(start, end))
    count = max(1, min(SLOTS, ceil(seconds)))
    width = timedelta(seconds=seconds / count)
    bounds = [start + width * number for number in range(count + 1)]
    bounds[-1] += timedelta(seconds=1)  # the run ends a moment after its last collection
    return [_slot(run_id, *bounds[number : number + 2]) for number in range(count)]


def _slot(run_id: str, start: datetime, end: datetime) -> Slot:
    criteria: Document = {
        "run_ids": run_id,
        "finished_at": {"$gte": start, "$lt": end},
        "status": {"$ne": CollectionStatus.CANCELLED.value},
    }
    documents = collection_of(Collection)
    found = list(
        documents.find(criteria, _FIELDS).sort("finished_at", ASCENDING).hint(RUN_PACE_INDEX).limit(_SAMPLE)
    )
    count = len(found)
    if count == _SAMPLE:
        del criteria["status"]  # the index alone counts them
        count = documents.count_documents(criteria, hint=RUN_PACE_INDEX)
    times = sorted(
        (seconds_between(one["dispatched_at"], one["finished_at"]), str(one["_id"]))
        for one in found
        if one["dispatched_at"] is not None
    )
    durations = [seconds for seconds, _id in times]
    return Slot(
        start=start,
        end=end,
        count=count,
        sample=len(found),
        failed=sum(one["status"] == CollectionStatus.FAILED for one in found),
        median_seconds=_share_of(durations, 0.5),
        slow_seconds=_share_of(durations, _SLOW_SHARE),
        slowest_seconds=durations[-1] if durations else None,
        slowest_id=times[-1][1] if times else "",
    )


def _share_of(values: Sequence[float], share: float) -> float | None:
    """Return the smallest of the sorted values that at least this share of them do not exceed."""
    return values[max(0, ceil(len(values) * share) - 1)] if values else None
