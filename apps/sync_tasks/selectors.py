"""Reads of runs; nothing here writes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import date, datetime
from typing import Any

from bson import ObjectId
from pymongo import ASCENDING, DESCENDING

from apps.core import market_clock
from apps.core.api.pagination import Page, newest_first
from apps.core.storage.mongo import collection_of, count_each, utc_now
from apps.sync_tasks.choices import Outcome, RunStatus, outcome_of
from apps.sync_tasks.models import SyncTask
from apps.sync_tasks.progress import Progress, progress_of
from apps.sync_tasks.waiting import Obstacles, waiting_of
from apps.sync_tasks.work import Failure, FailureReason, get_work

__all__ = [
    "Obstacles",
    "Progress",
    "count_ended",
    "count_failures",
    "count_own_records",
    "failures_of",
    "find_outcome",
    "find_run",
    "find_unplanned_retry",
    "is_any_unplanned",
    "is_running",
    "last_run_of",
    "list_running",
    "list_runs",
    "list_today",
    "list_unplanned",
    "list_unsettled",
    "planning_of",
    "progress_of",
    "run_of_firing",
    "running_among",
    "state_of",
    "waiting_of",
]

MAX_LISTED_TODAY = 200
MAX_LISTED_FAILURES = 20
Document = dict[str, Any]

# Lists do not show the plan, which may be large.
_ROW = {"parameters": 0}


def run_key(run_id: str) -> ObjectId | None:
    """Return the stored key of a run, None when the text is not an id."""
    return ObjectId(run_id) if ObjectId.is_valid(run_id) else None


def find_run(run_id: str) -> Document | None:
    """Return a run with its parameters, None when there is no such run."""
    key = run_key(run_id)
    return None if key is None else collection_of(SyncTask).find_one({"_id": key})


def planning_of(run_id: str, *, listed_in: str) -> Document | None:
    """Return the status and the planning of a run, without its parameters; None when there is no such run.

    ``is_listed``: it has the parameter ``listed_in``, in which its planner lists what there is to do.
    """
    wanted: Document = {"status": 1, "planned_count": 1, "expected_total": 1, "skipped": 1}
    wanted["is_listed"] = {"$ne": [{"$type": f"$parameters.{listed_in}"}, "missing"]}
    return collection_of(SyncTask).find_one({"_id": run_key(run_id)}, wanted)


def is_running(run_id: str) -> bool:
    """Whether the run exists and has not ended."""
    criteria = {"_id": run_key(run_id), "status": RunStatus.RUNNING.value}
    return collection_of(SyncTask).find_one(criteria, {"_id": 1}) is not None


def state_of(run_id: str) -> Document | None:
    """Return status, planning, totals and last change of a run; None when there is no such run."""
    wanted = {"status": 1, "is_planned": 1, "totals": 1, "updated_at": 1}
    return collection_of(SyncTask).find_one({"_id": run_key(run_id)}, wanted)


def running_among(run_ids: Iterable[str]) -> set[str]:
    """Return those of the runs that have not ended."""
    keys = [key for run_id in run_ids if (key := run_key(run_id)) is not None]
    if not keys:
        return set()
    criteria = {"_id": {"$in": keys}, "status": RunStatus.RUNNING.value}
    return {str(run["_id"]) for run in collection_of(SyncTask).find(criteria, {"_id": 1})}


def find_unplanned_retry(run_id: str) -> str | None:
    """Return the id of the running retry of a run whose planning is not complete, if any."""
    criteria = {"status": RunStatus.RUNNING.value, "is_planned": False, "retry_of": run_id}
    found = collection_of(SyncTask).find_one(criteria, {"_id": 1})
    return None if found is None else str(found["_id"])


def last_run_of(task_id: str) -> Document | None:
    """Return the newest run of a task, without its parameters; None when it never ran."""
    return collection_of(SyncTask).find_one(
        {"task_id": task_id}, _ROW, sort=[("started_at", DESCENDING), ("_id", DESCENDING)]
    )


def run_of_firing(task_id: str, firing: str) -> str | None:
    """Return the id of the run that a firing of a schedule has started, None if it has started none."""
    # The unique index is partial: nulls are not in it. MongoDB uses it only for a filter on the type.
    slot = {"task_id": {"$eq": task_id, "$type": "string"}, "slot": {"$eq": firing, "$type": "string"}}
    found = collection_of(SyncTask).find_one(slot, {"_id": 1})
    return str(found["_id"]) if found else None


def list_runs(
    *,
    status: str | None = None,
    outcome: str | None = None,
    task_id: str | None = None,
    trigger: str | None = None,
    started_from: datetime | None = None,
    started_before: datetime | None = None,
    cursor: str | None = None,
    limit: int,
) -> Page:
    """Return a page of runs without their parameters, newest first.

    The range includes ``started_from`` and excludes ``started_before``. Instants without a zone are UTC.

    :raises InvalidInput: when the cursor is not valid.
    """
    wanted = {"status": status, "task_id": task_id, "trigger": trigger}
    criteria: Document = {name: value for name, value in wanted.items() if value is not None}
    if outcome is not None:
        criteria = (
            {"$and": [criteria, outcome_criteria(Outcome(outcome))]}
            if status
            else (criteria | outcome_criteria(Outcome(outcome)))
        )
    started = ({"$gte": started_from} if started_from else {}) | (
        {"$lt": started_before} if started_before else {}
    )
    if started:
        criteria["started_at"] = started
    return newest_first(
        collection_of(SyncTask), criteria, by="started_at", cursor=cursor, limit=limit, projection=_ROW
    )


def outcome_criteria(outcome: Outcome) -> Document:
    """Return the filter for runs with this outcome.

    A completed run is in neither of the two lists of completed runs while its totals are counted anew,
    because a late answer has come.
    """
    if outcome is Outcome.COMPLETED:
        return {"status": RunStatus.COMPLETED.value, "totals.failed": 0}
    if outcome is Outcome.COMPLETED_WITH_FAILURES:
        return {"status": RunStatus.COMPLETED.value, "totals.failed": {"$gt": 0}}
    return {"status": RunStatus(outcome.value.upper()).value}


def find_outcome(run: Mapping[str, Any]) -> Outcome:
    """Return the outcome of a run; its failures are counted only if its totals are not stored."""
    if run["status"] != RunStatus.COMPLETED:
        return outcome_of(run["status"], failed=0)
    failed = progress_of(run).failed if run["totals"] is None else run["totals"]["failed"]
    return outcome_of(run["status"], failed=failed)


def list_today(today: date) -> list[Document]:
    """Return the runs that started since the market's day ``today`` began, or still run; newest first.

    At most :data:`MAX_LISTED_TODAY`, without their parameters.
    """
    began_today = {"started_at": {"$gte": market_clock.midnight(today)}}
    return list(
        collection_of(SyncTask)
        .find({"$or": [began_today, {"status": RunStatus.RUNNING.value}]}, _ROW)
        .sort([("started_at", DESCENDING), ("_id", DESCENDING)])
        .limit(MAX_LISTED_TODAY)
    )


def rows_of(run_id: str) -> list[SyncTask]:
    """Return the row of a run for the admin's history; an empty list when there is no such run."""
    return list(SyncTask.objects.filter(pk=run_id)) if run_id else []


