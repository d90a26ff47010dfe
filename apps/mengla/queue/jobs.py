"""The collection queue: every change of a collection's status is one conditional update.

::

    PENDING -> DISPATCHED -> SUCCEEDED | EMPTY | FAILED      PENDING -> CANCELLED
               DISPATCHED -> PENDING (retry)

Nothing here holds a lock. Two processes may race to the same step: the filter names the status (and the
attempt token), so only one update matches. Unique indexes guard the single flight (``active_key``) and the
number of requests in flight (``slot``).

One step is not in the picture: an answer to an older attempt may arrive while the collection waits for its
retry, or after it has failed. Its figures are stored, and the collection ends as SUCCEEDED.
"""

from __future__ import annotations

import random
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import structlog
from bson import ObjectId
from django.conf import settings
from pymongo import ASCENDING, ReturnDocument
from pymongo.errors import DuplicateKeyError

from apps.core.storage.mongo import collection_of, utc_now
from apps.mengla.choices import (
    ACTIVE_STATUSES,
    CollectionError,
    CollectionStatus,
    EmptyReason,
    Priority,
)
from apps.mengla.models import QUEUE_INDEX, Collection
from apps.mengla.queries.data_query import DataQuery
from apps.mengla.queue import run_state
from apps.mengla.queue.documents import active_filter, joining_changes, new_document
from apps.mengla.store import outcomes
from apps.mengla.words import ERRORS, NO_ANSWER, NOT_ACCEPTED
from apps.sync_tasks import selectors as run_selectors

logger = structlog.get_logger(__name__)

_MAX_PAST_TOKENS = 20
_POST_MARGIN_SECONDS = 15
_ENQUEUE_TRIES = 20
_COUNTED_FIELDS = {"action": 1, "priority": 1, "status": 1, "dispatched_at": 1, "attempt_token": 1}
Document = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Enqueued:
    """The collection under way for a query, and whether this call created it."""

    collection_id: ObjectId
    is_new: bool


def enqueue(
    query: DataQuery,
    *,
    priority: Priority,
    requested_by: str,
    run_id: str | None = None,
    is_forced: bool = False,
) -> Enqueued:
    """Enqueue a query, or join the collection already under way for it; returns the collection's id.

    A joined collection gets the higher of both priorities. ``run_id`` is added to its runs; without
    ``run_id`` it is marked as requested by a reader. ``is_forced``: send it even if fresh figures are stored.

    :raises RuntimeError: when the collection ends again and again before it can be joined.
    """
    documents = collection_of(Collection)
    for _ in range(_ENQUEUE_TRIES):
        joined = documents.find_one_and_update(
            active_filter(query.identity),
            {
                "$min": {"priority": int(priority)},
                "$set": joining_changes(run_id=run_id, is_forced=is_forced),
                "$addToSet": {"run_ids": {"$each": [run_id] if run_id else []}},
            },
            projection={"_id": 1},
        )
        if joined:
            return Enqueued(joined["_id"], is_new=False)
        document = new_document(
            query, priority=priority, requested_by=requested_by, run_id=run_id, is_forced=is_forced
        )
        try:
            documents.insert_one(document)
        except DuplicateKeyError:
            continue  # another caller has just enqueued the same query: join its collection
        return Enqueued(document["_id"], is_new=True)
    raise RuntimeError("The same collection kept starting and ending while it was enqueued.")


