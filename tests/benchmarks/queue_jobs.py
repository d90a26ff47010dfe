"""What the child processes of the queue's benchmark do; needs Django set up."""

from __future__ import annotations

import resource
import time
from typing import Any

from apps.core.batches import batches
from apps.core.periods import Granularity, parse_period, period_range
from apps.core.storage.mongo import collection_of
from apps.mengla.choices import Action, CollectionStatus, Priority
from apps.mengla.models import Collection
from apps.mengla.queries.data_query import DataQuery
from apps.mengla.queue import documents, jobs
from apps.mengla.runs import planning
from apps.mengla.runs.collect import Order, Selection, backfill_plan, start
from tests.factories.categories import make_tree, store_tree


def fill(count: int, days: int = 1000) -> None:
    """Put this many different collections into the queue."""
    start = parse_period("20200101", Granularity.DAY)
    periods = list(period_range(start, start.shift(days - 1)))
    queries = (
        DataQuery(Action.HOT, str(4000 + number // days), periods[number % days], periods[number % days])
        for number in range(count)
    )
    for batch in batches(queries, 2000):
        new = [
            documents.new_document(
                query, priority=Priority.BACKFILL, requested_by="benchmark", run_id=None, is_forced=False
            )
            for query in batch
        ]
        collection_of(Collection).insert_many(new, ordered=False)


def claim_for(seconds: float, limit: int, slot_count: int) -> dict[str, float]:
    """Claim for so long, up to ``limit`` at once; the slots of each claim are released by one cheap write."""
    claims, claim_seconds = 0, 0.0
    cpu_before, deadline = time.process_time(), time.monotonic() + seconds
    while time.monotonic() < deadline:
        started_at = time.perf_counter()
        claimed = jobs.claim_many(limit, slot_count=slot_count)
        claim_seconds += time.perf_counter() - started_at
        claims += len(claimed)
        _release(claimed)
    cpu_seconds = time.process_time() - cpu_before
    return {"claims": claims, "claim_seconds": claim_seconds, "cpu_seconds": cpu_seconds}


def _release(claimed: list[dict[str, Any]]) -> None:
    ended = {"status": CollectionStatus.SUCCEEDED.value, "active_key": None, "slot": None}
    collection_of(Collection).update_many({"_id": {"$in": [one["_id"] for one in claimed]}}, {"$set": ended})


def plan(categories: int, days: int) -> dict[str, float]:
    """Plan a backfill of so many days of one data set of so many level-1 categories."""
    store_tree(make_tree(level1_count=categories, child_count=0))
    end = parse_period("20241231")
    plan = backfill_plan(end.shift(1 - days), end, selection=Selection(actions=(Action.HOT,)))
    run_id = start(plan, Order("benchmark")).run_id
    cpu_before, started_at = time.process_time(), time.perf_counter()
    planned = planning.plan_run(run_id)
    seconds = time.perf_counter() - started_at
    return {
        "collections": planned,
        "seconds": seconds,
        "cpu_seconds": time.process_time() - cpu_before,
        "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    }
