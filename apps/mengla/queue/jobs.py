"""The collection queue: every change of a collection's status is one conditional update.

::

    PENDING -> DISPATCHED -> SUCCEEDED | EMPTY | FAILED      PENDING -> CANCELLED
               DISPATCHED -> PENDING (retry, or refused by the service)

Nothing here holds a lock. Two processes may race to the same step: the filter names the status (and the
attempt token), so only one update matches. Unique indexes guard the single flight (``active_key``) and the
number of requests in flight (``slot``).

One step is not in the picture: figures may arrive for an attempt that counts as ended, while the
collection waits for its retry, or after it has ended as FAILED or EMPTY. They are stored, and the collection
ends as SUCCEEDED.
"""

from __future__ import annotations

import random
import secrets
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, cast

import structlog
from bson import ObjectId
from django.conf import settings
from pymongo import ReturnDocument, UpdateOne
from pymongo.errors import DuplicateKeyError

from apps.core.storage.mongo import collection_of, utc_now
from apps.mengla.choices import (
    AttemptOutcome,
    CollectionError,
    CollectionStatus,
    EmptyReason,
    Priority,
)
from apps.mengla.errors import TooManyWaiting
from apps.mengla.models import Collection
from apps.mengla.queries.data_query import DataQuery
from apps.mengla.queue import ending, refusals, trace, turns
from apps.mengla.queue.documents import active_filter, joining_changes, new_document
from apps.mengla.store import outcomes
from apps.mengla.upstream import breaker
from apps.mengla.words import ERRORS

logger = structlog.get_logger(__name__)

_MAX_PAST_TOKENS = 20
_POST_MARGIN_SECONDS = 15
_UNUSABLE_ANSWERS = (CollectionError.UNREADABLE_PAYLOAD, CollectionError.UNSTORABLE_PAYLOAD)
_ENQUEUE_TRIES = 20
_TOKEN_BYTES = 24
_ID_INDEX = "_id_"
Document = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Enqueued:
    """The collection under way for a query, and whether this call created it."""

    collection: Document
    is_new: bool

    @property
    def collection_id(self) -> ObjectId:
        """The id of the collection."""
        return cast(ObjectId, self.collection["_id"])


@trace.traced_enqueue
def enqueue(
    query: DataQuery,
    *,
    priority: Priority,
    requested_by: str,
    run_id: str | None = None,
    is_forced: bool = False,
    caller: str = "",
) -> Enqueued:
    """Enqueue a query, or join the collection already under way for it.

    A joined collection gets the higher of both priorities. ``run_id`` is added to its runs; without
    ``run_id`` it is marked as requested by a reader. ``is_forced``: send it even if fresh figures are stored.

    :param caller: the key of a reader. A collection counts for the caller who enqueued it, or who made it a
        reader's by joining it; another one who joins it later waits for it at no cost.
    :raises TooManyWaiting: when as many collections of the caller wait as may, and this would be one more.
    :raises RuntimeError: when the collection ends again and again before it can be joined.
    """
    documents = collection_of(Collection)
    place: str | None = ""
    if priority == Priority.READER:
        place = turns.next_place(caller, now=utc_now())
    document = new_document(
        query,
        priority=priority,
        requested_by=requested_by,
        run_id=run_id,
        is_forced=is_forced,
        caller=caller,
        place=place or "",
    )
    joining = joining_changes(run_id=run_id, is_forced=is_forced)
    for _ in range(_ENQUEUE_TRIES):
        # In this order, because most callers are the first to enqueue their query.
        if place is not None:
            with suppress(DuplicateKeyError):
                documents.insert_one(document)
                return Enqueued(document, is_new=True)
        joined = _join(document, joining, is_at_bound=place is None)
        if joined is not None:
            return Enqueued(joined, is_new=False)
        if place is None:
            raise TooManyWaiting
    raise RuntimeError("The same collection kept starting and ending while it was enqueued.")


def _join(document: Document, changes: Document, *, is_at_bound: bool) -> Document | None:
    """Join the collection under way for the query of the document; returns None when there is none.

    ``is_at_bound``: no more collections of the caller may wait, so none of a lower priority becomes its own.
    """
    as_urgent: Document = {"priority": {"$lte": document["priority"]}}
    less_urgent: Document = {"priority": {"$gt": document["priority"]}}
    own = {name: document[name] for name in ("priority", "caller", "place")}
    if is_at_bound:
        less_urgent["status"], own = CollectionStatus.DISPATCHED.value, {}
    # Most are as urgent.
    for criteria, more_changes in ((as_urgent, {}), (less_urgent, own)):
        joined: Document | None = collection_of(Collection).find_one_and_update(
            active_filter(document["identity"]) | criteria,
            {"$set": changes | more_changes, "$addToSet": {"run_ids": {"$each": document["run_ids"]}}},
            return_document=ReturnDocument.AFTER,
        )
        if joined is not None:
            return joined
    return None