def claim(*, slot_count: int) -> Document | None:
    """Claim the next due collection for one attempt: the lowest priority number first, then the oldest.

    Returns the document as DISPATCHED with a new attempt token, or None when nothing is due or no slot is
    free. One find-and-update is atomic, so two processes never claim the same collection.
    """
    documents = collection_of(Collection)
    for slot in _free_slots(slot_count):
        now = utc_now()
        token = secrets.token_urlsafe(24)
        lease = settings.COLLECT_REQUEST_TIMEOUT_SECONDS * 2 + _POST_MARGIN_SECONDS
        try:
            claimed: Document | None = documents.find_one_and_update(
                {"status": CollectionStatus.PENDING.value, "not_before": {"$lte": now}},
                [
                    {
                        "$set": {
                            "status": CollectionStatus.DISPATCHED.value,
                            "attempts": {"$add": ["$attempts", 1]},
                            "past_tokens": {
                                "$slice": [
                                    {"$concatArrays": ["$past_tokens", [token]]},
                                    -_MAX_PAST_TOKENS,
                                ]
                            },
                            "attempt_token": {"$literal": token},
                            "execution_id": "",
                            "slot": slot,
                            "lease_until": now + timedelta(seconds=lease),
                            "dispatched_at": now,
                            "updated_at": now,
                        }
                    }
                ],
                sort=[("priority", ASCENDING), ("created_at", ASCENDING)],
                # This index has the order of the sort; any other would sort the whole backlog at each claim.
                hint=QUEUE_INDEX,
                return_document=ReturnDocument.AFTER,
            )
        except DuplicateKeyError:
            continue  # another process has claimed this slot
        return claimed
    return None


def mark_accepted(collection_id: ObjectId, *, attempt_token: str, execution_id: str) -> None:
    """Store the execution id of an attempt that the service accepted, and extend its deadline."""
    now = utc_now()
    documents = collection_of(Collection)
    attempt = {"_id": collection_id, "attempt_token": attempt_token}
    # The webhook may have ended the collection already: then only the execution id is stored.
    documents.update_one(attempt, {"$set": {"execution_id": execution_id}})
    documents.update_one(
        attempt | {"status": CollectionStatus.DISPATCHED.value},
        {
            "$set": {
                "lease_until": now + timedelta(seconds=settings.MENGLA_TIMEOUT_SECONDS),
                "updated_at": now,
            }
        },
    )


def requeue(
    collection_id: ObjectId, *, attempt_token: str, error: CollectionError, message: str
) -> CollectionStatus | None:
    """Put a collection that the service did not accept back into the queue; the attempt does not count.

    Returns the new status, or None when this attempt is no longer the current one.
    """
    changes = {
        "status": CollectionStatus.PENDING.value,
        "error_code": error.value,
        **ERRORS.stored(message),
        "slot": None,
        "lease_until": None,
        "updated_at": utc_now(),
    }
    attempt = {
        "_id": collection_id,
        "status": CollectionStatus.DISPATCHED.value,
        "attempt_token": attempt_token,
    }
    result = collection_of(Collection).update_one(attempt, {"$set": changes, "$inc": {"attempts": -1}})
    return CollectionStatus.PENDING if result.modified_count else None


def finish(
    collection_id: ObjectId,
    *,
    status: CollectionStatus,
    empty_reason: EmptyReason | None = None,
    attempt_token: str | None = None,
    was_sent: bool = True,
    requesters: Document | None = None,
    are_caches_notified: bool = False,
) -> bool:
    """End a collection whose answer is stored; False when it had ended before.

    A late success also ends a collection that waits for its retry or has failed. An empty answer counts only
    for the current attempt, named by its token.

    :param was_sent: false if the collection ended without a request to the service.
    :param requesters: of :func:`~.documents.requesters_of`; when they have changed, nothing is done and the
        result is False.
    :param are_caches_notified: remove the mark that the caches have to be notified.
    """
    criteria: Document = {"_id": collection_id} | (requesters or {})
    if status == CollectionStatus.SUCCEEDED:
        criteria["status"] = {"$in": [*[one.value for one in ACTIVE_STATUSES], CollectionStatus.FAILED.value]}
    else:
        criteria |= {"status": CollectionStatus.DISPATCHED.value, "attempt_token": attempt_token}
    changes = {
        "empty_reason": empty_reason.value if empty_reason else "",
        "error_code": "",
        **ERRORS.stored(""),
    }
    unmark = {"is_cache_pending": False} if are_caches_notified else {}
    before = _end(criteria, status, changes | unmark)
    if before is None:
        return False
    outcomes.count_ended(
        before,
        status,
        reason=changes["empty_reason"],
        attempt_token=attempt_token,
        was_sent=was_sent,
    )
    return True


