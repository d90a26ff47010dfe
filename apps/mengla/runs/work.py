"""The work behind the runs of this product: their collections (see ``apps.sync_tasks.work.Work``)."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from django.conf import settings
from django.db.models import TextChoices

from apps.core.caching.tiers import get_cache
from apps.core.scheduling.broker import send_task
from apps.core.storage.mongo import collection_of
from apps.mengla.choices import CollectionError, CollectionStatus
from apps.mengla.dispatch import waiting
from apps.mengla.ingest import records
from apps.mengla.ingest.deletions import require_caches_notified
from apps.mengla.models import RUN_GRID_INDEX, RUNS_INDEX, Collection, Record
from apps.mengla.queue import removal, run_state
from apps.mengla.runs.collect import running_key
from apps.mengla.runs.pace import rate_of_run
from apps.mengla.runs.planning import request_planning
from apps.mengla.words import ERRORS
from apps.sync_tasks import services as runs
from apps.sync_tasks.choices import Trigger
from apps.sync_tasks.services import Started
from apps.sync_tasks.work import Counts, Failure, FailureReason, Rate, Waiting

_DELETE_BATCH = 1000
SETTLE_TASK = "apps.mengla.tasks.settle_run"
Document = dict[str, Any]


class CollectionWork:
    """Counts, cancels and retries the collections of a run."""

    def count(self, run_id: str) -> Counts:
        """Count the run's collections by status."""
        return run_state.count(run_id)

    def rate(self, run_id: str, started_at: datetime) -> Rate:
        """Return how many collections of the run end per minute at present."""
        return rate_of_run(run_id, started_at)

    def obstacle(self) -> Waiting | None:
        """Return what holds back the collections of all runs at present."""
        return waiting.obstacle_of_runs()

    def waiting(self, run_id: str) -> Waiting | None:
        """Return why no collection of the run is being worked on."""
        return waiting.waiting_of_run(run_id)

    def failures(self, run_id: str, limit: int) -> list[Failure]:
        """Return the run's first failed collections with their reasons.

        They come in the order of the index, which is the order of planning. To sort them, MongoDB would
        read them all.
        """
        failed = {"run_ids": run_id, "status": CollectionStatus.FAILED.value}
        found = collection_of(Collection).find(failed).hint(RUNS_INDEX).limit(limit)
        return [_failure(document) for document in found]

    def count_failures(self, run_id: str) -> list[FailureReason]:
        """Count the run's failed collections by their error."""
        failed = {"run_ids": run_id, "status": CollectionStatus.FAILED.value}
        grouped = collection_of(Collection).aggregate(
            [{"$match": failed}, {"$group": {"_id": "$error_code", "count": {"$sum": 1}}}],
            hint=RUN_GRID_INDEX,
        )
        return [
            FailureReason(one["_id"], _label(CollectionError, one["_id"]), one["count"]) for one in grouped
        ]

    def count_own_records(self, run_id: str) -> int:
        """Count the records that only this run asked for: those that :func:`delete_records_of` deletes."""
        return collection_of(Record).count_documents(records.own_records_of(run_id))

    def cancel(self, run_id: str) -> bool:
        """Cancel the pending collections that only this run asked for, for ``RUN_CANCEL_SECONDS`` at most.

        Returns False when some are left; then a worker goes on.
        """
        is_done = removal.cancel_pending_of(run_id, max_seconds=settings.RUN_CANCEL_SECONDS)
        if not is_done:
            send_task(SETTLE_TASK, run_id, group="settle")
        return is_done

    def retry(self, run: Mapping[str, Any], requested_by: str) -> Started:
        """Start a run that collects what failed in this one."""
        run_id = str(run["_id"])
        parameters = {"retry_of": run_id}
        started = runs.start_run(
            task_id=run["task_id"],
            name=run["name"],
            trigger=Trigger.MANUAL,
            requested_by=requested_by,
            parameters=parameters,
            running_key=running_key(run["task_id"], parameters),
            period=run["period"],
            expected_total=run_state.count(run_id).failed,
            retry_of=run_id,
        )
        request_planning(started.run_id)
        return started


def delete_records_of(run_id: str) -> int:
    """Delete the records that only this run asked for; returns how many.

    A record that a reader or another run also asked for stays. So does one that others have refreshed since.

    :raises DependencyUnavailable: when the caches cannot be notified; then the deletion must be repeated.
    """
    # A record that others refresh between the search and the deletion stays: both have the same filter.
    deleted = sum(records.delete_in_batches(records.own_records_of(run_id), batch_size=_DELETE_BATCH))
    # Also when nothing was deleted: this call may repeat one that was killed before this line.
    require_caches_notified(get_cache().clear_all())
    records.detach_run(run_id)
    removal.detach_run(run_id)
    return deleted


def _label(choices: type[TextChoices], value: str) -> str:
    return str(choices(value).label) if value in choices.values else value


def _failure(document: Document) -> Failure:
    start, end = document["start_key"], document["end_key"]
    return Failure(
        collection_id=str(document["_id"]),
        action=document["action"],
        cat_id=document["cat_id"],
        dateType=document["granularity"],
        period=start if start == end else f"{start}~{end}",
        error=document["error_code"],
        message=ERRORS.shown(document),
        attempts=document["attempts"],
    )
