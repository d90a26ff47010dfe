"""The last step of an attempt: the collection ends, or goes back into the queue."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from bson import ObjectId

from apps.core.storage.mongo import collection_of, utc_now
from apps.mengla.choices import AttemptOutcome, CollectionError, CollectionStatus
from apps.mengla.models import Collection
from apps.mengla.queue import run_state
from apps.mengla.queue.attempt_log import with_entry
from apps.mengla.queue.documents import has_reader
from apps.mengla.store import outcomes
from apps.sync_tasks import selectors as run_selectors

_COUNTED_FIELDS = {"action": 1, "priority": 1, "status": 1, "dispatched_at": 1, "attempt_token": 1}
_ATTEMPT_FIELDS = _COUNTED_FIELDS | {
    "attempts": 1,
    "execution_id": 1,
    "has_reader": 1,
    "is_probe": 1,
    "has_failed_as_probe": 1,
    "refusals": 1,
    "refused_since": 1,
    "run_ids": 1,
}
Document = dict[str, Any]


def find_attempt(collection_id: ObjectId, attempt_token: str) -> Document | None:
    """Return the collection's fields of the attempt, None when it is no longer the current one."""
    return collection_of(Collection).find_one(_attempt(collection_id, attempt_token), _ATTEMPT_FIELDS)


def end(
    criteria: Document,
    status: CollectionStatus,
    changes: Document,
    outcome: AttemptOutcome,
    *,
    attempt_token: str | None = None,
) -> Document | None:
    """End the collection with an attempt, and the runs that this completes.

    Returns its counted fields from before, or None when no collection matched.

    :param attempt_token: of the attempt that was answered; None for the current one.
    """
    now = utc_now()
    changes = changes | {
        "status": status.value,
        "active_key": None,
        "slot": None,
        "lease_until": None,
        "finished_at": now,
        "updated_at": now,
    }
    update = with_entry(changes, outcome, ended_at=now, attempt_token=attempt_token)
    documents, wanted = collection_of(Collection), _COUNTED_FIELDS | {"run_ids": 1}
    before: Document | None = documents.find_one_and_update(
        {"$and": [criteria, {"active_key": {"$ne": None}}]}, update, projection=wanted
    )
    if before is None and documents.find_one(criteria, {"_id": 1}) is not None:
        before = run_state.change_ended(criteria, update, wanted)  # a late answer
    if before is not None:
        run_state.close_done(before["run_ids"])
    return before


def failed_outcome(error: CollectionError) -> AttemptOutcome:
    """Return the outcome of an attempt that failed with this error."""
    return AttemptOutcome.TIMED_OUT if error is CollectionError.TIMEOUT else AttemptOutcome.FAILED


def end_attempt(
    current: Document,
    status: CollectionStatus,
    changes: Document,
    outcome: AttemptOutcome,
    *,
    reason: str = "",
) -> CollectionStatus | None:
    """End the collection with its current attempt and count it; returns the status, None if it had ended."""
    before = end(_attempt(current["_id"], current["attempt_token"]), status, changes, outcome)
    if before is None:
        return None
    outcomes.count_ended(before, status, reason=reason)
    return status


def return_to_queue(current: Document, changes: Document, outcome: AttemptOutcome) -> bool:
    """Make the collection PENDING again; returns whether its attempt was still the current one."""
    now = utc_now()
    changes = changes | {
        "status": CollectionStatus.PENDING.value,
        "slot": None,
        "lease_until": None,
        "updated_at": now,
    }
    criteria = _attempt(current["_id"], current["attempt_token"])
    update = with_entry(changes, outcome, ended_at=now)
    return collection_of(Collection).update_one(criteria, update).modified_count == 1


def is_still_requested(collection: Mapping[str, Any]) -> bool:
    """Whether a reader, a running run, or a caller without a run needs the collection."""
    run_ids = collection["run_ids"]
    return bool(has_reader(collection) or not run_ids or run_selectors.running_among(run_ids))


def _attempt(collection_id: ObjectId, attempt_token: str) -> Document:
    return {
        "_id": collection_id,
        "status": CollectionStatus.DISPATCHED.value,
        "attempt_token": attempt_token,
    }
