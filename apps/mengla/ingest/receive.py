"""Processes the collection service's answers: stores them, notifies the caches, ends the collection.

Every step may be repeated: a duplicate writes the same records again and finds the collection ended.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from enum import StrEnum
from typing import Any, cast

import structlog
from django.db.utils import DatabaseError
from django.utils.translation import gettext as _
from pymongo.errors import PyMongoError

from apps.core import tracing
from apps.core.errors import InvalidInput
from apps.core.storage.mongo import utc_now
from apps.core.storage.outages import is_mongo_outage
from apps.core.time_texts import seconds_between
from apps.mengla.choices import CollectionError, CollectionStatus, EmptyReason
from apps.mengla.ingest import cache_sync, parked, records
from apps.mengla.queries.data_query import DataQuery
from apps.mengla.queue import jobs, trace
from apps.mengla.queue.documents import has_reader, requesters_of
from apps.mengla.queue.wakeup import wake_dispatcher
from apps.mengla.store import selectors
from apps.mengla.upstream import breaker
from apps.mengla.upstream.payloads import (
    UnreadablePayload,
    UnstorablePayload,
    Unwrapped,
    split_trend_points,
    unwrap,
)
from apps.mengla.upstream.webhook_body import Body, UnreadableBody
from apps.mengla.upstream.webhook_messages import WebhookKind, WebhookMessage, parse_webhook
from apps.mengla.words import NO_RESULT

logger = structlog.get_logger(__name__)

Document = Mapping[str, Any]


class Receipt(StrEnum):
    """How a webhook was processed; returned to the service as ``data.status``."""

    HEARTBEAT = "heartbeat"
    STORED = "stored"
    EMPTY = "empty"
    FAILED = "failed"
    DUPLICATE = "duplicate"
    PARKED = "parked"


def has_valid_token(*, collection_id: str | None, token: str | None) -> bool:
    """Whether the webhook's URL carries the token of an attempt at this collection."""
    return _find_named(collection_id, token) is not None


def receive_webhook(body: Body | UnreadableBody, *, collection_id: str | None, token: str | None) -> Receipt:
    """Process one verified webhook; ``collection_id`` and ``token`` come from its URL.

    A webhook whose collection is not known is parked for half an hour, because the request that started the
    execution may still be in progress.

    :raises InvalidInput: when the body is a list or unreadable, and the URL names no known attempt.
    """
    if isinstance(body, UnreadableBody):
        return _receive_unreadable(body.reason, collection_id=collection_id, token=token)
    message = parse_webhook(body)
    if message.kind is WebhookKind.HEARTBEAT:
        return Receipt.HEARTBEAT
    collection = _find(message, collection_id=collection_id, token=token)
    if collection is not None:
        return _process(message, collection, token=token)
    if isinstance(body, list):
        raise InvalidInput(_("The body must be a JSON object."))
    if message.execution_id is None:
        logger.warning("webhook_unknown", collection_id=collection_id)
        return Receipt.PARKED
    parked.park(message.execution_id, body)
    # The execution id may have been stored after the search and before the parking.
    found = selectors.find_collection_by_execution(message.execution_id)
    if found is not None and parked.unpark(message.execution_id) is not None:
        return _process(message, found, token=None)
    logger.warning("webhook_unknown", execution_id=message.execution_id)
    return Receipt.PARKED


def receive_or_defer(body: Body | UnreadableBody, *, collection_id: str | None, token: str | None) -> Receipt:
    """Process a verified webhook; while MongoDB is down it is parked in Redis for the tick.

    An unreadable body is parked as the text of its reason.

    :raises InvalidInput: as :func:`receive_webhook` does.
    :raises pymongo.errors.PyMongoError: when it cannot be parked either; the service has to repeat it.
    """
    try:
        return receive_webhook(body, collection_id=collection_id, token=token)
    except (PyMongoError, DatabaseError) as error:
        parts = body.reason if isinstance(body, UnreadableBody) else body
        if not is_mongo_outage(error) or not parked.defer([parts, collection_id, token]):
            raise
        logger.warning("webhook_deferred", collection_id=collection_id, error=type(error).__name__)
        return Receipt.PARKED


def receive_deferred(*, limit: int = 100) -> int:
    """Process the webhooks that arrived while MongoDB was down; returns how many. Part of the tick."""
    packed_webhooks = parked.list_deferred(limit=limit)
    for packed in packed_webhooks:
        try:
            body, collection_id, token = parked.unpack(packed)
            if isinstance(body, str):
                body = UnreadableBody(body)
            receive_webhook(body, collection_id=collection_id, token=token)
        except Exception as error:
            if is_mongo_outage(error):
                raise
            # It is dropped: it would fail at every tick and block the rest of the tick.
            logger.exception("deferred_answer_dropped")
        # Removed last: if the process is killed before, the next tick repeats it, which changes nothing.
        parked.remove_deferred(packed)
    return len(packed_webhooks)


