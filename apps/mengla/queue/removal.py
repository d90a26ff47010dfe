"""Takes collections out of the queue: cancels those that wait, and deletes those that have ended."""

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

_CANCEL_BATCH = 2000
_DETACH_SECONDS = 240
Document = dict[str, Any]


def cancel_pending(criteria: Document, *, limit: int = _CANCEL_BATCH) -> int:
    """Cancel PENDING collections that match, up to the limit; returns how many."""
    documents = collection_of(Collection)
    pending = criteria | {"status": CollectionStatus.PENDING.value}
    found = [one["_id"] for one in documents.find(pending, {"_id": 1}).limit(limit)]
    now = utc_now()
    result = documents.update_many(
        # The conditions again: one that was claimed or joined between the two steps is left alone.
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
    """Cancel the PENDING collections that only ended runs want; False when the time was over before the end.

    One that a reader waits for stays, and one that a running run wants too. A run may start, and join, at any
    moment: each is cancelled only if its runs are still those that were found to have ended.
    """
    deadline = time.monotonic() + max_seconds
    rivals: set[str] = set()
    while waiting := _waiting_for(run_id, rivals):
        running = run_selectors.running_among({one for run_ids in waiting for one in run_ids} - {run_id})
        rivals |= running
        for run_ids, ids in waiting.items():
            if running.isdisjoint(run_ids):
                cancel_pending({"_id": {"$in": ids}, "run_ids": list(run_ids), "has_reader": False})
        if time.monotonic() > deadline:
            return False
    return True


def _waiting_for(run_id: str, rivals: Set[str]) -> dict[tuple[str, ...], list[ObjectId]]:
    """Return some of the PENDING collections that this run wants and no reader or rival, by their runs."""
    wanted = {
        "run_ids": {"$in": [run_id], "$nin": list(rivals)},
        "status": CollectionStatus.PENDING.value,
        "has_reader": False,
    }
    waiting: dict[tuple[str, ...], list[ObjectId]] = {}
    for one in collection_of(Collection).find(wanted, {"run_ids": 1}).limit(_CANCEL_BATCH):
        waiting.setdefault(tuple(one["run_ids"]), []).append(one["_id"])
    return waiting


def delete_ended(criteria: Document, *, batch_size: int) -> Iterator[int]:
    """Delete the ended collections that match, batch by batch; yields how many each batch deleted."""
    ended = {"status": {"$in": [status.value for status in FINAL_STATUSES]}}
    yield from delete_matching(collection_of(Collection), ended | criteria, batch_size=batch_size)


def detach_run(run_id: str) -> None:
    """Note on all collections that this run is gone."""
    with pymongo.timeout(_DETACH_SECONDS):
        collection_of(Collection).update_many({"run_ids": run_id}, {"$pull": {"run_ids": run_id}})
