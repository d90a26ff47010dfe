"""Turns the plan of a run into collections, in batches, so that a run of any size needs little memory.

A planner holds a lease on its run and notes how far it came. Killed at any point, another one goes on:
a question that has a collection of this run already is never planned twice.
"""

from __future__ import annotations

import secrets
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Any

import structlog

from apps.core.broker import send_task
from apps.core.mongo import collection_of, utc_now
from apps.mengla import selectors
from apps.mengla.choices import CollectionStatus, Priority
from apps.mengla.data_query import DataQuery
from apps.mengla.models import Collection
from apps.mengla.plans import Plan, SkipPolicy
from apps.mengla.services import run_state, warm_up_work
from apps.mengla.services.bulk_enqueue import enqueue_many
from apps.mengla.services.wakeup import wake_dispatcher
from apps.sync_tasks import services as runs
from apps.sync_tasks.words import PLAN_UNREADABLE

logger = structlog.get_logger(__name__)

PLAN_TASK = "apps.mengla.tasks.plan_run"
_BATCH_QUERIES = 500
_BATCH_RECORDS = 5000
_LEASE_SECONDS = 60
# What has been collected since the failure need not be asked again.
_RETRY_SKIP = SkipPolicy.FRESH


@dataclass(frozen=True, slots=True)
class Preview:
    """What a plan would do now: how many questions it has, and how many are left out for which reason."""

    total: int
    skipped: dict[str, int]

    @property
    def to_collect(self) -> int:
        """How many collections the plan would make (or join)."""
        return self.total - sum(self.skipped.values())


def preview_plan(plan: Plan) -> Preview:
    """Look at the plan without changing anything."""
    return _preview(plan.queries(), plan.skip)


def preview_retry(run_id: str) -> Preview:
    """Look at what a retry of the run would collect, without changing anything."""
    return _preview(_failed_queries(run_id), _RETRY_SKIP)


def _preview(queries: Iterable[DataQuery], skip: SkipPolicy) -> Preview:
    total, skipped = 0, Counter[str]()
    for batch in _batches(queries):
        wanted = _without_stored(batch, skip)
        _count_skipped(skipped, skip, len(batch) - len(wanted))
        total += len(batch)
    return Preview(total, dict(skipped))


def request_planning(run_id: str) -> None:
    """Have a worker plan the run; without Redis the tick does it."""
    send_task(PLAN_TASK, run_id, group="plan")


def plan_run(run_id: str) -> int:
    """Plan a run to its end, or go on where a killed planner stopped; returns how many were planned now."""
    token = secrets.token_hex(16)
    run = runs.take_planner_lease(run_id, token=token, seconds=_LEASE_SECONDS)
    if run is None:
        return 0
    try:
        if run["task_id"] == warm_up_work.TASK_ID:
            return warm_up_work.warm_up(run_id, run, token=token)
        return _plan(run_id, run, token)
    except (KeyError, ValueError, TypeError) as error:
        logger.exception("plan_unreadable", run_id=run_id)
        counts = run_state.count(run_id)
        reason = PLAN_UNREADABLE % {"error": type(error).__name__}
        runs.fail_run(run_id, error_message=reason, counts=counts)
        return 0


def _plan(run_id: str, run: Mapping[str, Any], token: str) -> int:
    source = _source_of(run)
    planned, skipped = source.begin_at, Counter(run["skipped"] if source.begin_at else {})
    added = 0
    for batch in _batches(islice(source.queries, source.begin_at, None)):
        fresh_batch = _without_planned(run_id, batch)
        wanted = _without_stored(fresh_batch, source.skip)
        _count_skipped(skipped, source.skip, len(fresh_batch) - len(wanted))
        enqueue_many(
            wanted,
            priority=source.priority,
            requested_by=run["requested_by"],
            run_id=run_id,
            is_forced=source.skip is SkipPolicy.NOTHING,
        )
        planned += len(batch)
        added += len(wanted)
        wake_dispatcher()
        if not runs.note_planned(run_id, token=token, planned_count=planned, skipped=dict(skipped)):
            _after_lost_lease(run_id)
            return added
    if runs.mark_planned(run_id, token=token):
        logger.info("run_planned", run_id=run_id, collections=added, skipped=dict(skipped))
        run_state.close_if_done(run_id)
    else:
        _after_lost_lease(run_id)
    return added


@dataclass(frozen=True, slots=True)
class _Source:
    """Where the questions of a run come from, and how they are planned."""

    queries: Iterator[DataQuery]
    begin_at: int
    skip: SkipPolicy
    priority: Priority


def _source_of(run: Mapping[str, Any]) -> _Source:
    parameters = run["parameters"]
    if "retry_of" in parameters:
        # Always from the start: the set of failed collections shrinks when late answers come.
        queries = _failed_queries(parameters["retry_of"])
        return _Source(queries, 0, _RETRY_SKIP, Priority.MANUAL)
    plan = Plan.from_json(parameters)
    return _Source(plan.queries(), run["planned_count"], plan.skip, plan.priority)


def _failed_queries(run_id: str) -> Iterator[DataQuery]:
    criteria = {"run_ids": run_id, "status": CollectionStatus.FAILED.value}
    seen: set[str] = set()
    for document in collection_of(Collection).find(criteria).sort("_id"):
        if document["identity"] not in seen:
            seen.add(document["identity"])
            yield selectors.query_of(document)


def _batches(queries: Iterable[DataQuery]) -> Iterator[list[DataQuery]]:
    """Cut the questions into batches that need a bounded number of records to be looked up."""
    batch: list[DataQuery] = []
    record_count = 0
    for query in queries:
        batch.append(query)
        record_count += query.period_count
        if len(batch) >= _BATCH_QUERIES or record_count >= _BATCH_RECORDS:
            yield batch
            batch, record_count = [], 0
    if batch:
        yield batch


def _without_planned(run_id: str, batch: list[DataQuery]) -> list[DataQuery]:
    """Leave out what a killed planner had enqueued before it could note how far it came."""
    identities = [query.identity for query in batch]
    found = collection_of(Collection).find(
        {"identity": {"$in": identities}, "run_ids": run_id}, {"identity": 1}
    )
    planned = {document["identity"] for document in found}
    return [query for query in batch if query.identity not in planned]


def _without_stored(batch: list[DataQuery], skip: SkipPolicy) -> list[DataQuery]:
    if skip is SkipPolicy.NOTHING or not batch:
        return batch
    states = selectors.record_states(
        [record_id for query in batch for record_id in query.record_ids], now=utc_now()
    )

    def is_stored(record_id: str) -> bool:
        state = states.get(record_id)
        if state is None:
            return False
        return state.is_fresh or (skip is SkipPolicy.PRESENT and not state.is_empty)

    return [query for query in batch if not all(is_stored(record_id) for record_id in query.record_ids)]


def _count_skipped(skipped: Counter[str], skip: SkipPolicy, count: int) -> None:
    if count:
        skipped[skip.value] += count


def _after_lost_lease(run_id: str) -> None:
    """The run was cancelled, or another planner has it: what was just enqueued must not outlive a cancel."""
    if not runs.is_running(run_id):
        runs.settle_cancelled(run_id)
