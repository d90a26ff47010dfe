"""What operators do with runs: cancel, retry, delete. Each of these is written to the audit log."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

import structlog
from django.utils.translation import gettext as _
from pymongo import ReturnDocument

from apps.core.errors import Conflict, NotFound
from apps.core.storage.mongo import collection_of, utc_now
from apps.sync_tasks.choices import RunStatus
from apps.sync_tasks.models import SyncTask
from apps.sync_tasks.selectors import find_run, find_unplanned_retry, run_key
from apps.sync_tasks.services.lifecycle import store_totals
from apps.sync_tasks.signals import run_deleted
from apps.sync_tasks.words import CANCELLED_BY, ERRORS, HAS_ENDED, IS_RUNNING, NONE_FAILED
from apps.sync_tasks.work import Started, get_work

audit = structlog.get_logger("collector.audit")

Document = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Deleted:
    """The result of a deletion: how many records were deleted with the run."""

    records: int


def cancel_run(*, run_id: str, cancelled_by: str) -> Document:
    """Cancel a run and the collections that only it waits for; return the run.

    Its totals are stored when its last collection has ended, at once if none is in flight. If the process is
    killed halfway, the tick goes on with :func:`settle_run`.

    :raises NotFound: when there is no such run.
    :raises Conflict: when it has ended.
    """
    now = utc_now()
    cancelled: Document | None = collection_of(SyncTask).find_one_and_update(
        {"_id": run_key(run_id), "status": RunStatus.RUNNING.value},
        {
            "$set": {
                "status": RunStatus.CANCELLED.value,
                "running_key": None,
                **ERRORS.stored(CANCELLED_BY(user=cancelled_by)),
                "finished_at": now,
                "updated_at": now,
            }
        },
        return_document=ReturnDocument.AFTER,
    )
    if cancelled is None:
        raise Conflict(str(HAS_ENDED), detail=f"status={_get(run_id)['status']}")
    # The stored id, because the given text may be in upper case.
    run_id = str(cancelled["_id"])
    audit.info("sync_task_cancelled", run_id=run_id, task_id=cancelled["task_id"], cancelled_by=cancelled_by)
    settle_run(run_id)
    return find_run(run_id) or cancelled


def settle_run(run_id: str) -> bool:
    """Complete the end of a run: cancel what still waits if it was cancelled, and store its totals.

    Returns True when this call stored the totals. It cannot while a collection of the run is in flight or
    waits for another requester, or while a planner may still add collections. Then the tick calls this again.
    """
    unsettled = {"_id": run_key(run_id), "status": {"$ne": RunStatus.RUNNING.value}, "totals": None}
    run = collection_of(SyncTask).find_one(unsettled, {"task_id": 1, "status": 1})
    if run is None:
        return False
    run_id = str(run["_id"])
    if run["status"] == RunStatus.CANCELLED and not get_work(run["task_id"]).cancel(run_id):
        return False
    return store_totals(run_id)


def find_retryable(run_id: str) -> Document:
    """Return an ended run with failed collections.

    :raises NotFound: when there is no such run.
    :raises Conflict: while it runs, or when nothing failed in it.
    """
    run = _get_ended(run_id)
    # Counted now: a late answer may have completed a collection that failed in the stored totals.
    if not get_work(run["task_id"]).count(str(run["_id"])).failed:
        raise Conflict(str(NONE_FAILED))
    return run


def retry_run(*, run_id: str, requested_by: str) -> Started:
    """Start a new run for the failed collections of an ended one.

    :raises NotFound: when there is no such run.
    :raises Conflict: while it runs, when nothing failed in it, or while another run of its task runs.
    """
    run = find_retryable(run_id)
    started = get_work(run["task_id"]).retry(run, requested_by)
    audit.info(
        "sync_task_retried",
        run_id=str(run["_id"]),
        task_id=run["task_id"],
        new_run_id=started.run_id,
        requested_by=requested_by,
    )
    return started


def delete_run(*, run_id: str, is_data_deleted: bool, deleted_by: str) -> Deleted:
    """Delete an ended run and, with ``is_data_deleted``, the records that only it wrote.

    The row is deleted last, so a deletion that was killed halfway can be repeated.

    :raises NotFound: when there is no such run.
    :raises Conflict: while it runs, or while a retry of its failed collections is being planned.
    """
    run = _get_ended(run_id)
    run_id = str(run["_id"])
    if retry_id := find_unplanned_retry(run_id):
        message = _("A retry of this sync task is being planned. Try again in a moment.")
        raise Conflict(message, detail=f"sync_task_id={retry_id}")
    results = run_deleted.send(sender=SyncTask, run_id=run_id, is_data_deleted=is_data_deleted)
    records = sum(int(count or 0) for _receiver, count in results)
    collection_of(SyncTask).delete_one({"_id": run["_id"]})
    audit.info(
        "sync_task_deleted",
        run_id=run_id,
        task_id=run["task_id"],
        is_data_deleted=is_data_deleted,
        records=records,
        deleted_by=deleted_by,
    )
    return Deleted(records)


def delete_ended_rows(*, before: datetime, limit: int) -> int:
    """Delete the rows of up to ``limit`` runs that ended by ``before`` (UTC without zone); return how many.

    It does not send ``run_deleted``: the caller also deletes all records and collections.
    """
    ended = {"status": {"$ne": RunStatus.RUNNING.value}, "finished_at": {"$lte": before}}
    found = [one["_id"] for one in collection_of(SyncTask).find(ended, {"_id": 1}).limit(limit)]
    return collection_of(SyncTask).delete_many({"_id": {"$in": found}}).deleted_count


def _get(run_id: str) -> Document:
    run = find_run(run_id)
    if run is None:
        raise NotFound(_("There is no such sync task."))
    return run


def _get_ended(run_id: str) -> Document:
    run = _get(run_id)
    if run["status"] == RunStatus.RUNNING:
        raise Conflict(str(IS_RUNNING), detail=f"status={run['status']}")
    return run
