"""The collections of one run, for people: a page of them, and how many there are of each kind.

Reads only. Every search uses one index, so that it stays fast for a run of many thousand collections.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from bson import ObjectId
from pymongo import ASCENDING, DESCENDING

from apps.core.storage.mongo import collection_of, utc_now
from apps.core.time_texts import seconds_between
from apps.mengla.choices import CollectionError, CollectionStatus, EmptyReason
from apps.mengla.models import ANY_COLLECTION, RUN_GRID_INDEX, Collection
from apps.mengla.words import ERRORS

REASONS = [*CollectionError.choices, *EmptyReason.choices]
_FIELDS = {
    "action": 1,
    "cat_id": 1,
    "granularity": 1,
    "start_key": 1,
    "end_key": 1,
    "status": 1,
    "attempts": 1,
    "refusals": 1,
    "dispatched_at": 1,
    "finished_at": 1,
    "error_code": 1,
    "error_message": 1,
    "error_message_parts": 1,
    "empty_reason": 1,
}
Document = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class GridFilter:
    """Which collections of a run are wanted: the empty value of a field means any.

    ``reason`` is the code of an error or of an empty answer. ``cat_ids`` None means any category, an empty
    list means none. ``after`` and ``before`` are the id of the collection before the page, or after it.
    """

    status: str = ""
    action: str = ""
    reason: str = ""
    cat_ids: Sequence[str] | None = None
    after: ObjectId | None = None
    before: ObjectId | None = None


@dataclass(frozen=True, slots=True)
class GridRow:
    """One collection; ``seconds`` is from its last request to its end or until now, None without one."""

    id: str
    action: str
    cat_id: str
    granularity: str
    start_key: str
    end_key: str
    status: CollectionStatus
    attempts: int
    refusals: int
    seconds: float | None
    reason: str  # a code, or empty
    message: str  # in the user's language

    @property
    def reason_name(self) -> str:
        """The reason in the user's language; an unknown code is returned unchanged."""
        return str(dict(REASONS).get(self.reason, self.reason))


@dataclass(frozen=True, slots=True)
class GridPage:
    """A page of the collections of a run in the order of planning."""

    rows: list[GridRow]
    has_earlier: bool
    has_later: bool


def grid_page(run_id: str, wanted: GridFilter, *, limit: int) -> GridPage:
    """Return a page of the run's collections that match."""
    is_backwards = wanted.before is not None
    rows = (
        collection_of(Collection)
        .find(_criteria(run_id, wanted), _FIELDS)
        .sort("_id", DESCENDING if is_backwards else ASCENDING)
        .hint(RUN_GRID_INDEX)
        .limit(limit + 1)
    )
    found = list(rows)
    has_more = len(found) > limit
    found = found[:limit]
    if is_backwards:
        found.reverse()
    now = utc_now()
    return GridPage(
        [_row(one, now) for one in found],
        has_earlier=has_more if is_backwards else wanted.after is not None,
        has_later=True if is_backwards else has_more,
    )


def count_kinds(run_id: str) -> dict[tuple[str, str], int]:
    """Count the run's collections by data set and status; the counts are those of one instant."""
    rows = collection_of(Collection).aggregate(
        [
            {"$match": {"run_ids": run_id}},
            {"$group": {"_id": {"action": "$action", "status": "$status"}, "count": {"$sum": 1}}},
        ],
        hint=RUN_GRID_INDEX,
    )
    return {(row["_id"]["action"], row["_id"]["status"]): row["count"] for row in rows}


def _criteria(run_id: str, wanted: GridFilter) -> Document:
    # With one or all values of each field before the id, MongoDB merges ranges that are in order already.
    criteria: Document = {
        "run_ids": run_id,
        "status": wanted.status or {"$in": ANY_COLLECTION["status"]},
        "action": wanted.action or {"$in": ANY_COLLECTION["action"]},
    }
    if wanted.cat_ids is not None:
        criteria["cat_id"] = {"$in": list(wanted.cat_ids)}
    if wanted.reason:
        is_error = wanted.reason in CollectionError.values
        criteria["error_code" if is_error else "empty_reason"] = wanted.reason
    if wanted.before is not None:
        criteria["_id"] = {"$lt": wanted.before}
    elif wanted.after is not None:
        criteria["_id"] = {"$gt": wanted.after}
    return criteria


def _row(document: Mapping[str, Any], now: datetime) -> GridRow:
    status, sent_at = CollectionStatus(document["status"]), document["dispatched_at"]
    until = document["finished_at"] or (now if status is CollectionStatus.DISPATCHED else None)
    return GridRow(
        id=str(document["_id"]),
        action=document["action"],
        cat_id=document["cat_id"],
        granularity=document["granularity"],
        start_key=document["start_key"],
        end_key=document["end_key"],
        status=status,
        attempts=document["attempts"],
        refusals=document.get("refusals", 0),
        seconds=None if sent_at is None or until is None else seconds_between(sent_at, until),
        reason=document["error_code"] or document["empty_reason"],
        message=ERRORS.shown(document),
    )
