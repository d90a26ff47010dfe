"""Notices within seconds what the tick would repair within a minute.

A wake-up may be lost: with the process that sent, pulled or ran it, or with Redis. So each worker cluster
with an idle worker looks here every few seconds. This repairs nothing: it wakes the dispatcher or the tick.
"""

from __future__ import annotations

import redis
import structlog
from django.conf import settings

from apps.core.scheduling.broker import send_task
from apps.core.storage.locks import lease_key
from apps.core.storage.redis import KEY_PREFIX, get_redis, tolerate_redis_outage
from apps.mengla.ingest import parked
from apps.mengla.queue import abandoned, overdue, turns, wakeup
from apps.mengla.store import selectors
from apps.mengla.upstream import breaker, spacing
from apps.mengla.upstream.breaker import BreakerState
from apps.sync_tasks import selectors as run_selectors

logger = structlog.get_logger(__name__)

TICK_TASK = "apps.mengla.tasks.tick"
_TICK_SENT_KEY = f"{KEY_PREFIX}tick:sent"
_TICK_SENT_SECONDS = 5  # the least time between two; a lost message delays the next one by no more


def look() -> None:
    """Wake the dispatcher or the tick if it has work and does not seem to run.

    :raises redis.RedisError: when Redis does not respond.
    :raises pymongo.errors.PyMongoError: when MongoDB does not respond.
    """
    if _is_dispatcher_idle():
        logger.info("dispatcher_found_idle")
        wakeup.wake_dispatcher()
    if parked.has_deferred() or overdue.has_overdue() or run_selectors.list_unplanned(1):
        tolerate_redis_outage(_send_tick, None)


def _is_dispatcher_idle() -> bool:
    """Whether something can be sent, no dispatcher is at work, and none was woken a moment ago."""
    if not settings.COLLECT_SERVICE_URL or wakeup.is_dispatch_expected():
        return False
    # A request is in progress, or the interval after it.
    if get_redis().exists(lease_key(spacing.LEASE_NAME)):
        return False
    snapshot = breaker.read_snapshot()
    if snapshot.next_probe_seconds > 0 or snapshot.probe_seconds > 0:
        return False
    if abandoned.has_claims():
        return True
    # A probe does not wait for a collection.
    is_due = snapshot.state != BreakerState.CLOSED or turns.seconds_until_due() == 0
    return is_due and selectors.has_free_slot(settings.MAX_INFLIGHT_REQUESTS)


def _send_tick(client: redis.Redis) -> None:
    if client.set(_TICK_SENT_KEY, 1, nx=True, ex=_TICK_SENT_SECONDS):
        logger.info("tick_sent_early")
        send_task(TICK_TASK, group="tick")