def receive_parked(execution_id: str) -> None:
    """Process the webhook, if any, that arrived before its execution id was stored."""
    body = parked.unpark(execution_id)
    if body is not None:
        receive_or_defer(body, collection_id=None, token=None)


def _find(message: WebhookMessage, *, collection_id: str | None, token: str | None) -> Document | None:
    """Return the collection that the message is about, None when it is not known.

    The body is signed and its URL is not, so an execution id in the body decides: a client that saw a genuine
    call and the URL of another collection must not store the figures of one as those of the other. The URL
    decides when the body names no execution, and while that of its attempt is not noted: the service may
    answer before it has responded to our request.
    """
    named = _find_named(collection_id, token)
    if named is None or message.execution_id is None:
        return named or selectors.find_collection_by_execution(message.execution_id or "")
    expected = _execution_of(named, token)
    if expected == message.execution_id:
        return named
    of_execution = selectors.find_collection_by_execution(message.execution_id)
    if of_execution is None and not expected:
        return named
    if of_execution is None or of_execution["_id"] != named["_id"]:
        logger.warning(
            "webhook_of_another_execution",
            collection_id=collection_id,
            execution_id=message.execution_id,
            expected=expected,
        )
    return of_execution


def _execution_of(collection: Document, token: str | None) -> str:
    """Return the execution that was noted for the attempt with this token; empty if none was."""
    if token == collection["attempt_token"]:
        return str(collection["execution_id"])
    noted: dict[str | None, str] = dict(one.split(" ", 1) for one in collection.get("past_executions", ()))
    return noted.get(token, "")


def _receive_unreadable(reason: str, *, collection_id: str | None, token: str | None) -> Receipt:
    collection = _find_named(collection_id, token)
    if collection is None or token is None:
        raise InvalidInput(_("The body must be a JSON object."))
    with structlog.contextvars.bound_contextvars(collection_id=collection_id):
        receipt = _fail(collection, token, CollectionError.UNREADABLE_PAYLOAD, reason)
    if receipt is not Receipt.DUPLICATE:
        wake_dispatcher()
    return receipt


def _find_named(collection_id: str | None, token: str | None) -> Document | None:
    """Return the collection if the webhook's URL names an attempt at it, otherwise None."""
    collection = selectors.find_collection(collection_id) if collection_id and token else None
    return collection if collection is not None and _known_token(collection, token) else None


def _known_token(collection: Document, token: str | None) -> str | None:
    """Return the token if it is of an attempt at this collection, otherwise None."""
    if token is None:
        return None
    past_tokens = collection["past_tokens"]
    is_known = any(secrets.compare_digest(token.encode(), known.encode()) for known in past_tokens)
    return token if is_known else None


def _process(message: WebhookMessage, collection: Document, *, token: str | None) -> Receipt:
    # Without a valid token the collection was found by execution id, which names its current attempt.
    attempt_token = _known_token(collection, token) or collection["attempt_token"]
    bound = structlog.contextvars.bound_contextvars(collection_id=str(collection["_id"]))
    with bound, trace.answer(collection) as span:
        if message.error_message is not None:
            receipt = _fail(
                collection, attempt_token, CollectionError.EXECUTION_FAILED, message.error_message
            )
        else:
            receipt = _store(message, collection, attempt_token)
        span.set({"mengla.receipt": receipt.value})
        logger.info("webhook_taken", receipt=receipt.value, identity=collection["identity"])
    if receipt is not Receipt.DUPLICATE:
        wake_dispatcher()
    return receipt


