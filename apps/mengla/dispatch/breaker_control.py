"""Reads and resets the circuit breaker, for operators."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

import structlog
from django.conf import settings

from apps.core.storage.mongo import utc_now
from apps.mengla.choices import CollectionError
from apps.mengla.dispatch import waiting
from apps.mengla.queue.wakeup import wake_dispatcher_anew
from apps.mengla.upstream import breaker, spacing

audit = structlog.get_logger("collector.audit")

NAME = "collection_service"
# The setting to correct, for reasons that do not end by themselves.
SETTING_OF = {
    CollectionError.UNAUTHORIZED: "COLLECT_SERVICE_API_KEY",
    CollectionError.UNKNOWN_TASK: "COLLECT_TASK_NAME",
    CollectionError.REJECTED: "COLLECT_SERVICE_URL",
}


@dataclass(frozen=True, slots=True)
class BreakerStatus:
    """The breaker with its thresholds.

    ``reason`` is the error that opened it, ``since`` when it opened, ``message`` says both to people; all are
    None while it is closed. ``next_probe_at`` is None if no probe is due. Instants are UTC without zone.
    """

    name: str
    state: str
    failures: int
    successes: int
    failure_threshold: int
    success_threshold: int
    open_seconds: float
    next_probe_seconds: float
    next_probe_at: datetime | None
    reason: str | None = None
    since: datetime | None = None
    message: str | None = None


def read_breaker() -> BreakerStatus:
    """Return the state of the breaker.

    :raises redis.RedisError: when Redis does not respond.
    """
    snapshot = breaker.read_snapshot()
    wait_seconds = snapshot.next_probe_seconds
    outage = waiting.outage(snapshot)
    return BreakerStatus(
        name=NAME,
        state=snapshot.state.value,
        failures=snapshot.failures,
        successes=snapshot.successes,
        failure_threshold=settings.CB_FAILURE_THRESHOLD,
        success_threshold=settings.CB_SUCCESS_THRESHOLD,
        open_seconds=settings.CB_TIMEOUT,
        next_probe_seconds=round(wait_seconds, 1),
        next_probe_at=utc_now() + timedelta(seconds=wait_seconds) if wait_seconds else None,
        reason=snapshot.reason and snapshot.reason.value,
        since=None if outage is None else outage.since,
        message=None if outage is None else outage.message,
    )


def reset_breaker(*, reset_by: str) -> bool:
    """Close the breaker, reset its counts, end a pause of the service, and wake the dispatcher.

    Returns False when there was nothing to reset.

    :raises redis.RedisError: when Redis does not respond.
    """
    is_changed = breaker.reset()
    is_changed = spacing.end_pause() or is_changed
    if is_changed:
        audit.info("breaker_reset", breaker=NAME, reset_by=reset_by)
    wake_dispatcher_anew()  # also then: the reset before this one may have failed here
    return is_changed
