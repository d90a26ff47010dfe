"""The collections behind the cells of the coverage: those under way, the failed ones, the last of one cell.

A trend is collected as a range, so one collection of it belongs to the cells of all its periods.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pymongo import DESCENDING

from apps.core.batches import batches
from apps.core.periods import Period
from apps.core.storage.mongo import collection_of
from apps.mengla.choices import Action, CollectionStatus
from apps.mengla.models import IDENTITY_INDEX, Collection
from apps.mengla.queries.data_query import DataQuery

_BATCH_TRENDS = 200
_ACTIVE_FIELDS = {"_id": 0, "active_key": 1, "status": 1}
_NEWEST_FIRST = [("created_at", DESCENDING), ("_id", DESCENDING)]
Key = tuple[str, str, str]  # action, category, period key
Document = dict[str, Any]


@dataclass(frozen=True, slots=True)
class UnderWay:
    """A collection that is queued or, if it is dispatched, being worked on by the service; and its cells."""

    is_dispatched: bool
    keys: list[Key]


def find_under_way(key_of: Mapping[str, Key]) -> Iterator[UnderWay]:
    """Yield the collections under way of single periods, whose cells are given by their identities."""
    if not key_of:
        return
    active = {"active_key": {"$in": list(key_of), "$type": "string"}}
    for one in collection_of(Collection).find(active, _ACTIVE_FIELDS):
        yield UnderWay(_is_dispatched(one), [key_of[one["active_key"]]])


def find_trends_under_way(cat_ids: Iterable[str], periods: Sequence[Period]) -> Iterator[UnderWay]:
    """Yield the collections under way of the trends of these categories."""
    for cat_batch in batches(cat_ids, _BATCH_TRENDS):
        group_of = _trend_groups(cat_batch, periods[0])
        active = {"$or": _ranges("active_key", group_of)}
        for one in collection_of(Collection).find(active, _ACTIVE_FIELDS):
            if keys := list(_trend_cells(one["active_key"], group_of, periods)):
                yield UnderWay(_is_dispatched(one), keys)


def find_failed(key_of: Mapping[str, Key]) -> Iterator[Key]:
    """Yield the cells of single periods, given by their identities, whose newest collection failed.

    MongoDB reads one collection of each identity, however many there are.
    """
    if not key_of:
        return
    # The group takes the first key of the index for each identity: MongoDB skips all others.
    newest = collection_of(Collection).aggregate(
        [
            {"$match": {"identity": {"$in": list(key_of)}}},
            {"$sort": {"identity": 1, "created_at": -1}},
            {"$group": {"_id": "$identity", "status": {"$first": "$status"}}},
            {"$match": {"status": CollectionStatus.FAILED.value}},
        ],
        hint=IDENTITY_INDEX,
    )
    yield from (key_of[one["_id"]] for one in newest)


def find_failed_trends(cat_ids: Iterable[str], periods: Sequence[Period]) -> Iterator[Key]:
    """Yield the cells of the trends of these categories whose newest collection failed."""
    for cat_batch in batches(cat_ids, _BATCH_TRENDS):
        group_of = _trend_groups(cat_batch, periods[0])
        newest: dict[Key, Document] = {}
        fields = {"_id": 0, "identity": 1, "status": 1, "created_at": 1}
        wanted = {"$or": _ranges("identity", group_of)}
        for one in collection_of(Collection).find(wanted, fields, hint=IDENTITY_INDEX):
            for key in _trend_cells(one["identity"], group_of, periods):
                if key not in newest or newest[key]["created_at"] < one["created_at"]:
                    newest[key] = one
        yield from (key for key, one in newest.items() if one["status"] == CollectionStatus.FAILED)


def last_collections(query: DataQuery, *, limit: int) -> list[Document]:
    """Return the last collections of a single period's figures, the newest first.

    For a trend, these are the collections of all ranges that the period is in.
    """
    documents = collection_of(Collection)
    if not query.is_trend:
        mine: Document = {"identity": query.identity}
        return list(documents.find(mine, sort=_NEWEST_FIRST[:1], hint=IDENTITY_INDEX).limit(limit))
    group_of = _trend_groups([query.cat_id], query.start)
    found = documents.find(
        {"$or": _ranges("identity", group_of)}, {"identity": 1, "created_at": 1}, hint=IDENTITY_INDEX
    )
    with_it = [one for one in found if any(_trend_cells(one["identity"], group_of, [query.start]))]
    newest = sorted(with_it, key=lambda one: (one["created_at"], one["_id"]), reverse=True)[:limit]
    return list(documents.find({"_id": {"$in": [one["_id"] for one in newest]}}, sort=_NEWEST_FIRST))


def _trend_groups(cat_ids: Iterable[str], period: Period) -> dict[str, str]:
    """Return the categories by what the identities of their trends begin with; any period will do."""
    trend = Action.INDUSTRY_TREND
    return {DataQuery(trend, cat_id, period, period).cache_group: cat_id for cat_id in cat_ids}


def _ranges(name: str, group_of: Iterable[str]) -> list[Document]:
    return [{name: {"$gte": f"{group}:", "$lt": f"{group};", "$type": "string"}} for group in group_of]


def _trend_cells(identity: str, group_of: dict[str, str], periods: Iterable[Period]) -> Iterator[Key]:
    """Yield the cells of a trend's collection; none for one of a product, or with extra parameters."""
    group, _colon, range_key = identity.rpartition(":")
    if group not in group_of:
        return
    first, _tilde, last = range_key.partition("~")
    for period in periods:
        # Within one granularity the keys sort as the periods do.
        if first <= period.key <= last:
            yield Action.INDUSTRY_TREND.value, group_of[group], period.key


def _is_dispatched(collection: Document) -> bool:
    return bool(collection["status"] == CollectionStatus.DISPATCHED)
