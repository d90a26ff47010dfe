"""Reads records and collections from MongoDB; it changes nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from bson import ObjectId
from pymongo import ASCENDING, DESCENDING

from apps.core.api.pagination import Page, newest_first
from apps.core.errors import DomainError
from apps.core.periods import Granularity, Period, count_periods, parse_period, period_range
from apps.core.storage.mongo import collection_of, count_up_to, utc_now
from apps.core.time_texts import seconds_between
from apps.mengla.choices import Action, CollectionStatus, Priority
from apps.mengla.models import ANY_KIND, CATEGORY_INDEX, TURNS_INDEX, Collection, Record
from apps.mengla.queries.data_query import DataQuery
from apps.mengla.queries.freshness import FIELDS as FRESHNESS_FIELDS
from apps.mengla.queries.freshness import freshness_of, is_whole

MAX_POSITION = 1000
_MAX_NAMED_PERIODS = 100  # MongoDB merges up to 200 ranges of an index
# What :func:`query_of` raises for a document without a valid query, which another program wrote.
UNUSABLE_ERRORS = (DomainError, KeyError, TypeError, ValueError)
Document = dict[str, Any]

_STATE_FIELDS = FRESHNESS_FIELDS | {"is_empty": 1, "expired_at": 1}
_ALL_FIELDS = _STATE_FIELDS | {"data": 1, "empty_reason": 1}


def find_records(query: DataQuery) -> list[Document]:
    """Return the stored records of a query in any order, at most one per period."""
    return _records_of(query, _ALL_FIELDS)


def find_records_without_figures(query: DataQuery) -> list[Document]:
    """Return the records of a query without their figures, which may be large."""
    return _records_of(query, _STATE_FIELDS)


def _records_of(query: DataQuery, fields: Mapping[str, int]) -> list[Document]:
    first, *others = query.record_ids
    wanted = {"$in": [first, *others]} if others else first  # MongoDB finds one key without a plan
    found = collection_of(Record).find({"_id": wanted}, fields, batch_size=2000)
    return [one for one in found if is_whole(one, has_figures="data" in fields)]


def find_fresh_records(queries: Sequence[DataQuery], *, now: datetime) -> list[list[Document] | None]:
    """Return the records of each query if all of them are stored and fresh, otherwise None in their place.

    The documents hold ``is_empty`` and ``empty_reason``, but no figures. ``now`` is UTC without zone. All are
    one query of MongoDB.
    """
    record_ids = [record_id for query in queries for record_id in query.record_ids]
    if not record_ids:
        return [None] * len(queries)
    # Every record is stale after its fresh_until. A provisional one may be stale earlier: see below.
    found = collection_of(Record).find(
        {"_id": {"$in": record_ids}, "fresh_until": {"$gt": now}, "expired_at": {"$gt": now}},
        FRESHNESS_FIELDS | {"is_empty": 1, "empty_reason": 1},
        batch_size=2000,
    )
    fresh = {one["_id"]: one for one in found if freshness_of(one).is_fresh(now)}
    stored = [[fresh[one] for one in query.record_ids if one in fresh] for query in queries]
    return [
        records if len(records) == query.period_count else None
        for query, records in zip(queries, stored, strict=True)
    ]


def find_records_collected_after(query: DataQuery, instant: datetime) -> list[Document] | None:
    """Return the records of a query if all are stored and were collected after an instant, otherwise None.

    The documents hold no figures. ``instant`` is UTC without zone.
    """
    found = [one for one in find_records_without_figures(query) if one["collected_at"] > instant]
    return found if len(found) == query.period_count else None


def find_collection(collection_id: str) -> Document | None:
    """Return the collection with this id, None when there is none or the text is not an id."""
    if not ObjectId.is_valid(collection_id):
        return None
    return collection_of(Collection).find_one({"_id": ObjectId(collection_id)})


def find_collection_by_execution(execution_id: str) -> Document | None:
    """Return the collection whose current attempt has this execution id, None when there is none."""
    if not execution_id:
        return None
    return collection_of(Collection).find_one({"execution_id": execution_id})


@dataclass(frozen=True, slots=True)
class RecordState:
    """The state of a stored record."""

    is_empty: bool
    is_fresh: bool
    is_provisional: bool  # collected before its period was over
    is_due: bool  # provisional and stale, and its period is over: final figures can be collected
    collected_at: datetime  # UTC without zone

    @property
    def is_gap(self) -> bool:
        """Whether it counts as a gap, as if it were not stored: fills and the backfill check collect it."""
        return not self.is_fresh and (self.is_empty or self.is_due)


def record_states(record_ids: Sequence[str], *, now: datetime) -> dict[str, RecordState]:
    """Return the states by record id; records that are not stored or have expired are absent.

    ``now`` is UTC without zone.
    """
    found = collection_of(Record).find(
        {"_id": {"$in": list(record_ids)}, "expired_at": {"$gt": now}},
        FRESHNESS_FIELDS | {"is_empty": 1},
        batch_size=5000,
    )
    return {document["_id"]: _state_of(document, now) for document in found}


def _state_of(document: Document, now: datetime) -> RecordState:
    freshness = freshness_of(document)
    return RecordState(
        is_empty=document["is_empty"],
        is_fresh=freshness.is_fresh(now),
        is_provisional=freshness.is_provisional,
        is_due=freshness.is_due(now),
        collected_at=document["collected_at"],
    )


def failed_recently(identity: str, *, within_seconds: float) -> bool:
    """Whether the latest collection of this query identity failed within the given time."""
    last = collection_of(Collection).find_one(
        {"identity": identity}, {"status": 1, "finished_at": 1}, sort=[("created_at", DESCENDING)]
    )
    if last is None or last["status"] != CollectionStatus.FAILED:
        return False
    return bool(utc_now() - last["finished_at"] < timedelta(seconds=within_seconds))


def count_under_way(identities: Sequence[str]) -> int:
    """Count the collections of these queries that are pending or dispatched."""
    if not identities:
        return 0
    active = {"active_key": {"$in": list(identities), "$type": "string"}}
    return count_up_to(0, collection_of(Collection), active)


def queue_position(collection: Mapping[str, Any]) -> int:
    """Return how many PENDING collections are ahead of this one, at most 1000; 0 when it is not PENDING.

    That of a reader grows when callers whose turn comes earlier enqueue theirs.
    """
    if collection["status"] != CollectionStatus.PENDING:
        return 0
    priority = collection["priority"]
    pending: Document = {"status": CollectionStatus.PENDING.value}
    if priority == Priority.READER:
        # One range, so MongoDB only counts keys. An older version of this program stores no places.
        earlier = pending | {"priority": priority, "place": {"$lt": collection.get("place", "")}}
        return count_up_to(MAX_POSITION, collection_of(Collection), earlier, hint=TURNS_INDEX)
    ahead: list[Document] = [
        {"priority": priority, "created_at": {"$lt": collection["created_at"]}},
        {"priority": {"$lt": priority}},
    ]
    return count_up_to(MAX_POSITION, collection_of(Collection), pending | {"$or": ahead})


def seconds_until_due() -> float | None:
    """Return the seconds until a PENDING collection is due: 0 if one is due now, None if none is PENDING."""
    earliest = collection_of(Collection).find_one(
        {"status": CollectionStatus.PENDING.value}, {"not_before": 1}, sort=[("not_before", ASCENDING)]
    )
    if earliest is None:
        return None
    return seconds_between(utc_now(), earliest["not_before"])


def has_free_slot(slot_count: int) -> bool:
    """Whether fewer requests are in flight than ``slot_count``."""
    in_flight = collection_of(Collection).count_documents(
        {"status": CollectionStatus.DISPATCHED.value}, limit=slot_count
    )
    return in_flight < slot_count


def list_records(
    *,
    action: str | None = None,
    cat_id: str | None = None,
    granularity: Granularity | None = None,
    start: Period | None = None,
    end: Period | None = None,
    is_empty: bool | None = None,
    cursor: str | None,
    limit: int,
) -> Page:
    """Return a page of stored records without their figures, the last updated first."""
    criteria: Document = {}
    if action is not None:
        criteria["action"] = action
    if cat_id is not None:
        criteria["cat_id"] = cat_id
    if granularity is not None:
        criteria["granularity"] = granularity.value
    if start is not None or end is not None:
        criteria["period_key"] = _keys_between(start, end)
    if is_empty is not None:
        criteria["is_empty"] = is_empty
    if not criteria.keys().isdisjoint(ANY_KIND):
        criteria = {name: {"$in": values} for name, values in ANY_KIND.items()} | criteria
    return newest_first(
        collection_of(Record),
        criteria,
        by="updated_at",
        cursor=cursor,
        limit=limit,
        projection={"data": 0, "run_ids": 0},
        # It has all fields of the filter; MongoDB might read all records of the periods instead.
        hint=CATEGORY_INDEX if cat_id is not None else None,
    )


def _keys_between(start: Period | None, end: Period | None) -> Document:
    """Return the condition for the periods of a range.

    A short range lists its keys, so that an index can merge them in any order.
    """
    if start is not None and end is not None and count_periods(start, end) <= _MAX_NAMED_PERIODS:
        return {"$in": [period.key for period in period_range(start, end)]}
    # Within one granularity the keys sort as the periods do.
    return ({"$gte": start.key} if start else {}) | ({"$lte": end.key} if end else {})


def query_of(collection: Mapping[str, Any]) -> DataQuery:
    """Return the query of a collection."""
    granularity = Granularity(collection["granularity"])
    return DataQuery(
        action=Action(collection["action"]),
        cat_id=collection["cat_id"],
        start=parse_period(collection["start_key"], granularity),
        end=parse_period(collection["end_key"], granularity),
        product_id=collection["product_id"],
        extra=collection["extra"],
    )