def _store(message: WebhookMessage, collection: Document, attempt_token: str) -> Receipt:
    if collection["status"] == CollectionStatus.SUCCEEDED:
        return Receipt.DUPLICATE  # storing it again would make old figures look new
    is_late = (
        collection["status"] != CollectionStatus.DISPATCHED or attempt_token != collection["attempt_token"]
    )
    query = selectors.query_of(collection)
    try:
        answers = _answers(query, _unwrapped(query, message))
        is_empty = all(answer.empty_reason is not None for answer in answers)
        if is_late and is_empty:
            return Receipt.DUPLICATE  # a late empty answer changes nothing
        if not (is_late and _has_newer_figures(query, collection)):
            # Marked before the write: if the process is killed after it, the tick notifies the caches.
            jobs.mark_cache_pending(collection["_id"])
            with tracing.span("store figures", attributes={"mengla.records": len(answers)}):
                records.store_answers(query, answers, _provenance(collection, attempt_token))
    except UnreadablePayload as error:
        return _fail(collection, attempt_token, CollectionError.UNREADABLE_PAYLOAD, error.args[0])
    except UnstorablePayload as error:
        return _fail(collection, attempt_token, CollectionError.UNSTORABLE_PAYLOAD, error.args[0])
    are_caches_notified = cache_sync.refresh_cache(query, has_reader=has_reader(collection))
    empty_reason = answers[0].empty_reason if is_empty else None
    if not _finish(query, collection, attempt_token, empty_reason, are_caches_notified=are_caches_notified):
        return Receipt.DUPLICATE
    breaker.record_answer()
    return Receipt.EMPTY if is_empty else Receipt.STORED


def _finish(
    query: DataQuery,
    collection: Document,
    attempt_token: str,
    empty_reason: EmptyReason | None,
    *,
    are_caches_notified: bool,
) -> bool:
    """End the collection; returns False when it had ended before.

    Requesters that joined while its answer was being stored are first added to the records.
    """
    while not jobs.finish(
        collection["_id"],
        status=CollectionStatus.EMPTY if empty_reason else CollectionStatus.SUCCEEDED,
        empty_reason=empty_reason,
        attempt_token=attempt_token,
        requesters=requesters_of(collection),
        are_caches_notified=are_caches_notified,
    ):
        now = selectors.find_collection(str(collection["_id"]))
        if now is None or requesters_of(now) == requesters_of(collection):
            return False
        records.add_requesters(query, now)
        collection = now
    return True


def _has_newer_figures(query: DataQuery, collection: Document) -> bool:
    """Whether figures that are newer than a late answer are stored for the whole query.

    Those are newer that were collected after this collection had ended, because all its attempts had begun
    before. Fresh ones from before it are not: it was to renew them.
    """
    if (ended_at := collection["finished_at"]) is None:
        return False
    stored = selectors.find_records_collected_after(query, ended_at)
    return stored is not None and not any(record["is_empty"] for record in stored)


def _unwrapped(query: DataQuery, message: WebhookMessage) -> Unwrapped:
    unwrapped = unwrap(query.action, message.result)
    if unwrapped.is_empty and not message.has_result_key:
        raise UnreadablePayload(NO_RESULT(detail=unwrapped.detail or ""))
    return unwrapped


def _answers(query: DataQuery, unwrapped: Unwrapped) -> list[records.Answer]:
    if query.is_trend:
        return _trend_answers(query, unwrapped)
    return [records.Answer(query.start, unwrapped.data, unwrapped.empty_reason)]


def _trend_answers(query: DataQuery, unwrapped: Unwrapped) -> list[records.Answer]:
    """Return one answer per requested period; points outside the range are ignored."""
    if unwrapped.empty_reason is not None:
        return [records.Answer(period, None, unwrapped.empty_reason) for period in query.periods]
    points = split_trend_points(
        cast("list[Mapping[str, Any]]", unwrapped.data), granularity=query.granularity
    )
    answers = [
        records.Answer(
            period,
            points.get(period.key),
            None if period.key in points else EmptyReason.MISSING_POINT,
        )
        for period in query.periods
    ]
    unexpected_count = len(points) - sum(answer.empty_reason is None for answer in answers)
    if unexpected_count:
        logger.warning("trend_points_outside_range", count=unexpected_count)
    return answers


def _provenance(collection: Document, attempt_token: str) -> records.Provenance:
    now = utc_now()
    sent_at = collection["dispatched_at"]
    # It is not known when an earlier attempt was sent. It was after the collection was enqueued.
    is_current = attempt_token == collection["attempt_token"]
    return records.Provenance(
        collection_id=str(collection["_id"]),
        run_ids=collection["run_ids"],
        has_reader=has_reader(collection),
        collected_at=now,
        duration_ms=int(seconds_between(sent_at, now) * 1000) if sent_at else None,
        asked_at=sent_at if sent_at and is_current else collection["created_at"],
    )


def _fail(collection: Document, attempt_token: str, error: CollectionError, message: str) -> Receipt:
    status = jobs.fail_attempt(collection["_id"], attempt_token=attempt_token, error=error, message=message)
    if status is None:
        return Receipt.DUPLICATE
    logger.warning("collection_attempt_failed", error=error.value, reason=message, new_status=status.value)
    return Receipt.FAILED
