"""The start and the end of runs, and the totals of ended ones; each is an insert or a conditional update.

The totals of an ended run are a copy of the count of its collections. They are null while a collection is
under way, and readers count instead. A collection that changes after its end, by a late answer, removes the
copy in the same transaction (:func:`reopen_totals`). So the totals are exact after any crash.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any, cast

import structlog
from bson import ObjectId
from django.db.models import CharField
from pymongo.client_session import ClientSession
from pymongo.errors import DuplicateKeyError

from apps.core.storage.mongo import collection_of, utc_now
from apps.sync_tasks.choices import RunStatus, Trigger
from apps.sync_tasks.errors import AlreadyRunning
from apps.sync_tasks.models import SyncTask
from apps.sync_tasks.selectors import run_key, run_of_firing
from apps.sync_tasks.words import ERRORS, SOME_FAILED, SOME_FAILED_CODE
from apps.sync_tasks.work import Counts, Started, get_work

audit = structlog.get_logger("collector.audit")
logger = structlog.get_logger(__name__)

_START_TRIES = 20
_COUNT_TRIES = 5
Document = dict[str, Any]
# Later than the stored instant even if a clock is off, so that updated_at never has the same value twice.
_LATER: Document = {"$max": ["$$NOW", {"$add": ["$updated_at", 1]}]}


def start_run(
    *,
    task_id: str,
    name: str,
    trigger: Trigger,
    requested_by: str,
    parameters: Mapping[str, Any],
    running_key: str = "",
    period: str = "",
    firing: str | None = None,
    expected_total: int = 0,
    retry_of: str = "",
) -> Started:
    """Start a run; if the same firing has started one before, return that one with ``is_new`` false.

    :param running_key: no two running runs have the same; by default the task's id.
    :raises AlreadyRunning: when a run with the same ``running_key`` has not ended.
    """
    running_key = running_key or task_id
    document = new_document(
        task_id=task_id,
        name=name,
        trigger=Trigger(trigger).value,
        requested_by=clip("requested_by", requested_by),
        parameters=dict(parameters),
        running_key=running_key,
        period=clip("period", period),
        slot=firing,
        expected_total=expected_total,
        retry_of=retry_of,
    )
    for _ in range(_START_TRIES):
        try:
            collection_of(SyncTask).insert_one(document)
        except DuplicateKeyError:
            # The firing is checked first: when a schedule fires twice, its first run may still be running.
            if firing is not None and (known := run_of_firing(task_id, firing)):
                return Started(known, is_new=False)
            if running := _find_running(running_key):
                raise AlreadyRunning(running) from None
            continue  # the conflicting run has ended or been deleted meanwhile
        run_id = str(document["_id"])
        audit.info(
            "sync_task_started",
            run_id=run_id,
            task_id=task_id,
            trigger=document["trigger"],
            period=document["period"],
            retry_of=retry_of,
            requested_by=document["requested_by"],
        )
        return Started(run_id, is_new=True)
    raise RuntimeError("Runs with the same key kept starting and ending while this one was started.")


def finish_run(
    run_id: str,
    *,
    counts: Counts,
    unchanged_since: datetime | None = None,
    planner_token: str | None = None,
) -> bool:
    """End a planned run whose collections have all ended; the counts become its totals.

    The run is FAILED when collections failed and none is completed or empty, else COMPLETED. Late answers do
    not change this status. Returns False when it is not planned, has collections under way, or had ended
    before.

    :param unchanged_since: the run's ``updated_at`` before the counting; when it has changed since, a late
        answer may have changed the counts, and the result is False, too.
    :param planner_token: for a run without work after its planning: the planner that holds the lease ends
        planning and run in one update.
    """
    if counts.ended < counts.total:
        return False
    error_message = SOME_FAILED(failed=counts.failed, total=counts.total) if counts.failed else ""
    is_failed = counts.failed > 0 and counts.completed + counts.empty == 0
    status = RunStatus.FAILED if is_failed else RunStatus.COMPLETED
    criteria: Document = {"is_planned": True} if planner_token is None else {"planner_token": planner_token}
    if unchanged_since is not None:
        criteria["updated_at"] = unchanged_since
    return _end(run_id, criteria, status, counts, error_message, is_planned=True)


def fail_run(run_id: str, *, error_message: str) -> bool:
    """End a run as FAILED, planned or not; return False when it had ended before.

    Its collections that have not ended go on, and its totals are stored when the last of them has ended.
    """
    if not _end(run_id, {}, RunStatus.FAILED, None, error_message, is_planned=None):
        return False
    store_totals(run_id)
    return True


def store_totals(run_id: str) -> bool:
    """Count the collections of an ended run and store its totals; returns whether this call did.

    It does not while a collection is under way, or while a planner holds a lease on the run, because it may
    still add work. The message about failed collections follows the totals.
    """
    runs = collection_of(SyncTask)
    ended = {"_id": run_key(run_id), "status": {"$ne": RunStatus.RUNNING.value}}
    for _ in range(_COUNT_TRIES):
        # Read before the counting: no planner claims an ended run, and every later change moves updated_at.
        run = runs.find_one(ended, {"parameters": 0})
        if run is None or (run["planner_until"] is not None and run["planner_until"] > utc_now()):
            return False
        counts = get_work(run["task_id"]).count(str(run["_id"]))
        if counts.active:
            return False
        changes: Document = {"totals": totals_of(counts), "planner_token": "", "planner_until": None}
        if (run.get("error_message_parts") or {}).get("code") == SOME_FAILED_CODE:
            is_kept = counts.failed or run["status"] == RunStatus.FAILED
            message = SOME_FAILED(failed=counts.failed, total=counts.total) if is_kept else ""
            changes |= ERRORS.stored(message)
        stored = runs.update_one(
            ended | {"updated_at": run["updated_at"]},
            [
                {
                    "$set": {"updated_at": _LATER}
                    | {name: {"$literal": value} for name, value in changes.items()}
                }
            ],
        )
        if stored.modified_count == 1:
            return True
    return False  # others keep changing it: the totals stay null, and the tick stores them


def reopen_totals(run_ids: Iterable[str], *, session: ClientSession | None = None) -> None:
    """Remove the stored totals of the runs of a collection that changes after its end.

    ``session`` is that of the transaction in which it changes. Afterwards call :func:`store_totals`; if the
    process is killed before, the tick does.
    """
    keys = [key for run_id in run_ids if (key := run_key(run_id)) is not None]
    # Running ones, too: a process that is counting to end one must notice that its counts may be old.
    collection_of(SyncTask).update_many(
        {"_id": {"$in": keys}}, [{"$set": {"totals": None, "updated_at": _LATER}}], session=session
    )


def totals_of(counts: Counts) -> dict[str, int]:
    """Return the counts as an ended run stores them."""
    return {
        "total": counts.total,
        "completed": counts.completed,
        "failed": counts.failed,
        "empty": counts.empty,
        "cancelled": counts.cancelled,
    }


def clip(field_name: str, text: str) -> str:
    """Return the text, cut to the maximum length of the field."""
    field = cast("CharField[str, str]", SyncTask._meta.get_field(field_name))
    return text[: field.max_length]


def _end(
    run_id: str,
    criteria: Document,
    status: RunStatus,
    counts: Counts | None,  # None: they are counted later
    error_message: str,
    *,
    is_planned: bool | None,  # None leaves it unchanged
) -> bool:
    now, totals = utc_now(), counts and totals_of(counts)
    ended = collection_of(SyncTask).update_one(
        {"_id": run_key(run_id), "status": RunStatus.RUNNING.value} | criteria,
        {
            "$set": {
                "status": status.value,
                "running_key": None,
                "totals": totals,
                **ERRORS.stored(error_message),
                "planner_token": "",
                "planner_until": None,
                "finished_at": now,
                "updated_at": now,
            }
            | ({} if is_planned is None else {"is_planned": is_planned})
        },
    )
    if ended.modified_count == 1:
        logger.info("sync_task_ended", run_id=run_id, status=status.value, **(totals or {}))
        return True
    return False


def new_document(**given: Any) -> Document:
    """Return the document of a run that starts now, with these fields."""
    now = utc_now()
    return given | {
        "_id": ObjectId(),
        "status": RunStatus.RUNNING.value,
        "totals": None,
        "skipped": {},
        "planned_count": 0,
        "is_planned": False,
        "planner_token": "",
        "planner_until": None,
        "planner_lease_seconds": 0.0,
        **ERRORS.stored(""),
        "started_at": now,
        "finished_at": None,
        "updated_at": now,
    }


def _find_running(running_key: str) -> str | None:
    # As for the slot, the type makes MongoDB use the unique index.
    criteria = {"running_key": {"$eq": running_key, "$type": "string"}}
    found = collection_of(SyncTask).find_one(criteria, {"_id": 1})
    return str(found["_id"]) if found else None
