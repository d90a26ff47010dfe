"""Spaces the requests to the collection service, across all processes and hosts.

A caller claims a turn before its request and ends the turn after the answer; the interval begins only then.
So two requests never *arrive* closer together than the interval, however long the first one takes. A turn
has one owner. A process that was suspended until its turn expired and went to another caller can no longer
end or release it.

A pause that the service asked for is also noted under a key of its own: the time to live of the turn cannot
tell a pause from a request in flight.

Without an interval, and with several slots, requests may be in flight at the same time. Then a turn is open
(:class:`OpenTurn`): any number of callers have it, except during a pause.
"""

from __future__ import annotations

import threading
from contextlib import suppress

import redis
import structlog
from django.conf import settings
from redis.exceptions import LockError

from apps.core.storage.locks import lease_key, lease_of
from apps.core.storage.redis import KEY_PREFIX, get_redis, tolerate_redis_outage

logger = structlog.get_logger(__name__)

LEASE_NAME = "interval"
PAUSE_KEY = f"{KEY_PREFIX}pause:collection_service"
_MIN_WAIT_SECONDS = 0.001
# Longer than the time between two renewals. After a process is killed, its turn ends this soon.
_RENEWED_SECONDS = 6.0
# KEYS: the turn, the pause. ARGV: milliseconds. A shorter pause does not end a longer one.
_PAUSE = """
if redis.call('PTTL', KEYS[1]) < tonumber(ARGV[1]) then
  redis.call('SET', KEYS[1], 'pause', 'PX', ARGV[1])
  redis.call('SET', KEYS[2], 1, 'PX', ARGV[1])
end
return 1
"""


def remaining_pause_seconds() -> float:
    """Return the seconds left of the pause that the service asked for; 0 without one, or without Redis."""
    remaining_ms = tolerate_redis_outage(lambda client: client.pttl(PAUSE_KEY), 0)
    return max(0.0, remaining_ms / 1000)


def end_pause() -> bool:
    """End a pause that the service asked for; the interval since the last request remains.

    Returns whether there was a pause.

    :raises redis.RedisError: when Redis does not respond.
    """
    client = get_redis()
    if not client.delete(PAUSE_KEY):
        return False
    client.pexpire(lease_key(LEASE_NAME), max(1, int(settings.COLLECT_INTERVAL_SECONDS * 1000)))
    return True


def allows_several() -> bool:
    """Whether the settings allow several requests to be in flight at the same time."""
    return settings.COLLECT_INTERVAL_SECONDS == 0 and settings.MAX_INFLIGHT_REQUESTS > 1


class OpenTurn:
    """The right of every caller to send requests, except during a pause; it has the methods of a turn."""

    def claim(self) -> float:
        """Return 0, or the seconds to wait.

        :raises redis.RedisError: when Redis does not respond; then no request may be sent.
        """
        remaining_ms = get_redis().pttl(lease_key(LEASE_NAME))
        return 0.0 if remaining_ms < 0 else max(_MIN_WAIT_SECONDS, remaining_ms / 1000)

    def renew(self) -> None:
        """Do nothing: there is nothing to lose."""

    def end(self, *, pause_seconds: float = 0.0) -> None:
        """Begin a pause, if the service asked for one."""
        if pause_seconds <= 0:
            return
        keys = (lease_key(LEASE_NAME), PAUSE_KEY)
        milliseconds = max(1, int(pause_seconds * 1000))
        # The answer of the request must not be lost because Redis is down.
        tolerate_redis_outage(lambda client: client.eval(_PAUSE, len(keys), *keys, milliseconds), None)

    def release(self) -> None:
        """Do nothing."""


class Turn:
    """The right of one caller to send one request; it can be claimed again and again.

    A request that may take longer than a few seconds needs a thread that renews the turn.
    """

    def __init__(self) -> None:
        # The request may have arrived just before its process was killed, so the interval comes on top.
        hold_seconds = settings.COLLECT_INTERVAL_SECONDS + _RENEWED_SECONDS
        self._lease = lease_of(LEASE_NAME, ttl_seconds=hold_seconds)
        self._lock = threading.Lock()  # a renewal must not prolong the interval after the request
        self._is_held = False

    def claim(self) -> float:
        """Claim the next turn; returns 0 if it is claimed, otherwise the seconds until the next try.

        :raises redis.RedisError: when Redis does not respond; then no request may be sent.
        """
        if self._lease.acquire():
            self._is_held = True
            return 0.0
        remaining_ms = get_redis().pttl(self._lease.name)
        return max(_MIN_WAIT_SECONDS, remaining_ms / 1000)

    def renew(self) -> None:
        """Renew the lease of the turn if this process holds it and its request has not ended."""
        with self._lock, suppress(redis.RedisError):  # the next renewal may succeed
            if self._is_held:
                self._lease.reacquire()

    def end(self, *, pause_seconds: float = 0.0) -> None:
        """End the turn after its request: begin the interval, or a longer pause at the service's request."""
        wait_seconds = max(settings.COLLECT_INTERVAL_SECONDS, pause_seconds)
        try:
            with self._lock, suppress(LockError):  # the turn expired and another caller has it
                self._is_held = False
                self._lease.extend(wait_seconds, replace_ttl=True)
                if pause_seconds > settings.COLLECT_INTERVAL_SECONDS:
                    get_redis().set(PAUSE_KEY, 1, px=int(pause_seconds * 1000))
        except redis.RedisError as error:
            # The answer of the request must not be lost because of this; the turn expires by itself.
            logger.warning("turn_not_ended", error=type(error).__name__)

    def release(self) -> None:
        """Release a turn that was not used."""
        with self._lock, suppress(LockError):  # the turn expired and another caller has it
            self._is_held = False
            self._lease.release()
