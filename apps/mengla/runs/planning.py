"""Turns the plan of a run into collections, in batches, so that a run of any size needs little memory.

A planner holds a lease on its run and stores its progress. When it is killed, another planner goes on from
there. A query that already has a collection of this run is not planned again.
"""

from __future__ import annotations

import secrets
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from typing import Any

import structlog
from bson.errors import BSONError

from apps.core import market_clock
from apps.core.batches import batches
from apps.core.scheduling.broker import send_task
from apps.core.storage.mongo import collection_of, utc_now
from apps.mengla.choices import WARM_UP_TASK_ID, CollectionStatus, Priority
from apps.mengla.models import Collection
from apps.mengla.queries.data_query import DataQuery
from apps.mengla.queries.plans import Plan, SkipPolicy
from apps.mengla.queue import run_state
from apps.mengla.queue.enqueue_many import enqueue_many
from apps.mengla.queue.removal import cancel_pending_of
from apps.mengla.queue.wakeup import wake_dispatcher
from apps.mengla.runs import warm_up_work
from apps.mengla.store import selectors
from apps.mengla.store.selectors import RecordState
from apps.sync_tasks import selectors as run_selectors
from apps.sync_tasks import services as runs
from apps.sync_tasks.words import ORIGINAL_DELETED, PLAN_UNREADABLE

logger = structlog.get_logger(__name__)

PLAN_TASK = "apps.mengla.tasks.plan_run"
_BATCH_QUERIES = 1000
_BATCH_RECORDS = 5000
_LEASE_SECONDS = 60
_CANCEL_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class _Candidate:
    """A query of a run, and the rule for which stored records make its collection unnecessary."""

    query: DataQuery
    skip: SkipPolicy
    is_forced: bool
    stored_after: datetime | None = None  # only newer records count; UTC without zone

    def is_satisfied_by(self, state: RecordState | None) -> bool:
        """Whether a record in this state need not be collected."""
        if state is None or self.skip is SkipPolicy.NOTHING:
            return False
        if self.stored_after is not None and state.collected_at <= self.stored_after:
            return False
        return state.is_fresh or (self.skip is SkipPolicy.PRESENT and not state.is_gap)


@dataclass(frozen=True, slots=True)
class Preview:
    """What a plan would do now: the number of its queries, and how many are skipped, by reason."""

    total: int
    skipped: dict[str, int]
    under_way: int = 0  # of those to collect; their collections would be joined

    @property
    def to_collect(self) -> int:
        """How many collections the plan would create or join."""
        return self.total - sum(self.skipped.values())


def preview_plan(plan: Plan) -> Preview:
    """Return what the plan would do now; changes nothing."""
    return _preview(_candidates_of(plan), plan.skip)


def preview_retry(run_id: str) -> Preview:
    """Return what a retry of the run would do now; changes nothing."""
    return _preview(_failed_candidates(run_id), SkipPolicy.FRESH)


def _preview(candidates: Iterable[_Candidate], skip: SkipPolicy) -> Preview:
    total, under_way, skipped = 0, 0, Counter[str]()
    for batch in _batches(candidates):
        wanted = _without_stored(batch)
        _count_skipped(skipped, skip, len(batch) - len(wanted))
        total += len(batch)
        under_way += selectors.count_under_way([candidate.query.identity for candidate in wanted])
    return Preview(total, dict(skipped), under_way)


def request_planning(run_id: str) -> None:
    """Enqueue the planning of the run; while Redis is down this does nothing, and the tick repeats it."""
    send_task(PLAN_TASK, run_id, group="plan")


def plan_run(run_id: str) -> int:
    """Plan a run, or go on where a killed planner stopped; returns how many queries this call planned."""
    token = secrets.token_hex(16)
    run = runs.claim_planner_lease(run_id, token=token, seconds=_LEASE_SECONDS)
    if run is None:
        return 0
    try:
        if run["task_id"] == WARM_UP_TASK_ID:
            return warm_up_work.warm_up(run_id, run, token=token)
        if _is_orphan(run):
            runs.fail_run(run_id, error_message=ORIGINAL_DELETED())
            return 0
        return _plan(run_id, run, token)
    except (KeyError, ValueError, TypeError, BSONError) as error:
        logger.exception("plan_unreadable", run_id=run_id)
        runs.fail_run(run_id, error_message=PLAN_UNREADABLE(error=type(error).__name__))
        return 0


def _is_orphan(run: Mapping[str, Any]) -> bool:
    """Whether the run retries a deleted run: then it is not known which collections failed there."""
    original = run["parameters"].get("retry_of")
    return original is not None and run_selectors.find_run(original) is None


