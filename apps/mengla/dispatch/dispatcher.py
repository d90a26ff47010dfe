"""The dispatcher: sends the queue to the collection service.

It runs as a task of the worker cluster and holds a lease, so that one dispatcher runs in the whole
installation. The lease is not needed for correctness: claims, slots and turns are atomic.

With an interval it sends one request at a time. Without one it sends as many at the same time as there are
slots, from a few threads; but one at a time again while the breaker has doubts about the service.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from typing import Any
from urllib.parse import urlencode

import redis
import structlog
from django.conf import settings
from redis.lock import Lock

from apps.core.storage.locks import lease_of
from apps.core.storage.redis import get_redis
from apps.mengla.choices import CollectionError, CollectionStatus
from apps.mengla.dispatch import stored_meanwhile
from apps.mengla.dispatch.senders import Senders
from apps.mengla.ingest import receive
from apps.mengla.queue import abandoned, jobs, refusals, trace, turns, wakeup
from apps.mengla.store import selectors
from apps.mengla.upstream import breaker
from apps.mengla.upstream.client import CollectionServiceClient
from apps.mengla.upstream.errors import Fault, UpstreamError
from apps.mengla.words import UNUSABLE

logger = structlog.get_logger(__name__)

# Short, so that a long queue does not delay the stop of a worker; the next wake-up continues.
MAX_RUN_SECONDS = 10.0
LEASE_NAME = wakeup.DISPATCH_LEASE
_LEASE_TTL_SECONDS = 6.0
_LEASE_RENEW_SECONDS = 1.5
_MAX_NAP_SECONDS = 0.25
# A longer wait does not occupy a worker: the dispatch ends, and a timer wakes the dispatcher.
_MAX_IDLE_WAIT_SECONDS = 10.0
_MAX_SENDERS = 8
# How long a dispatcher that sends several requests at the same time waits for a free slot before it ends.
_LINGER_SECONDS = 0.5
_LINGER_POLL_SECONDS = 0.02  # long enough for several slots to become free, which are claimed together
Document = dict[str, Any]
Documents = list[Document]


@dataclass(frozen=True, slots=True)
class _Pause:
    """Nothing can be sent now; look again after ``seconds``, or at the next wake-up if they are None."""

    seconds: float | None


def run_dispatch(*, max_seconds: float = MAX_RUN_SECONDS) -> int:
    """Send due collections until none is left or the time is over; returns how many requests were sent.

    :raises redis.RedisError: when Redis does not respond; the next tick tries again.
    """
    if not settings.COLLECT_SERVICE_URL:
        logger.info("dispatch_skipped", reason="COLLECT_SERVICE_URL is not set")
        return 0
    client = get_redis()
    wakeup.begin_dispatch(client)
    deadline = time.monotonic() + max_seconds
    sent = 0
    while True:
        lease = lease_of(LEASE_NAME, ttl_seconds=_LEASE_TTL_SECONDS)
        if not lease.acquire():
            wakeup.request_rerun(client)
            if not lease.acquire():  # the holder may have released the lease before it saw the request
                return sent
        with CollectionServiceClient() as service, _keep_alive(lease, service, until=deadline) as is_lost:
            wakeup.consume_rerun_request(client)
            abandoned.end_claims()
            sent += _send_all_due(service, deadline=deadline, is_lost=is_lost)
        if is_lost.is_set() or time.monotonic() >= deadline:
            wakeup.wake_dispatcher_anew()
            return sent
        if not wakeup.consume_rerun_request(client):
            return sent


def _send_all_due(service: CollectionServiceClient, *, deadline: float, is_lost: threading.Event) -> int:
    count = min(settings.MAX_INFLIGHT_REQUESTS, _MAX_SENDERS) if service.allows_several else 1
    with Senders(count) as senders:
        while time.monotonic() < deadline and not is_lost.is_set():
            if not senders.wait_for_idle(_MAX_NAP_SECONDS):
                continue
            pause = _send_next(service, senders)
            if pause is None:
                continue
            if pause.seconds is None:
                if not _is_woken(senders, until=deadline, is_lost=is_lost):
                    break
                continue
            # What was sent before says whether the service works, and ends before a probe begins.
            senders.wait_for_all()
            if pause.seconds > _MAX_IDLE_WAIT_SECONDS:
                wakeup.alarm.set(pause.seconds)
                break
            # Sleep briefly, so that a reader's miss that arrives meanwhile is sent soon.
            time.sleep(min(pause.seconds, _MAX_NAP_SECONDS))
    return senders.sent


def _is_woken(senders: Senders, *, until: float, is_lost: threading.Event) -> bool:
    """Wait a moment for a wake-up after requests were sent at the same time; returns whether one came.

    A service that answers within this time frees slots faster than a worker begins a new dispatch.
    """
    client = get_redis()
    end_at = min(until, senders.used_at + _LINGER_SECONDS)
    while time.monotonic() < end_at and not is_lost.is_set():
        if wakeup.consume_rerun_request(client):
            return True
        time.sleep(_LINGER_POLL_SECONDS)
    return False


def _send_next(service: CollectionServiceClient, senders: Senders) -> _Pause | None:
    """Do the next step; returns the pause after it, if any."""
    permission = _permission_of_request(service, is_under_way=senders.is_used)
    if isinstance(permission, _Pause):
        return permission
    is_alone = senders.count == 1 or permission.is_probe or permission.is_suspicious
    if is_alone and senders.idle_count < senders.count:
        _release(service)
        senders.wait_for_all()
        return None
    managed_task_id = None if permission.must_list_tasks else service.known_managed_task_id()
    if managed_task_id is None:
        senders.wait_for_all()
        _look_up_task(service)
        return None
    if is_alone:
        return _send_one(service, senders, managed_task_id, permission)
    return _send_several(service, senders, managed_task_id)


def _send_one(
    service: CollectionServiceClient, senders: Senders, managed_task_id: str, permission: breaker.Permission
) -> _Pause | None:
    collection = jobs.claim(
        slot_count=settings.MAX_INFLIGHT_REQUESTS,
        is_probe=permission.is_probe,
        prefers_untried=permission.is_suspicious,
    )
    if collection is not None:
        (stored,) = stored_meanwhile.find([collection])
        senders.sent += _send_claimed(service, senders, collection, stored, managed_task_id)
        return None
    if permission.is_probe and not turns.has_waiting():
        _look_up_task(service, is_idle=True)
        return None
    _release(service)
    return _Pause(None)


def _send_several(service: CollectionServiceClient, senders: Senders, managed_task_id: str) -> _Pause | None:
    """Send as many collections as there are idle threads, free slots and due collections."""
    wanted = senders.idle_count
    claimed = jobs.claim_many(wanted, slot_count=settings.MAX_INFLIGHT_REQUESTS)
    for collection, stored in zip(claimed, stored_meanwhile.find(claimed), strict=True):
        senders.submit(partial(_send_claimed, service, senders, collection, stored, managed_task_id))
    if len(claimed) == wanted:
        return None
    # No more slots are free, or no more collections are due: the next ones may be due soon.
    return _Pause((None if claimed else turns.seconds_until_due()) or None)


def _send_claimed(
    service: CollectionServiceClient,
    senders: Senders,
    collection: Document,
    stored: Documents | None,
    managed_task_id: str,
) -> bool:
    """Send a claimed collection, or end it without a request; returns whether a request was sent.

    ``stored``: what :func:`.stored_meanwhile.find` has found for it.
    """
    with structlog.contextvars.bound_contextvars(collection_id=str(collection["_id"])):
        try:
            if stored is None:
                _send(service, senders, collection, managed_task_id)
                return True
            stored_meanwhile.finish(collection, stored)
        except selectors.UNUSABLE_ERRORS as error:
            # The document holds no valid query: another program wrote it. It must not stop the queue.
            logger.exception("collection_unusable")
            _fail(collection, CollectionError.UNKNOWN, UNUSABLE(error=type(error).__name__))
        _release(service)
        _note_free_slot(service)
        return False


def _permission_of_request(
    service: CollectionServiceClient, *, is_under_way: bool
) -> breaker.Permission | _Pause:
    """Claim the turn and the breaker's permission for a request; returns the permission, or a pause.

    ``is_under_way``: several requests were just sent together, so something is probably due; the claim will
    find out, and whether a slot is free.
    """
    due_in_seconds: float | None = 0.0
    if not is_under_way:
        due_in_seconds = turns.seconds_until_due()
        if due_in_seconds is not None and not selectors.has_free_slot(settings.MAX_INFLIGHT_REQUESTS):
            return _Pause(None)
    permission = breaker.ask_permission()
    if permission.has_closed:
        refusals.end_outage()
    if permission.has_closed or (is_under_way and permission.wait_seconds > 0):
        due_in_seconds = turns.seconds_until_due()
    if permission.wait_seconds > 0:
        return _Pause(None if due_in_seconds is None else permission.wait_seconds)
    # A probe does not wait until a collection is due, or is there at all: the service may work long before.
    if due_in_seconds != 0 and not permission.is_probe:
        return _Pause(due_in_seconds)
    if (wait_seconds := service.claim_turn()) > 0:
        breaker.release_permission()
        return _Pause(wait_seconds)
    return permission


def _note_free_slot(service: CollectionServiceClient) -> None:
    """Let the dispatcher look for the next collection; no webhook will say that this slot is free."""
    if service.allows_several:
        wakeup.wake_dispatcher()


def _release(service: CollectionServiceClient) -> None:
    service.release_turn()
    breaker.release_permission()


def _look_up_task(service: CollectionServiceClient, *, is_idle: bool = False) -> None:
    """Look up the id of the managed task. A failure concerns no collection; the breaker counts it.

    ``is_idle``: it is the probe of a half-open breaker, and no collection waits.
    """
    try:
        service.look_up_managed_task_id()
    except UpstreamError as error:
        logger.warning("task_list_failed", error=error.error.value, reason=error.message)
    else:
        if is_idle:
            breaker.record_listed_idle()
    breaker.release_permission()


def _send(
    service: CollectionServiceClient, senders: Senders, collection: Document, managed_task_id: str
) -> None:
    try:
        with trace.attempt(collection) as span:
            execution_id = service.execute(
                managed_task_id=managed_task_id,
                parameters=selectors.query_of(collection).service_parameters(),
                webhook_url=_webhook_url(collection),
            )
            span.set({"mengla.execution_id": execution_id})
    except UpstreamError as error:
        _end_attempt(collection, error)
        _note_free_slot(service)
        return
    logger.info(
        "collection_sent",
        identity=collection["identity"],
        attempt=collection["attempts"],
        execution_id=execution_id,
    )
    senders.confirm(jobs.Accepted(collection["_id"], collection["attempt_token"], execution_id))
    receive.receive_parked(execution_id)


def _end_attempt(collection: Document, error: UpstreamError) -> None:
    """Fail the attempt, or put the collection back if the failure is the service's fault."""
    if error.fault is Fault.COLLECTION:
        _fail(collection, error.error, error.message)
        return
    breaker.release_permission()
    status = refusals.put_back(
        collection["_id"],
        attempt_token=collection["attempt_token"],
        error=error.error,
        message=error.message,
        must_pause=error.fault in (Fault.OUTAGE, Fault.REFUSAL),
        retry_after_seconds=error.retry_after_seconds if error.fault is Fault.OUTAGE else None,
    )
    _log_not_accepted(collection, error.error, error.message, status)