def claim(*, slot_count: int, is_probe: bool = False, prefers_untried: bool = False) -> Document | None:
    """Claim the next due collection for one attempt: the lowest priority number first, then the oldest.

    Those of readers are claimed in turns of their callers (:mod:`.turns`).

    Returns the document as DISPATCHED with a new attempt token, or None when nothing is due or no slot is
    free. One find-and-update is atomic, so two processes never claim the same collection.

    :param is_probe: for the probe of a half-open breaker. It may be a refused collection that is not due yet.
        One that has failed as a probe comes after all others, because it may be the cause of the failure.
    :param prefers_untried: first those without an attempt, to learn whether the service fails all of them.
    """
    due: Document = {"not_before": {"$lte": utc_now()}}
    wanted = [due]
    if is_probe:
        ready: Document = {"$or": [due, {"refused_since": {"$type": "date"}}]}
        wanted = [ready | {"has_failed_as_probe": {"$ne": True}}, ready]
    elif prefers_untried:
        wanted = [due | {"attempts": 0}, due]
    claims = (_claim(one, slot_count=slot_count, is_probe=is_probe) for one in wanted)
    return next((claimed for claimed in claims if claimed is not None), None)


def claim_many(limit: int, *, slot_count: int) -> list[Document]:
    """Claim up to ``limit`` due collections in the order of :func:`claim`, for requests sent together.

    Returns none when nothing is due or no slot is free. One update claims them all, so each costs a fraction
    of a :func:`claim`. The update is atomic for each collection, not for all of them: processes that try to
    claim the same ones claim different ones.
    """
    documents = collection_of(Collection)
    while slots := _free_slots(slot_count)[:limit]:
        now = utc_now()
        due: Document = {"status": CollectionStatus.PENDING.value, "not_before": {"$lte": now}}
        ids = turns.first_ids(due, limit=len(slots))
        if not ids:
            break
        tokens = [secrets.token_urlsafe(_TOKEN_BYTES) for _ in ids]
        number = {"$indexOfArray": [ids, "$_id"]}
        changes = _begin_attempt(
            token={"$arrayElemAt": [{"$literal": tokens}, number]},
            slot={"$arrayElemAt": [slots, number]},
            now=now,
        )
        with suppress(DuplicateKeyError):  # another process has claimed one of these slots
            documents.update_many(due | {"_id": {"$in": ids}}, changes, hint=_ID_INDEX)
        ours = documents.find({"_id": {"$in": ids}, "attempt_token": {"$in": tokens}}, hint=_ID_INDEX)
        claimed = sorted(ours, key=lambda document: ids.index(document["_id"]))
        if claimed:
            return claimed  # otherwise other processes have claimed them all: try the next ones
    return []


def _claim(wanted: Document, *, slot_count: int, is_probe: bool) -> Document | None:
    documents = collection_of(Collection)
    for slot in _free_slots(slot_count):
        token = {"$literal": secrets.token_urlsafe(_TOKEN_BYTES)}
        try:
            for line in turns.open_lines():
                claimed: Document | None = documents.find_one_and_update(
                    line.criteria | wanted,
                    _begin_attempt(token=token, slot=slot, now=utc_now(), is_probe=is_probe),
                    sort=line.order,
                    # It has the order of the sort; any other would sort the whole backlog at each claim.
                    hint=line.index,
                    return_document=ReturnDocument.AFTER,
                )
                if claimed is not None:
                    return claimed
        except DuplicateKeyError:
            continue  # another process has claimed this slot
        return None
    return None


def _begin_attempt(*, token: Any, slot: Any, now: datetime, is_probe: bool = False) -> list[Document]:
    """Return the update (an aggregation pipeline) that begins an attempt; token and slot are expressions."""
    lease = settings.COLLECT_REQUEST_TIMEOUT_SECONDS * 2 + _POST_MARGIN_SECONDS
    tokens = {"$concatArrays": ["$past_tokens", [token]]}
    # Which execution answered to which token; a version before this field has stored none.
    execution = {"$concat": ["$attempt_token", " ", "$execution_id"]}
    executions = {"$cond": [{"$eq": ["$execution_id", ""]}, [], [execution]]}
    executions = {"$concatArrays": [{"$ifNull": ["$past_executions", []]}, executions]}
    changes: Document = {
        "status": CollectionStatus.DISPATCHED.value,
        "attempts": {"$add": ["$attempts", 1]},
        "past_tokens": {"$slice": [tokens, -_MAX_PAST_TOKENS]},
        "past_executions": {"$slice": [executions, -_MAX_PAST_TOKENS]},
        "attempt_token": token,
        "execution_id": "",
        "is_probe": is_probe,
        "slot": slot,
        "lease_until": now + timedelta(seconds=lease),
        "dispatched_at": now,
        "updated_at": now,
    }
    return [{"$set": changes}]