def fail_attempt(
    collection_id: ObjectId,
    *,
    attempt_token: str,
    error: CollectionError,
    message: str,
    is_permanent: bool = False,
    retry_after_seconds: float | None = None,
) -> CollectionStatus | None:
    """Fail the current attempt: the collection is PENDING again, or FAILED after its last attempt.

    No attempt follows a permanent error (``is_permanent``), or when only runs requested the collection and
    all of them have ended. Returns the new status, or None when this attempt is no longer the current one.

    :param retry_after_seconds: the least delay before the next attempt.
    """
    documents = collection_of(Collection)
    criteria = {
        "_id": collection_id,
        "status": CollectionStatus.DISPATCHED.value,
        "attempt_token": attempt_token,
    }
    current = documents.find_one(
        criteria, {"attempts": 1, "action": 1, "priority": 1, "run_ids": 1, "has_reader": 1}
    )
    if current is None:
        return None
    reason = {"error_code": error.value} | ERRORS.stored(message)
    is_last = current["attempts"] >= settings.COLLECT_MAX_ATTEMPTS
    if is_permanent or is_last or not _is_still_requested(current):
        before = _end(criteria, CollectionStatus.FAILED, reason)
        if before is None:
            return None
        outcomes.count_ended(before, CollectionStatus.FAILED, reason=error.value)
        return CollectionStatus.FAILED
    now = utc_now()
    delay_seconds = max(settings.COLLECT_RETRY_DELAY_SECONDS, retry_after_seconds or 0)
    changes = reason | {
        "status": CollectionStatus.PENDING.value,
        "not_before": now + timedelta(seconds=delay_seconds),
        "slot": None,
        "lease_until": None,
        "updated_at": now,
    }
    if documents.update_one(criteria, {"$set": changes}).modified_count == 0:
        return None
    outcomes.count_retry(current, error.value)
    return CollectionStatus.PENDING


def fail_overdue(*, limit: int = 500) -> int:
    """Fail every attempt whose answer is overdue; returns how many. Part of the tick."""
    documents = collection_of(Collection)
    overdue = documents.find(
        {"status": CollectionStatus.DISPATCHED.value, "lease_until": {"$lt": utc_now()}},
        {"attempt_token": 1, "execution_id": 1},
    ).limit(limit)
    ended = 0
    for document in overdue:
        message = NO_ANSWER() if document["execution_id"] else NOT_ACCEPTED()
        status = fail_attempt(
            document["_id"],
            attempt_token=document["attempt_token"],
            error=CollectionError.TIMEOUT,
            message=message,
        )
        if status is not None:
            logger.warning(
                "collection_overdue",
                collection_id=str(document["_id"]),
                reason=message,
                new_status=status.value,
            )
            ended += 1
    return ended


def mark_cache_pending(collection_id: ObjectId) -> None:
    """Mark a collection before its answer is stored: the caches have to be notified of it."""
    collection_of(Collection).update_one({"_id": collection_id}, {"$set": {"is_cache_pending": True}})


def unmark_cache_pending(collection_ids: Sequence[ObjectId]) -> None:
    """Remove the marks of collections that the caches were notified of.

    A collection under way keeps its mark, because its answer may be about to be stored.
    """
    collection_of(Collection).update_many(
        {"_id": {"$in": list(collection_ids)}, "active_key": None}, {"$set": {"is_cache_pending": False}}
    )


def _free_slots(slot_count: int) -> list[str]:
    taken = {
        document["slot"]
        for document in collection_of(Collection).find(
            {"status": CollectionStatus.DISPATCHED.value}, {"slot": 1}
        )
    }
    free = [str(slot) for slot in range(slot_count) if str(slot) not in taken]
    random.shuffle(free)  # processes that claim at the same moment then rarely try the same slot
    return free


def _end(criteria: Document, status: CollectionStatus, changes: Document) -> Document | None:
    """End the collection and the runs that this completes.

    Returns its counted fields from before, or None when no collection matched.
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
    before: Document | None = collection_of(Collection).find_one_and_update(
        criteria, {"$set": changes}, projection=_COUNTED_FIELDS | {"run_ids": 1}
    )
    if before is not None:
        run_state.close_done(before["run_ids"])
    return before


def _is_still_requested(collection: Mapping[str, Any]) -> bool:
    run_ids = collection["run_ids"]
    return bool(collection["has_reader"] or not run_ids or run_selectors.running_among(run_ids))