def count_ended() -> int:
    """Count the runs that have ended, with any result."""
    return sum(count for status, count in count_by_status().items() if status != RunStatus.RUNNING)


def list_running(limit: int) -> list[Document]:
    """Return runs that have not ended, the oldest first, without their parameters."""
    return _oldest_first({"status": RunStatus.RUNNING.value}, limit)


def is_any_unplanned() -> bool:
    """Whether any running run is not planned yet: it is about to enqueue collections."""
    criteria = {"status": RunStatus.RUNNING.value, "is_planned": False}
    return collection_of(SyncTask).find_one(criteria, {"_id": 1}) is not None


def list_unplanned(limit: int) -> list[Document]:
    """Return unplanned runs without a planner, the oldest first, without their parameters."""
    criteria = {"status": RunStatus.RUNNING.value, "is_planned": False}
    return _oldest_first(criteria | without_planner(), limit)


def list_unsettled(limit: int) -> list[Document]:
    """Return ended runs without totals and without a planner, the oldest first, without parameters."""
    ended = [status.value for status in RunStatus if status != RunStatus.RUNNING]
    criteria = {"status": {"$in": ended}, "totals": None}
    return _oldest_first(criteria | without_planner(), limit)


def count_by_status() -> dict[str, int]:
    """Count the stored runs by their status."""
    counts = count_each(collection_of(SyncTask), [{"status": status.value} for status in RunStatus])
    return dict(zip(RunStatus.values, counts, strict=True))


def without_planner() -> Document:
    """Return the condition that no planner holds a valid lease on the run."""
    return {"$or": [{"planner_until": None}, {"planner_until": {"$lte": utc_now()}}]}


def failures_of(run: Mapping[str, Any]) -> list[Failure]:
    """Return the first failed collections of a run, with their reasons."""
    return get_work(run["task_id"]).failures(str(run["_id"]), MAX_LISTED_FAILURES)


def count_failures(task_id: str, run_id: str) -> list[FailureReason]:
    """Return how many collections of a run failed for each reason, the most frequent first."""
    return sorted(get_work(task_id).count_failures(run_id), key=lambda reason: -reason.count)


def count_own_records(task_id: str, run_id: str) -> int:
    """Return how many records a deletion of the run with its data would delete."""
    return get_work(task_id).count_own_records(run_id)


def _oldest_first(criteria: Mapping[str, Any], limit: int) -> list[Document]:
    return list(collection_of(SyncTask).find(criteria, _ROW).sort([("started_at", ASCENDING)]).limit(limit))
