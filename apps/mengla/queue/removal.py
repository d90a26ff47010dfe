"""Removes collections from the queue: cancels pending ones and deletes ended ones."""

from __future__ import annotations

import time
from collections.abc import Iterator, Set
from typing import Any

import pymongo
from bson import ObjectId

from apps.core.storage.mongo import collection_of, delete_matching, utc_now
from apps.mengla.choices import FINAL_STATUSES, CollectionStatus
from apps.mengla.models import Collection
from apps.mengla.store import outcomes
from apps.sync_tasks import selectors as run_selectors

# So few that one update ends within the limit of an operation, on a busy machine, too.
_CANCEL_BATCH = 500
_DETACH_SECONDS = 240
Document = dict[str, Any]


def cancel_pending(criteria: Document, *, limit: int = _CANCEL_BATCH) -> int:
    """Cancel PENDING collections that match, up to the limit; returns how many."""
    documents = collection_of(Collection)
    pending = criteria | {"status": CollectionStatus.PENDING.value}
    found = [one["_id"] for one in documents.find(pending, {"_id": 1}).limit(limit)]
    now = utc_now()
    result = documents.update_many(
        # The conditions again: a collection that was claimed or joined between the two steps does not match.
        {"$and": [{"_id": {"$in": found}}, pending]},
        {
            "$set": {
                "status": CollectionStatus.CANCELLED.value,
                "active_key": None,
                "finished_at": now,
                "updated_at": now,
            }
        },
    )
    outcomes.count_cancelled(result.modified_count)
    return result.modified_count


def cancel_pending_of(run_id: str, *, max_seconds: float) -> bool:
    """Cancel the PENDING collections of a run that neither a reader nor a running run requested too.

    Returns False when ``max_seconds`` were over before all were cancelled. Another run may join a collection
    at any moment: the filter names the runs that have ended, so a joined collection does not match.
    """
    deadline = time.monotonic() + max_seconds
    running_runs: set[str] = set()
    while pending := _pending_of(run_id, running_runs):
        running = run_selectors.running_among({one for run_ids in pending for one in run_ids} - {run_id})
        running_runs |= running
        for run_ids, ids in pending.items():
            if running.isdisjoint(run_ids):
                cancel_pending({"_id": {"$in": ids}, "run_ids": list(run_ids), "has_reader": False})
        if time.monotonic() > deadline:
            return False
    return True


def _pending_of(run_id: str, running_runs: Set[str]) -> dict[tuple[str, ...], list[ObjectId]]:
    """Return a batch of the run's PENDING collections, grouped by their runs.

    Collections that a reader or one of ``running_runs`` requested too are left out.
    """
    criteria = {
        "run_ids": {"$in": [run_id], "$nin": list(running_runs)},
        "status": CollectionStatus.PENDING.value,
        "has_reader": False,
    }
    pending: dict[tuple[str, ...], list[ObjectId]] = {}
    for one in collection_of(Collection).find(criteria, {"run_ids": 1}).limit(_CANCEL_BATCH):
        pending.setdefault(tuple(one["run_ids"]), []).append(one["_id"])
    return pending


def delete_ended(criteria: Document, *, batch_size: int) -> Iterator[int]:
    """Delete the ended collections that match, batch by batch; yields how many each batch deleted."""
    ended = {"status": {"$in": [status.value for status in FINAL_STATUSES]}}
    yield from delete_matching(collection_of(Collection), ended | criteria, batch_size=batch_size)


def detach_run(run_id: str) -> None:
    """Remove a deleted run from the ``run_ids`` of all collections."""
    with pymongo.timeout(_DETACH_SECONDS):
        collection_of(Collection).update_many({"run_ids": run_id}, {"$pull": {"run_ids": run_id}})
