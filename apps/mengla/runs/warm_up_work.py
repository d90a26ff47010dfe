"""The work of a cache warm-up: figures are built from stored records and put into L2, as for a reader.

The planning of a warm-up does all of its work. A planner with a lease puts one entry after another into L2
and stores its progress; when it is killed, the next planner goes on from there. The counts come from this
progress alone: ``expected_total`` queries, ``planned_count`` of them done, ``skipped`` of these without
figures to cache. So they are exact after any crash. Work that is newer than the stored progress is repeated,
which changes nothing.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Set
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import islice
from typing import Any, ClassVar

import bson
import structlog
from bson import ObjectId
from django.utils.translation import gettext as _
from pymongo import DESCENDING

from apps.core.batches import batches
from apps.core.caching.read_through import get_or_build
from apps.core.caching.tiers import TieredCache
from apps.core.errors import Conflict
from apps.core.periods import Granularity, PeriodError, parse_period
from apps.core.storage.mongo import collection_of, utc_now
from apps.core.time_texts import seconds_between
from apps.mengla.choices import WARM_UP_TASK_ID, Action
from apps.mengla.dispatch.waiting import no_worker
from apps.mengla.models import Collection, Record
from apps.mengla.queries.data_query import ALL_CATEGORIES, DataQuery
from apps.mengla.store import selectors
from apps.mengla.store.figures import (
    EMPTY,
    FRESHNESS_HEADER,
    BuiltFigures,
    NothingStored,
    build_stored,
    cache_field,
)
from apps.sync_tasks import selectors as run_selectors
from apps.sync_tasks import services as runs
from apps.sync_tasks.choices import RunStatus
from apps.sync_tasks.work import Counts, Failure, FailureReason, Rate, Started, Waiting

logger = structlog.get_logger(__name__)

_BATCH = 50
_LISTED = "answers"  # the parameter with the list of what is warmed
_LOOKUP_BATCH = 500
# The list is stored in the run's document, which MongoDB limits to 16 MB.
_MAX_PLAN_BYTES = 8 * 1024 * 1024
_NEWEST_FIRST = [("updated_at", DESCENDING), ("_id", DESCENDING)]
Document = Mapping[str, Any]


class CachesUnavailable(Exception):
    """Redis does not respond, so nothing can be cached."""


class EmptyFigures(Exception):
    """The records are empty; an empty entry is not worth a place in the caches."""


@dataclass(frozen=True, slots=True)
class WarmUpPlan:
    """The plan of a warm-up: the newest ``limit`` records of this selection; an empty field means all."""

    task_id: ClassVar[str] = WARM_UP_TASK_ID
    period: ClassVar[str] = ""
    actions: tuple[Action, ...]
    cat_ids: tuple[str, ...]
    granularities: tuple[Granularity, ...]
    limit: int

    def count(self) -> int:
        """Return how many records the run reads at most."""
        return self.limit

    def to_json(self) -> dict[str, Any]:
        """Return plain values, to be stored with the run."""
        return {
            "actions": [action.value for action in self.actions],
            "cat_ids": list(self.cat_ids),
            "granularities": [granularity.value for granularity in self.granularities],
            "limit": self.limit,
        }

    @classmethod
    def from_json(cls, stored: Mapping[str, Any]) -> WarmUpPlan:
        """Read back what :meth:`to_json` wrote."""
        return cls(
            actions=tuple(map(Action, stored["actions"])),
            cat_ids=tuple(stored["cat_ids"]),
            granularities=tuple(map(Granularity, stored["granularities"])),
            limit=stored["limit"],
        )

    def includes(self, query: DataQuery) -> bool:
        """Whether the query is part of the selection."""
        return (
            (not self.actions or query.action in self.actions)
            and (not self.cat_ids or query.cat_id in self.cat_ids)
            and (not self.granularities or query.granularity in self.granularities)
        )


class WarmUpWork:
    """The work behind warm-ups (see ``apps.sync_tasks.work.Work``)."""

    def count(self, run_id: str) -> Counts:
        """Return the counts that the run itself stores."""
        planning = run_selectors.planning_of(run_id, listed_in=_LISTED)
        if planning is None:
            return Counts()
        counts = _counts(planning["expected_total"], planning["planned_count"], planning["skipped"])
        if planning["status"] == RunStatus.RUNNING:
            return counts
        if not planning["is_listed"]:
            return Counts()  # what was expected is only the limit
        return replace(counts, cancelled=counts.active, active=0)  # an ended warm-up is not continued

    def rate(self, run_id: str, started_at: datetime) -> Rate:
        """Return how many entries were cached per minute since the start."""
        minutes = seconds_between(started_at, utc_now()) / 60
        completed = self.count(run_id).completed
        return Rate(completed / minutes if minutes > 0 else 0.0, completed)

    def obstacle(self) -> Waiting | None:
        """Return the reason if no worker is alive; nothing else holds back a warm-up."""
        return no_worker()

    def waiting(self, run_id: str) -> Waiting | None:
        """Return the same for one run."""
        return no_worker()

    def failures(self, run_id: str, limit: int) -> list[Failure]:
        """Return an empty list: nothing of a warm-up fails."""
        return []

    def count_failures(self, run_id: str) -> list[FailureReason]:
        """Return an empty list: nothing of a warm-up fails."""
        return []

    def count_own_records(self, run_id: str) -> int:
        """Return 0: a warm-up writes no records."""
        return 0

    def cancel(self, run_id: str) -> bool:
        """Do nothing and return True: the planner stops by itself after its current batch."""
        return True

    def retry(self, run: Mapping[str, Any], requested_by: str) -> Started:
        """Refuse: nothing of a warm-up fails.

        :raises Conflict: always.
        """
        raise Conflict(_("A warm-up has nothing to retry; start another one."))


def warm_up(run_id: str, run: Document, *, token: str) -> int:
    """Continue a warm-up as the holder of its planner lease; returns how many queries were done.

    It stops when Redis is down; another planner goes on when the lease has expired and Redis is back.
    """
    queries = _planned_queries(run_id, run, token)
    if queries is None:
        return 0
    begun_at: int = run["planned_count"]
    done, skipped = begun_at, Counter[str](run["skipped"])
    # A cache of its own, nearly without L1: the warm-up is for L2, and the worker serves no readers.
    cache = TieredCache(l1_max_entries=1, l1_max_bytes=1, l1_ttl_seconds=1)
    try:
        for batch in batches(queries[done:], _BATCH):
            skipped.update(reason for one in batch if (reason := _warm(cache, _query_of(one))) is not None)
            done += len(batch)
            if not runs.note_planned(run_id, token=token, planned_count=done, skipped=dict(skipped)):
                return done - begun_at
    except CachesUnavailable:
        logger.warning("warm_up_interrupted", run_id=run_id, done=done, reason="Redis does not answer")
        return done - begun_at
    counts = _counts(len(queries), done, skipped)
    runs.finish_run(run_id, counts=counts, planner_token=token)
    return done - begun_at


def _counts(total: int, done: int, skipped: Mapping[str, int]) -> Counts:
    left_out = sum(skipped.values())
    return Counts(total=total - left_out, completed=done - left_out, active=total - done)


def _warm(cache: TieredCache, query: DataQuery) -> str | None:
    """Put the figures of one query into L2; returns None, or the reason why there are none to cache.

    :raises CachesUnavailable: when Redis is down.
    """

    def build() -> BuiltFigures:
        built = build_stored(query)
        if built.entry.headers.get(FRESHNESS_HEADER) == EMPTY:
            raise EmptyFigures
        return built

    try:
        found = get_or_build(query.cache_group, cache_field(query), build, cache=cache)
    except NothingStored:
        return "gone"
    except EmptyFigures:
        return "empty"
    if not found.is_shared:
        raise CachesUnavailable
    return None


# --- Which queries --------------------------------------------------------------------------------


def _planned_queries(run_id: str, run: Document, token: str) -> list[list[Any]] | None:
    """Return the queries of the run, listed once and stored with it; None when the lease was lost."""
    parameters = run["parameters"]
    if _LISTED in parameters:
        planned: list[list[Any]] = parameters[_LISTED]
        return planned
    listed = _storable(list_newest_queries(WarmUpPlan.from_json(parameters)))
    stored = parameters | {_LISTED: listed}
    is_ours = runs.store_plan(run_id, token=token, parameters=stored, expected_total=len(listed))
    return listed if is_ours else None


def _storable(queries: Iterable[DataQuery]) -> list[list[Any]]:
    """Return the queries in their stored form, as many as fit into the document of a run."""
    listed: list[list[Any]] = []
    size_bytes = 0
    for query in queries:
        one = [
            *(query.action.value, query.cat_id, query.granularity.value, query.start.key, query.end.key),
            *(query.product_id, dict(query.extra)),
        ]
        size_bytes += len(bson.encode({"answer": one}))
        if size_bytes > _MAX_PLAN_BYTES:
            logger.warning("warm_up_shortened", answers=len(listed), limit_bytes=_MAX_PLAN_BYTES)
            break
        listed.append(one)
    return listed


def _query_of(stored: list[Any]) -> DataQuery:
    action, cat_id, granularity, start, end, product_id, extra = stored
    length = Granularity(granularity)
    return DataQuery(
        Action(action), cat_id, parse_period(start, length), parse_period(end, length), product_id, extra
    )


def list_newest_queries(plan: WarmUpPlan) -> list[DataQuery]:
    """Return the queries of the newest selected records, the newest first, without duplicates.

    Readers choose the range of a trend. The warm-up uses the range that was collected last.
    """
    queries: dict[str, DataQuery] = {}
    for batch in batches(_newest_records(plan), _LOOKUP_BATCH):
        for query in _queries_of(batch):
            queries.setdefault(query.identity, query)
    return list(queries.values())


def _newest_records(plan: WarmUpPlan) -> Iterator[tuple[str, DataQuery]]:
    """Yield the keys of the newest selected records, each with the query of its period."""
    # Only the keys: MongoDB reads them from the index, without the figures.
    found = collection_of(Record).find({}, {"_id": 1}).sort(_NEWEST_FIRST)
    with found:
        readable = ((one["_id"], _query_in(one["_id"])) for one in found)
        named = ((key, query) for key, query in readable if query is not None and plan.includes(query))
        yield from islice(named, plan.limit)


def _query_in(record_id: Any) -> DataQuery | None:
    """Return the query of one period that a record's key names; None for a key that is not ours."""
    try:
        action, category, granularity, period_key = record_id.split(":")[:4]
        period = parse_period(period_key, Granularity(granularity))
        return DataQuery(Action(action), "" if category == ALL_CATEGORIES else category, period, period)
    except (AttributeError, ValueError, PeriodError):
        return None


def _queries_of(records: list[tuple[str, DataQuery]]) -> Iterator[DataQuery]:
    """Yield the queries of records; those of trends and variants are read from their collections."""
    # The key of such a record does not hold the whole query.
    unclear = {key for key, query in records if query.is_trend or key != query.record_ids[0]}
    collected = _collected_with(unclear)
    for key, query in records:
        if key not in unclear:
            yield query
        elif key in collected:
            yield collected[key]


def _collected_with(record_ids: Set[str]) -> dict[str, DataQuery]:
    """Return the queries of the collections that stored these records, by record; without deleted ones."""
    records = collection_of(Record).find({"_id": {"$in": list(record_ids)}}, {"collection_id": 1})
    collection_ids = {one["_id"]: one["collection_id"] for one in records}
    wanted = [ObjectId(one) for one in set(collection_ids.values()) if ObjectId.is_valid(one)]
    found = collection_of(Collection).find({"_id": {"$in": wanted}})
    queries = {str(one["_id"]): selectors.query_of(one) for one in found}
    return {key: queries[one] for key, one in collection_ids.items() if one in queries}
