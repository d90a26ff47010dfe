"""How fast the queue is: claims of several processes, the planning of a large run, dispatch with webhooks.

    bin/bench --only claims planning dispatch

Real MongoDB, Redis and processes. Each measure returns plain numbers.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from tests.integration.stack import Shape, Stack
from tests.integration.waiting import at_once, wait_until

JOBS = "tests.benchmarks.queue_jobs"
SLOTS = 64
Numbers = dict[str, float]


@contextmanager
def _stack(shape: Shape) -> Iterator[Stack]:
    with tempfile.TemporaryDirectory() as directory, Stack("queue", Path(directory), shape) as stack:
        yield stack


def measure_claims(
    *, processes: int = 4, pending: int = 100_000, seconds: float = 5.0, limit: int = 16
) -> Numbers:
    """Return how many collections all processes together claim in a second, each exactly once."""
    with _stack(Shape(web_workers=0, clusters=0, variables={"LOG_LEVEL": "WARNING"})) as stack:
        stack.caller.call(f"{JOBS}.fill", count=pending)
        callers = at_once([stack.start_caller] * processes)
        arguments = {"seconds": seconds, "limit": limit, "slot_count": SLOTS}
        claim = [partial(one.call, f"{JOBS}.claim_for", **arguments) for one in callers]
        started_at = time.perf_counter()
        found: list[dict[str, Any]] = at_once(claim)
        duration = time.perf_counter() - started_at
        claims = sum(one["claims"] for one in found)
        claimed = stack.database.mengla_collections.count_documents({"status": {"$ne": "PENDING"}})
        attempts = stack.database.mengla_collections.count_documents({"attempts": {"$gt": 1}})
    if claimed != claims or attempts:
        raise AssertionError(f"{claims} claims of {claimed} collections, {attempts} claimed twice")
    return {
        "claims": claims,
        "claims_per_second": claims / duration,
        "ms_per_claim": 1000 * sum(one["claim_seconds"] for one in found) / claims,
        "cpu_ms_per_claim": 1000 * sum(one["cpu_seconds"] for one in found) / claims,
    }


def measure_planning(*, categories: int = 230, days: int = 500) -> Numbers:
    """Return how long one process needs to plan a run, and its peak memory."""
    with _stack(Shape(web_workers=0, clusters=0, variables={"LOG_LEVEL": "WARNING"})) as stack:
        return dict(stack.caller.call(f"{JOBS}.plan", categories=categories, days=days))


def measure_dispatch(*, categories: int = 30, days: int = 100, slots: int = 8) -> Numbers:
    """Return how many collections of a run a second are sent, answered and stored.

    One web process, one cluster, and the simulator in this process, which answers without delay.
    """
    variables = {"LOG_LEVEL": "WARNING", "MAX_INFLIGHT_REQUESTS": str(slots)}
    shape = Shape(web_workers=1, web_threads=4, clusters=0, queue_workers=2, variables=variables)
    with _stack(shape) as stack:
        stack.simulator.set_knobs(delay_seconds=0, concurrency=slots)
        stack.caller.call(f"{JOBS}.plan", categories=categories, days=days)
        documents = stack.database.mengla_collections
        stack.start_cluster()
        wait_until(
            lambda: documents.find_one({"active_key": {"$type": "string"}}, {"_id": 1}) is None,
            timeout_seconds=240,
            what="all are collected",
            poll_seconds=0.25,  # the documents say when the last one ended; each look costs MongoDB time
        )
        first = documents.find_one(sort=[("dispatched_at", 1)])
        last = documents.find_one(sort=[("finished_at", -1)])
        succeeded = documents.count_documents({"status": "SUCCEEDED"})
        stats = stack.simulator.stats()
    if first is None or last is None or succeeded != categories * days:
        raise AssertionError(f"{succeeded} of {categories * days} collections succeeded")
    seconds = (last["finished_at"] - first["dispatched_at"]).total_seconds()
    return {
        "collections": succeeded,
        "seconds": seconds,
        "collections_per_second": succeeded / seconds,
        "execute_requests": stats["execute_requests"],
        "max_concurrent_posts": stats["max_concurrent_posts"],
    }