@dataclass(frozen=True, slots=True)
class Accepted:
    """An attempt that the service accepted."""

    collection_id: ObjectId
    attempt_token: str
    execution_id: str


def mark_accepted(attempts: Iterable[Accepted]) -> None:
    """Store the execution ids of attempts that the service accepted, and extend their deadlines.

    One command does it for all, and costs little more than for one.
    """
    now = utc_now()
    deadline = now + timedelta(seconds=settings.MENGLA_TIMEOUT_SECONDS)
    # The webhook may have ended the collection already: then only the execution id is stored.
    is_open = {"$eq": ["$status", CollectionStatus.DISPATCHED.value]}
    changes: Document = {
        "lease_until": {"$cond": [is_open, deadline, "$lease_until"]},
        "updated_at": {"$cond": [is_open, now, "$updated_at"]},
    }
    updates = [
        UpdateOne(
            {"_id": one.collection_id, "attempt_token": one.attempt_token},
            [{"$set": changes | {"execution_id": {"$literal": one.execution_id}}}],
        )
        for one in attempts
    ]
    collection_of(Collection).bulk_write(updates, ordered=False)


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

    A late success also ends a collection that waits for its retry, has failed or was empty; one that was
    cancelled stays so. An empty answer counts only for the current attempt, named by its token.

    :param was_sent: false if the collection ended without a request to the service.
    :param requesters: of :func:`~.documents.requesters_of`; when they have changed, nothing is done and the
        result is False.
    :param are_caches_notified: remove the mark that the caches have to be notified.
    """
    criteria: Document = {"_id": collection_id} | (requesters or {})
    if status == CollectionStatus.SUCCEEDED:
        ended = [CollectionStatus.SUCCEEDED.value, CollectionStatus.CANCELLED.value]
        criteria["status"] = {"$nin": ended}
    else:
        criteria |= {"status": CollectionStatus.DISPATCHED.value, "attempt_token": attempt_token}
    changes = {
        "empty_reason": empty_reason.value if empty_reason else "",
        "error_code": "",
        **ERRORS.stored(""),
    }
    unmark = {"is_cache_pending": False} if are_caches_notified else {}
    outcome = AttemptOutcome.NOT_SENT if not was_sent else AttemptOutcome.ANSWERED
    if was_sent and status == CollectionStatus.EMPTY:
        outcome = AttemptOutcome.EMPTY
    before = ending.end(criteria, status, changes | unmark, outcome, attempt_token=attempt_token)
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
    retry_after_seconds: float = 0.0,
) -> CollectionStatus | None:
    """Fail the current attempt: the collection is PENDING again, or FAILED after its last attempt.

    No attempt follows a permanent error (``is_permanent``), or when only runs requested the collection and
    all of them have ended. The failed execution of a probe does not count as an attempt, because
    the service is not known to work. Returns the new status, or None when this attempt is no longer the
    current one.

    :param retry_after_seconds: the least delay before the next attempt.
    """
    current = ending.find_attempt(collection_id, attempt_token)
    if current is None:
        return None
    is_probe = bool(current.get("is_probe"))
    if _is_failed_execution(current, error):
        breaker.record_failed_execution(str(collection_id), error, is_probe=is_probe)
    elif is_probe and error in _UNUSABLE_ANSWERS:
        # Elsewhere it says nothing about the service; a probe that is repeated at once would cost it work.
        breaker.record_failed_execution(str(collection_id), CollectionError.EXECUTION_FAILED, is_probe=True)
    elif is_probe:
        breaker.release_permission()
    outcome = ending.failed_outcome(error)
    if is_probe and not is_permanent:
        return refusals.put_back(
            collection_id, attempt_token=attempt_token, error=error, message=message, outcome=outcome
        )
    reason = {"error_code": error.value} | ERRORS.stored(message)
    is_last = current["attempts"] >= settings.COLLECT_MAX_ATTEMPTS
    if is_permanent or is_last or not ending.is_still_requested(current):
        return ending.end_attempt(current, CollectionStatus.FAILED, reason, outcome, reason=error.value)
    pause = timedelta(seconds=max(settings.COLLECT_RETRY_DELAY_SECONDS, retry_after_seconds))
    changes = reason | {"not_before": utc_now() + pause, "refused_since": None}
    if not ending.return_to_queue(current, changes, outcome):
        return None
    outcomes.count_retry(current, error.value)
    return CollectionStatus.PENDING


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


def _is_failed_execution(attempt: Document, error: CollectionError) -> bool:
    """Whether the service took the collection, and its execution failed or was never answered."""
    if error is CollectionError.TIMEOUT:
        return bool(attempt["execution_id"])
    return error is CollectionError.EXECUTION_FAILED
