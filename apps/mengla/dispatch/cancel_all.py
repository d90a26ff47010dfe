"""Cancels all running runs and pending collections, for a queue that was filled by mistake.

Collections that a reader waits for are cancelled too, so the queue is empty afterwards. A waiting request
gets an error (502) at once, and the next read enqueues the query again. Collections in flight cannot be
cancelled: the collection service charges for them, and their answers are stored when they come.
"""

from __future__ import annotations

import time
from dataclasses import dataclass

import structlog

from apps.core.errors import Conflict, NotFound
from apps.core.storage.mongo import collection_of, count_up_to, utc_now
from apps.mengla.choices import CollectionStatus
from apps.mengla.models import QUEUE_INDEX, Collection
from apps.mengla.queue import removal
from apps.sync_tasks import selectors as run_selectors
from apps.sync_tasks import services as runs
from apps.sync_tasks.choices import RunStatus

audit = structlog.get_logger("collector.audit")

_RUNS_AT_ONCE = 100
_MAX_SECONDS = 20.0


@dataclass(frozen=True, slots=True)
class CancelledAll:
    """The numbers of cancelled runs and collections, and of collections still in flight.

    ``collections`` counts every collection cancelled meanwhile, also by the cancelled runs themselves.
    ``is_complete`` is false when the time was over before everything was cancelled.
    """

    runs: int
    collections: int
    in_flight: int
    is_complete: bool


@dataclass(frozen=True, slots=True)
class Cancellable:
    """The numbers of running runs and pending collections, and of those in flight, which go on."""

    runs: int
    collections: int
    in_flight: int


def count_cancellable() -> Cancellable:
    """Count what :func:`cancel_all` would cancel now."""
    statuses = (CollectionStatus.PENDING, CollectionStatus.DISPATCHED)
    pending, in_flight = (
        count_up_to(0, collection_of(Collection), {"status": status.value}, hint=QUEUE_INDEX)
        for status in statuses
    )
    return Cancellable(run_selectors.count_by_status().get(RunStatus.RUNNING, 0), pending, in_flight)


def cancel_all(*, cancelled_by: str, max_seconds: float = _MAX_SECONDS) -> CancelledAll:
    """Cancel every running run and every pending collection; it may be repeated."""
    begun_at, deadline = utc_now(), time.monotonic() + max_seconds
    # The runs first: a planner that finds its run cancelled enqueues nothing more.
    stopped_runs = _cancel_runs(cancelled_by, deadline)
    while time.monotonic() < deadline and removal.cancel_pending({}):
        pass
    documents = collection_of(Collection)
    is_left = documents.find_one({"status": CollectionStatus.PENDING.value}, {"_id": 1}) is not None
    result = CancelledAll(
        runs=stopped_runs,
        # Counted in the database: cancelling a run cancels collections too, and a worker may finish that.
        collections=documents.count_documents(
            {"status": CollectionStatus.CANCELLED.value, "finished_at": {"$gte": begun_at}}
        ),
        in_flight=documents.count_documents({"status": CollectionStatus.DISPATCHED.value}),
        is_complete=not is_left and not run_selectors.list_running(1),
    )
    audit.info(
        "everything_cancelled",
        runs=result.runs,
        collections=result.collections,
        is_complete=result.is_complete,
        cancelled_by=cancelled_by,
    )
    return result


def _cancel_runs(cancelled_by: str, deadline: float) -> int:
    stopped = 0
    while time.monotonic() < deadline and (running := run_selectors.list_running(_RUNS_AT_ONCE)):
        for run in running:
            try:
                runs.cancel_run(run_id=str(run["_id"]), cancelled_by=cancelled_by)
            except (Conflict, NotFound):
                continue  # it has just ended, or was deleted
            stopped += 1
    return stopped