def _fail(collection: Document, error: CollectionError, message: str) -> None:
    """Fail the collection: the service would refuse the same request again."""
    status = jobs.fail_attempt(
        collection["_id"],
        attempt_token=collection["attempt_token"],
        error=error,
        message=message,
        is_permanent=True,
    )
    _log_not_accepted(collection, error, message, status)


def _log_not_accepted(
    collection: Document, error: CollectionError, message: str, status: CollectionStatus | None
) -> None:
    logger.warning(
        "collection_not_accepted",
        collection_id=str(collection["_id"]),
        identity=collection["identity"],
        error=error.value,
        reason=message,
        new_status=status and status.value,
    )


def _webhook_url(collection: Document) -> str:
    name = urlencode({"collection": str(collection["_id"]), "token": collection["attempt_token"]})
    return f"{settings.MENGLA_WEBHOOK_URL}?{name}"


@contextmanager
def _keep_alive(lease: Lock, service: CollectionServiceClient, *, until: float) -> Iterator[threading.Event]:
    """Renew the lease and the turn from a thread during the block, and release the lease at the end.

    The event is set when the lease is lost; the turn of a request in progress is renewed even then. The
    thread stops renewing some time after ``until``, so that a request that hangs does not hold them forever.
    """
    is_lost, is_over = threading.Event(), threading.Event()
    give_up_at = until + 3 * settings.COLLECT_REQUEST_TIMEOUT_SECONDS

    def renew() -> None:
        while not is_over.wait(_LEASE_RENEW_SECONDS):
            if time.monotonic() >= give_up_at:
                is_lost.set()
                return
            service.renew_turn()
            try:
                if not is_lost.is_set():
                    lease.reacquire()
            except redis.RedisError:
                is_lost.set()

    thread = threading.Thread(target=renew, name="dispatch-lease", daemon=True)
    thread.start()
    try:
        yield is_lost
    finally:
        is_over.set()
        thread.join()
        with suppress(redis.RedisError):  # it expires by itself, or is lost already
            lease.release()
