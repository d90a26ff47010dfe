"""The planning of runs: one planner at a time, which another one replaces when it dies.

A planner takes a lease with a token of its own, notes how far it came, and loses the lease when the run is
stopped, or when its time ran out and another planner came.
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
    """Take (or renew) the right to plan a run; returns the run, or None when it cannot be had.

    It can be had while the run is RUNNING and not planned, and nobody else's lease is valid.
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
    """Store what the planner has made of the run's parameters; False when its lease is lost."""
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
    """Note how far the planning is and renew the lease; False when the lease is lost or the run stopped.

    ``skipped`` replaces what was noted before: it counts from the beginning of the plan.
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
    """Note that the whole run is planned, and end the lease; False when it is lost or the run stopped."""
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
    """Give the lease on a stopped run back, so that its totals can be frozen; always False.

    They wait for the lease because its planner may enqueue one more batch before it learns of the end.
    """
    collection_of(SyncTask).update_one(
        {"_id": run_key(run_id), "planner_token": token, "status": {"$ne": RunStatus.RUNNING.value}},
        {"$set": {"planner_token": "", "planner_until": None}},
    )
    return False
