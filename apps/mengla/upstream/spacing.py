"""Spaces the requests to the collection service, across all processes and hosts.

A caller claims a turn before its request and ends the turn after the answer; the interval begins only then.
So two requests never *arrive* closer together than the interval, however long the first one takes. A turn
has one owner. A process that was suspended until its turn expired and went to another caller can no longer
end or release it.
"""

from __future__ import annotations

from contextlib import suppress
from typing import cast

import redis
import structlog
from django.conf import settings
from redis.exceptions import LockError

from apps.core.storage.locks import lease_of
from apps.core.storage.redis import get_redis

logger = structlog.get_logger(__name__)

_MIN_WAIT_SECONDS = 0.001


class Turn:
    """The right of one caller to send one request; it can be claimed again and again."""

    def __init__(self) -> None:
        # Long enough for a slow request. After a process is killed, the next request waits no longer.
        hold_seconds = settings.COLLECT_INTERVAL_SECONDS + settings.COLLECT_REQUEST_TIMEOUT_SECONDS
        self._lease = lease_of("interval", ttl_seconds=hold_seconds)

    def claim(self) -> float:
        """Claim the next turn; returns 0 when it is ours, otherwise the seconds to wait before the next try.

        :raises redis.RedisError: when Redis does not respond; then no request may be sent.
        """
        if self._lease.acquire():
            return 0.0
        remaining_ms = cast(int, get_redis().pttl(self._lease.name))
        return max(_MIN_WAIT_SECONDS, remaining_ms / 1000)

    def end(self, *, pause_seconds: float = 0.0) -> None:
        """End the turn after its request: begin the interval, or a longer pause at the service's request."""
        wait_seconds = max(settings.COLLECT_INTERVAL_SECONDS, pause_seconds)
        try:
            with suppress(LockError):  # the turn expired and another caller has it
                self._lease.extend(wait_seconds, replace_ttl=True)
        except redis.RedisError as error:
            # The answer of the request must not be lost because of this; the turn expires by itself.
            logger.warning("turn_not_ended", error=type(error).__name__)

    def release(self) -> None:
        """Release a turn that was not used."""
        with suppress(LockError):  # the turn expired and another caller has it
            self._lease.release()
