"""Spaces the requests to the collection service, over all processes and hosts together.

A turn is taken before a request and ended after its answer; only then the interval begins. So two requests
never *arrive* closer than the interval, however long the first one was under way. A turn has an owner: who
was stopped for so long that the turn went on to somebody else can no longer end or return it.
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
    """The right of one caller to send one request; may be taken again and again."""

    def __init__(self) -> None:
        # Long enough for a slow request; a process killed during one delays the next by this much.
        hold_seconds = settings.COLLECT_INTERVAL_SECONDS + settings.COLLECT_REQUEST_TIMEOUT_SECONDS
        self._lease = lease_of("interval", ttl_seconds=hold_seconds)

    def take(self) -> float:
        """Take the next turn; returns 0 when it is ours, otherwise the seconds to wait before asking again.

        :raises redis.RedisError: when Redis does not answer; without it nobody may send.
        """
        if self._lease.acquire():
            return 0.0
        remaining_ms = cast(int, get_redis().pttl(self._lease.name))
        return max(_MIN_WAIT_SECONDS, remaining_ms / 1000)

    def end(self, *, pause_seconds: float = 0.0) -> None:
        """Begin the interval, or a longer pause that the service wished for: the request has ended."""
        wait_seconds = max(settings.COLLECT_INTERVAL_SECONDS, pause_seconds)
        try:
            with suppress(LockError):  # the turn went on to another caller
                self._lease.extend(wait_seconds, replace_ttl=True)
        except redis.RedisError as error:
            # What the request brought must not be lost for this; the turn ends by itself.
            logger.warning("turn_not_ended", error=type(error).__name__)

    def give_back(self) -> None:
        """Return a turn that was not used."""
        with suppress(LockError):  # the turn went on to another caller
            self._lease.release()