def _plan(run_id: str, run: Mapping[str, Any], token: str) -> int:
    source = _source_of(run)
    planned, skipped = source.begin_at, Counter(run["skipped"] if source.begin_at else {})
    added, is_first = 0, True
    for batch in _batches(islice(source.candidates, source.begin_at, None)):
        # Renewed before each batch: the lease may have expired while this process was suspended.
        if not runs.note_planned(run_id, token=token, planned_count=planned, skipped=dict(skipped)):
            _after_lost_lease(run_id)
            return added
        # A killed planner had enqueued at most one batch beyond its progress, and batches are cut alike.
        new = _without_planned(run_id, batch) if is_first or not source.has_fixed_order else batch
        is_first = False
        wanted = _without_stored(new)
        _count_skipped(skipped, source.skip, len(new) - len(wanted))
        _enqueue(wanted, source, run_id=run_id, requested_by=run["requested_by"])
        planned += len(batch)
        added += len(wanted)
        wake_dispatcher()
    is_noted = runs.note_planned(run_id, token=token, planned_count=planned, skipped=dict(skipped))
    if is_noted and runs.mark_planned(run_id, token=token):
        logger.info("run_planned", run_id=run_id, collections=added, skipped=dict(skipped))
        run_state.close_if_done(run_id)
    else:
        _after_lost_lease(run_id)
    return added


def _enqueue(candidates: list[_Candidate], source: _Source, *, run_id: str, requested_by: str) -> None:
    for is_forced in (False, True):
        enqueue_many(
            [candidate.query for candidate in candidates if candidate.is_forced is is_forced],
            priority=source.priority,
            requested_by=requested_by,
            run_id=run_id,
            is_forced=is_forced,
        )


@dataclass(frozen=True, slots=True)
class _Source:
    """The queries of a run, and how they are planned.

    ``has_fixed_order``: the candidates are the same for every planner of the run; planning begins at
    ``begin_at``.
    """

    candidates: Iterator[_Candidate]
    begin_at: int
    has_fixed_order: bool
    skip: SkipPolicy
    priority: Priority


def _source_of(run: Mapping[str, Any]) -> _Source:
    parameters = run["parameters"]
    if "retry_of" in parameters:
        # Always from the start: the set of failed collections shrinks when late answers come.
        candidates = _failed_candidates(parameters["retry_of"])
        return _Source(candidates, 0, False, SkipPolicy.FRESH, Priority.MANUAL)
    plan = Plan.of_run(run)
    return _Source(_candidates_of(plan), run["planned_count"], True, plan.skip, plan.priority)


def _candidates_of(plan: Plan) -> Iterator[_Candidate]:
    is_forced = plan.skip is SkipPolicy.NOTHING
    return (_Candidate(query, plan.skip, is_forced) for query in plan.queries())


def _failed_candidates(run_id: str) -> Iterator[_Candidate]:
    """Yield the queries that failed in a run, without duplicates.

    Queries whose periods have not begun are left out: older versions accepted them. Queries that were
    collected since are skipped later. The record of a forced query may have been fresh when the query failed,
    so only a record newer than the failure counts for it.
    """
    criteria = {"run_ids": run_id, "status": CollectionStatus.FAILED.value}
    today = market_clock.today()
    seen: set[str] = set()
    for failed in collection_of(Collection).find(criteria).sort("_id"):
        query = selectors.query_of(failed)
        if query.identity not in seen and query.end.first_day <= today:
            seen.add(query.identity)
            is_forced = failed["is_forced"]
            yield _Candidate(
                query,
                SkipPolicy.FRESH,
                is_forced,
                stored_after=failed["finished_at"] if is_forced else None,
            )


def _batches(candidates: Iterable[_Candidate]) -> Iterator[list[_Candidate]]:
    """Yield batches; each needs a bounded number of records to be looked up."""
    return batches(
        candidates,
        _BATCH_QUERIES,
        weight_of=lambda candidate: candidate.query.period_count,
        max_weight=_BATCH_RECORDS,
    )


def _without_planned(run_id: str, batch: list[_Candidate]) -> list[_Candidate]:
    """Leave out the queries that a killed planner enqueued but had not yet counted in its progress."""
    identities = [candidate.query.identity for candidate in batch]
    found = collection_of(Collection).find(
        {"identity": {"$in": identities}, "run_ids": run_id}, {"identity": 1}
    )
    planned = {document["identity"] for document in found}
    return [candidate for candidate in batch if candidate.query.identity not in planned]


def _without_stored(batch: list[_Candidate]) -> list[_Candidate]:
    record_ids = [
        record_id
        for candidate in batch
        if candidate.skip is not SkipPolicy.NOTHING
        for record_id in candidate.query.record_ids
    ]
    states = selectors.record_states(record_ids, now=utc_now()) if record_ids else {}
    return [
        candidate
        for candidate in batch
        if not all(
            candidate.is_satisfied_by(states.get(record_id)) for record_id in candidate.query.record_ids
        )
    ]


def _count_skipped(skipped: Counter[str], skip: SkipPolicy, count: int) -> None:
    if count:
        skipped[skip.value] += count


def _after_lost_lease(run_id: str) -> None:
    """Cancel what was just enqueued if the run has ended; otherwise another planner goes on with it."""
    if not runs.is_running(run_id):
        cancel_pending_of(run_id, max_seconds=_CANCEL_SECONDS)
        run_state.close_if_done(run_id)
