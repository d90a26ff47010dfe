"""What operators do with runs: cancel, retry what failed, delete. Each leaves a line in the audit log."""

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
from apps.sync_tasks.progress import settled
from apps.sync_tasks.selectors import find_run, find_unplanned_retry, run_key
from apps.sync_tasks.services.lifecycle import totals_of
from apps.sync_tasks.signals import run_deleted
from apps.sync_tasks.words import CANCELLED_BY, ERRORS
from apps.sync_tasks.work import Started, get_work

audit = structlog.get_logger("collector.audit")

Document = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Deleted:
    """A run that is gone, and how many records went with it."""

    records: int


def cancel_run(*, run_id: str, cancelled_by: str) -> Document:
    """Stop a run: what waits is not collected any more, and its totals are frozen. Returns the run.

    Killed halfway, the run is CANCELLED without totals, and :func:`settle_cancelled` does the rest.

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
        raise Conflict(_("This sync task has ended."), detail=f"status={_get(run_id)['status']}")
    # Not the text that was given: ids have upper-case spellings too.
    run_id = str(cancelled["_id"])
    audit.info("sync_task_cancelled", run_id=run_id, task_id=cancelled["task_id"], cancelled_by=cancelled_by)
    settle_cancelled(run_id)
    return find_run(run_id) or cancelled


def settle_cancelled(run_id: str) -> bool:
    """Cancel the waiting work of a cancelled run and freeze its totals; True when this call froze them.

    While a planner holds the run, more work may still come: then they are frozen later, by the tick.
    """
    unsettled = {"_id": run_key(run_id), "status": RunStatus.CANCELLED.value, "totals": None}
    run = collection_of(SyncTask).find_one(unsettled, {"planner_until": 1, "task_id": 1})
    if run is None:
        return False
    run_id, work = str(run["_id"]), get_work(run["task_id"])
    if not work.cancel(run_id):
        return False
    # Looked at before the counting: no planner begins on a cancelled run, so from here on nothing is added.
    if run["planner_until"] is not None and run["planner_until"] > utc_now():
        return False
    totals = totals_of(settled(work.count(run_id)))
    frozen = collection_of(SyncTask).update_one(
        unsettled,
        {"$set": {"totals": totals, "planner_token": "", "planner_until": None, "updated_at": utc_now()}},
    )
    return frozen.modified_count == 1


def find_retryable(run_id: str) -> Document:
    """Return an ended run in which something failed.

    :raises NotFound: when there is no such run.
    :raises Conflict: while it runs, or when nothing failed in it.
    """
    run = _get_ended(run_id)
    # Counted now: an answer that came late may have mended what the frozen totals call failed.
    if not get_work(run["task_id"]).count(str(run["_id"])).failed:
        raise Conflict(_("No collection of this sync task has failed."))
    return run


def retry_run(*, run_id: str, requested_by: str) -> Started:
    """Start a new run that collects what failed in an ended one.

    :raises NotFound: when there is no such run.
    :raises Conflict: while it runs, when nothing failed in it, or when its task runs again.
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
    """Delete an ended run and, when asked to, the records that only it wrote.

    Its row goes last: killed halfway, the deletion is done by doing it again.

    :raises NotFound: when there is no such run.
    :raises Conflict: while it runs, or while a retry of it is being planned from what failed in it.
    """
    run = _get_ended(run_id)
    run_id = str(run["_id"])
    if retry_id := find_unplanned_retry(run_id):
        message = _("A retry of this sync task is being planned. Try again in a moment.")
        raise Conflict(message, detail=f"sync_task_id={retry_id}")
    answers = run_deleted.send(sender=SyncTask, run_id=run_id, is_data_deleted=is_data_deleted)
    records = sum(int(count or 0) for _receiver, count in answers)
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
    """Delete rows of runs that ended before the instant (UTC without zone), up to the limit; how many.

    For whoever deletes all records and collections too: nobody is told of the single runs.
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
        raise Conflict(_("This sync task is running. Cancel it first."), detail=f"status={run['status']}")
    return run
