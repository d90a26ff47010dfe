"""The planning of runs: one planner at a time; when it dies, another one goes on.

A planner claims a lease with a token of its own and stores its progress. It loses the lease when the run
ends, or when the lease has expired and another planner claims it.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from pymongo import ReturnDocument

from apps.core.storage.mongo import collection_of, utc_now
from apps.sync_tasks.choices import RunStatus
from apps.sync_tasks.models import SyncTask
from apps.sync_tasks.selectors import run_key, without_planner

Document = dict[str, Any]


def claim_planner_lease(run_id: str, *, token: str, seconds: float) -> Document | None:
    """Claim or renew the lease to plan a run; return the run, or None when the lease is not free.

    The lease is free while the run is RUNNING and not planned, and no other planner has a valid lease.
    """
    now = utc_now()
    free = without_planner()
    document: Document | None = collection_of(SyncTask).find_one_and_update(
        {
            "_id": run_key(run_id),
            "status": RunStatus.RUNNING.value,
            "is_planned": False,
            "$or": [*free["$or"], {"planner_token": token}],
        },
        {
            "$set": {
                "planner_token": token,
                "planner_until": now + timedelta(seconds=seconds),
                "planner_lease_seconds": float(seconds),
                "updated_at": now,
            }
        },
        return_document=ReturnDocument.AFTER,
    )
    return document


def store_plan(run_id: str, *, token: str, parameters: Mapping[str, Any], expected_total: int) -> bool:
    """Replace the parameters of a run with what its planner made of them; False when the lease is lost."""
    stored = collection_of(SyncTask).update_one(
        _under_lease(run_id, token),
        {
            "$set": {
                "parameters": dict(parameters),
                "expected_total": expected_total,
                "updated_at": utc_now(),
            }
        },
    )
    return stored.matched_count == 1 or _release_if_ended(run_id, token)


def note_planned(run_id: str, *, token: str, planned_count: int, skipped: Mapping[str, int]) -> bool:
    """Store how far the planning is and renew the lease; False when the lease is lost or the run has ended.

    ``skipped`` replaces the stored counts: it counts from the beginning of the plan.
    """
    now = utc_now()
    noted = collection_of(SyncTask).update_one(
        _under_lease(run_id, token),
        [
            {
                "$set": {
                    "planned_count": planned_count,
                    "skipped": {"$literal": dict(skipped)},
                    "planner_until": {"$add": [now, {"$multiply": ["$planner_lease_seconds", 1000]}]},
                    "updated_at": now,
                }
            }
        ],
    )
    return noted.matched_count == 1 or _release_if_ended(run_id, token)


def mark_planned(run_id: str, *, token: str) -> bool:
    """Mark the run as planned and release the lease; False when the lease is lost or the run has ended."""
    planned = collection_of(SyncTask).update_one(
        _under_lease(run_id, token),
        {"$set": {"is_planned": True, "planner_token": "", "planner_until": None, "updated_at": utc_now()}},
    )
    return planned.matched_count == 1 or _release_if_ended(run_id, token)


def _under_lease(run_id: str, token: str) -> Document:
    return {
        "_id": run_key(run_id),
        "status": RunStatus.RUNNING.value,
        "is_planned": False,
        "planner_token": token,
    }


def _release_if_ended(run_id: str, token: str) -> bool:
    """Release the lease on a run that has ended, so that its totals can be stored; always returns False.

    The totals wait for the lease because the planner may enqueue one more batch before it sees the end.
    """
    collection_of(SyncTask).update_one(
        {"_id": run_key(run_id), "planner_token": token, "status": {"$ne": RunStatus.RUNNING.value}},
        {"$set": {"planner_token": "", "planner_until": None}},
    )
    return False
