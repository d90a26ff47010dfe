"""Reads and resets the circuit breaker, for operators."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

import structlog
from django.conf import settings

from apps.core.storage.mongo import utc_now
from apps.mengla.queue.wakeup import wake_dispatcher_anew
from apps.mengla.upstream import breaker

audit = structlog.get_logger("collector.audit")

NAME = "collection_service"


@dataclass(frozen=True, slots=True)
class BreakerStatus:
    """The breaker with its thresholds; ``next_probe_at`` (UTC without zone) is None if no probe is due."""

    name: str
    state: str
    failures: int
    successes: int
    failure_threshold: int
    success_threshold: int
    open_seconds: float
    next_probe_seconds: float
    next_probe_at: datetime | None


def read_breaker() -> BreakerStatus:
    """Return the state of the breaker.

    :raises redis.RedisError: when Redis does not respond.
    """
    snapshot = breaker.read_snapshot()
    wait_seconds = snapshot.next_probe_seconds
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
    )


def reset_breaker(*, reset_by: str) -> BreakerStatus:
    """Close the breaker, reset its counts and wake the dispatcher; returns the new state.

    :raises redis.RedisError: when Redis does not respond.
    """
    breaker.reset()
    audit.info("breaker_reset", breaker=NAME, reset_by=reset_by)
    wake_dispatcher_anew()
    return read_breaker()
