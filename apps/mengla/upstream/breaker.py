"""The circuit breaker of the collection service, shared by all processes through Redis.

closed --(CB_FAILURE_THRESHOLD failures in a row)--> open --(CB_TIMEOUT)--> half-open: one probe at a time
half-open --(CB_SUCCESS_THRESHOLD successes in a row)--> closed; --(one failure)--> open

A failure is a request that the service did not answer: no connection, a timeout, a 5xx or an unusable
response. A rejected request or a failed execution is an answer. A probe without a recorded outcome expires,
so that the breaker cannot stay half-open for ever.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import cast

import redis
from django.conf import settings

from apps.core.storage.redis import KEY_PREFIX, get_redis, tolerate_redis_outage
from apps.mengla.choices import CollectionError

KEY = f"{KEY_PREFIX}breaker:collection_service"

# KEYS[1] of every script is the breaker. ``now`` is the clock of the Redis server, in milliseconds.
_CLOCK = """
local t = redis.call('TIME')
local now = t[1] * 1000 + math.floor(t[2] / 1000)
"""
# ARGV: open_ms, probe_ms. Returns 0 to go ahead, or the milliseconds to wait.
_ALLOW = (
    _CLOCK
    + """
local state = redis.call('HGET', KEYS[1], 'state')
if not state or state == 'closed' then return 0 end
if state == 'open' then
  local wait = tonumber(redis.call('HGET', KEYS[1], 'opened_at') or '0') + ARGV[1] - now
  if wait > 0 then return math.ceil(wait) end
  redis.call('HSET', KEYS[1], 'state', 'half_open', 'successes', 0)
end
local wait = tonumber(redis.call('HGET', KEYS[1], 'probe_until') or '0') - now
if wait > 0 then return math.ceil(wait) end
redis.call('HSET', KEYS[1], 'probe_until', now + ARGV[2])
return 0
"""
)
# ARGV: success threshold.
_SUCCESS = """
local state = redis.call('HGET', KEYS[1], 'state')
redis.call('HSET', KEYS[1], 'failures', 0, 'probe_until', 0)
if state == 'half_open' then
  if redis.call('HINCRBY', KEYS[1], 'successes', 1) >= tonumber(ARGV[1]) then
    redis.call('HSET', KEYS[1], 'state', 'closed')
  end
end
return 1
"""
# ARGV: failure threshold.
_FAILURE = (
    _CLOCK
    + """
local state = redis.call('HGET', KEYS[1], 'state') or 'closed'
local failures = redis.call('HINCRBY', KEYS[1], 'failures', 1)
redis.call('HSET', KEYS[1], 'probe_until', 0)
if state == 'half_open' or (state == 'closed' and failures >= tonumber(ARGV[1])) then
  redis.call('HSET', KEYS[1], 'state', 'open', 'opened_at', now, 'successes', 0)
end
return 1
"""
)
_SNAPSHOT = (
    _CLOCK
    + """
return {now, redis.call(
  "HMGET", KEYS[1], "state", "failures", "successes", "opened_at", "reason", "since")}
"""
)


class BreakerState(StrEnum):
    """The three states of a circuit breaker."""

    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half_open"


@dataclass(frozen=True, slots=True)
class BreakerSnapshot:
    """The state of the breaker; ``next_probe_seconds`` is 0 unless it is open.

    ``reason`` is the error that opened it, and ``since`` the instant (Unix seconds, the clock of the Redis
    server) at which it opened: a failed probe changes neither. Both are None while it is closed.
    """

    state: BreakerState
    failures: int
    successes: int
    next_probe_seconds: float
    reason: CollectionError | None = None
    since: float | None = None

    @property
    def is_unavailable(self) -> bool:
        """Whether requests are being held back because the service does not answer."""
        return self.state is BreakerState.OPEN and self.next_probe_seconds > 0


def seconds_until_allowed() -> float:
    """Ask for permission to send a request; returns 0 when it is granted, otherwise the seconds to wait.

    While the breaker is half-open, one caller at a time gets it: its request is the probe.

    :raises redis.RedisError: when Redis does not respond.
    """
    wait_ms = get_redis().eval(
        _ALLOW, 1, KEY, int(settings.CB_TIMEOUT * 1000), int(settings.COLLECT_REQUEST_TIMEOUT_SECONDS * 2000)
    )
    return int(cast(int, wait_ms)) / 1000


def record_success() -> None:
    """Count an answer of the service."""
    _count(_SUCCESS, settings.CB_SUCCESS_THRESHOLD)


def record_failure() -> None:
    """Count a request that the service did not answer."""
    _count(_FAILURE, settings.CB_FAILURE_THRESHOLD)


def release_permission() -> None:
    """Release a permission that was not used, so that the next probe need not wait until it expires."""
    get_redis().hset(KEY, "probe_until", "0")


def reset() -> None:
    """Close the breaker and reset its counts."""
    get_redis().delete(KEY)


def snapshot() -> BreakerSnapshot:
    """Return the present state; closed when Redis does not respond."""
    return tolerate_redis_outage(_read, BreakerSnapshot(BreakerState.CLOSED, 0, 0, 0.0))


def read_snapshot() -> BreakerSnapshot:
    """Return the present state.

    :raises redis.RedisError: when Redis does not respond.
    """
    return _read(get_redis())


def _read(client: redis.Redis) -> BreakerSnapshot:
    reply = client.eval(_SNAPSHOT, 1, KEY)
    now_ms, values = cast("tuple[int, list[bytes | None]]", reply)
    state, failures, successes, opened_at, reason, since = values
    current = BreakerState((state or b"closed").decode())
    is_closed = current is BreakerState.CLOSED
    wait_ms = 0.0
    if current is BreakerState.OPEN:
        wait_ms = max(0.0, int(opened_at or 0) + settings.CB_TIMEOUT * 1000 - now_ms)
    return BreakerSnapshot(
        current,
        int(failures or 0),
        int(successes or 0),
        wait_ms / 1000,
        reason=None if is_closed or not reason else CollectionError(reason.decode()),
        since=None if is_closed or not since else int(since) / 1000,
    )


def _count(script: str, threshold: int) -> None:
    # Without Redis only the count is lost: an error here would also lose the answer of the request.
    tolerate_redis_outage(lambda client: client.eval(script, 1, KEY, threshold), None)
