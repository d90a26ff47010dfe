"""The circuit breaker of the collection service, shared by all processes through Redis.

What opens it:

- CB_FAILURE_THRESHOLD requests in a row that the service did not answer: no connection, a timeout, a 5xx or
  an unusable response;
- one response that every other request would get, too: the key is refused, or the task is not known;
- CB_FAILURE_THRESHOLD executions in a row, of different collections, that the service accepted and then
  failed or never answered.

After CB_TIMEOUT it is half-open. Then one request at a time is sent, the *probe*: first the task list, which
costs nothing, then real collections. CB_SUCCESS_THRESHOLD successes in a row close it, and one failure opens
it again. A success is an accepted request; if executions had opened the breaker, it is an answer with or
without figures. While no collection waits, a task list is a success. A probe without a recorded outcome
expires, so that the breaker cannot stay half-open for ever.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Any, cast

import redis
from django.conf import settings

from apps.core.storage.redis import KEY_PREFIX, get_redis, tolerate_redis_outage
from apps.mengla.choices import CollectionError

KEY = f"{KEY_PREFIX}breaker:collection_service"
_ANSWER_MARGIN_SECONDS = 10  # an answer that is overdue is noticed within seconds

# KEYS[1] of every script is the breaker, a hash:
#   state, reason, since, opened_at   why it is open; `since` changes only together with the reason
#   failures, failed_ids              requests without an answer, and collections that failed, in a row
#   by_executions                     1: executions opened it, so an accepted request does not close it
#   is_listed, successes, probe_until the progress of a half-open breaker
#   slowdowns                         how often in a row the service asked for fewer requests
#   has_closed                        1: it has closed, and no caller has asked for permission since
# ``now`` is the clock of the Redis server, in milliseconds.
_PRELUDE = """
local key = KEYS[1]
local t = redis.call('TIME')
local now = t[1] * 1000 + math.floor(t[2] / 1000)
local state = redis.call('HGET', key, 'state') or 'closed'
local function number(name) return tonumber(redis.call('HGET', key, name) or '0') end
local function open(reason, by_executions)
  if state == 'closed' or redis.call('HGET', key, 'reason') ~= reason then
    redis.call('HSET', key, 'reason', reason, 'since', now)
  end
  redis.call('HSET', key, 'state', 'open', 'opened_at', now, 'by_executions', by_executions)
  redis.call('HDEL', key, 'is_listed', 'successes', 'probe_until', 'has_closed')
end
local function count_success(threshold)
  if redis.call('HINCRBY', key, 'successes', 1) >= tonumber(threshold) then
    redis.call('DEL', key)
    redis.call('HSET', key, 'has_closed', 1)
  end
end
"""
# ARGV: open_ms, probe_ms. Returns the milliseconds to wait, or a negative number to go ahead.
_GO_AFTER_CLOSING, _PROBE_TASKS, _PROBE, _GO_SUSPICIOUSLY = -2, -3, -4, -5
_ALLOW = (
    _PRELUDE
    + """
if state == 'closed' then
  if redis.call('HDEL', key, 'has_closed') == 1 then return -2 end
  return redis.call('HEXISTS', key, 'failed_ids') == 1 and -5 or -1
end
if state == 'open' then
  local wait = number('opened_at') + ARGV[1] - now
  if wait > 0 then return math.ceil(wait) end
  redis.call('HSET', key, 'state', 'half_open')
end
local wait = number('probe_until') - now
if wait > 0 then return math.ceil(wait) end
redis.call('HSET', key, 'probe_until', now + ARGV[2])
return number('is_listed') == 1 and -4 or -3
"""
)
_LISTED = (
    _PRELUDE
    + """
redis.call('HDEL', key, 'failures', 'slowdowns')
if state == 'half_open' then redis.call('HSET', key, 'is_listed', 1) end
return 1
"""
)
# ARGV: success threshold.
_LISTED_IDLE = (
    _PRELUDE
    + """
redis.call('HDEL', key, 'probe_until')
if state == 'half_open' then count_success(ARGV[1]) end
return 1
"""
)
# ARGV: success threshold, answer_ms.
_SUCCESS = (
    _PRELUDE
    + """
redis.call('HDEL', key, 'failures', 'slowdowns', 'probe_until')
if state == 'half_open' then
  if number('by_executions') == 1 then
    redis.call('HSET', key, 'probe_until', now + ARGV[2])
  else
    count_success(ARGV[1])
  end
end
return 1
"""
)
# ARGV: failure threshold, reason.
_FAILURE = (
    _PRELUDE
    + """
local failures = redis.call('HINCRBY', key, 'failures', 1)
if state == 'half_open' or (state == 'closed' and failures >= tonumber(ARGV[1])) then open(ARGV[2], 0) end
return 1
"""
)
# ARGV: reason.
_REFUSAL = (
    _PRELUDE
    + """
if state ~= 'open' then open(ARGV[1], 0) end
return 1
"""
)
# ARGV: success threshold.
_ANSWER = (
    _PRELUDE
    + """
redis.call('HDEL', key, 'failed_ids')
if state == 'half_open' and number('by_executions') == 1 then
  redis.call('HDEL', key, 'probe_until')
  count_success(ARGV[1])
end
return 1
"""
)
# ARGV: failure threshold, reason, collection id, 1 if it was the probe.
_FAILED_EXECUTION = (
    _PRELUDE
    + """
local ids = redis.call('HGET', key, 'failed_ids') or ''
if not string.find(ids, ARGV[3], 1, true) then
  ids = ids .. ARGV[3] .. ' '
  redis.call('HSET', key, 'failed_ids', ids)
end
local _, count = string.gsub(ids, ' ', '')
if (state == 'half_open' and number('by_executions') == 1 and ARGV[4] == '1')
  or (state == 'closed' and count >= tonumber(ARGV[1])) then
  open(ARGV[2], 1)
  redis.call('HDEL', key, 'failed_ids')
end
return 1
"""
)
_REASONS = {error.value: error for error in CollectionError}  # another version may have more
_RESET = """
if redis.call('HLEN', KEYS[1]) == redis.call('HEXISTS', KEYS[1], 'has_closed') then return 0 end
redis.call('DEL', KEYS[1])
redis.call('HSET', KEYS[1], 'has_closed', 1)
return 1
"""
_SNAPSHOT = (
    _PRELUDE
    + """
return {now, redis.call(
  "HMGET", KEYS[1], "state", "failures", "successes", "opened_at", "reason", "since", "probe_until")}
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
    server) since when it has this reason: a probe that fails for the same reason changes neither. Both are
    None while it is closed. ``probe_seconds`` is how long the probe may still take that is under way, 0 if
    none is.
    """

    state: BreakerState
    failures: int
    successes: int
    next_probe_seconds: float
    reason: CollectionError | None = None
    since: float | None = None
    probe_seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class Permission:
    """The permission to send a request, or how long to wait for it.

    ``is_probe``: the breaker is half-open, and the request is its probe. ``must_list_tasks``: the probe must
    be the task list. ``has_closed``: the breaker has closed since the last permission.
    ``is_suspicious``: the last executions failed or were not answered.
    """

    wait_seconds: float = 0.0
    is_probe: bool = False
    must_list_tasks: bool = False
    has_closed: bool = False
    is_suspicious: bool = False


def ask_permission() -> Permission:
    """Ask for permission to send a request.

    While the breaker is half-open, one caller at a time gets it: its request is the probe.

    :raises redis.RedisError: when Redis does not respond.
    """
    reply = get_redis().eval(
        _ALLOW, 1, KEY, int(settings.CB_TIMEOUT * 1000), int(settings.COLLECT_REQUEST_TIMEOUT_SECONDS * 2000)
    )
    verdict = int(cast(int, reply))
    return Permission(
        wait_seconds=max(0, verdict) / 1000,
        is_probe=verdict in (_PROBE_TASKS, _PROBE),
        must_list_tasks=verdict == _PROBE_TASKS,
        has_closed=verdict == _GO_AFTER_CLOSING,
        is_suspicious=verdict == _GO_SUSPICIOUSLY,
    )


def record_listed() -> None:
    """Count a task list that the service sent; in a half-open breaker, a collection is the next probe."""
    _record(_LISTED)


def record_listed_idle() -> None:
    """Count a task list as a success, because no collection waits that could be the probe."""
    _record(_LISTED_IDLE, settings.CB_SUCCESS_THRESHOLD)


def record_success() -> None:
    """Count a request that the service accepted, or rejected for its parameters."""
    _record(
        _SUCCESS,
        settings.CB_SUCCESS_THRESHOLD,
        (settings.MENGLA_TIMEOUT_SECONDS + _ANSWER_MARGIN_SECONDS) * 1000,
    )


def record_failure(error: CollectionError) -> None:
    """Count a request that the service did not answer."""
    _record(_FAILURE, settings.CB_FAILURE_THRESHOLD, str(error))


def record_refusal(error: CollectionError) -> None:
    """Open the breaker at once, because the service would refuse every other request, too."""
    _record(_REFUSAL, str(error))


def record_slowdown() -> int:
    """Count a response that asks for fewer requests; returns how many came in a row, 1 without Redis."""
    return tolerate_redis_outage(lambda client: client.hincrby(KEY, "slowdowns", 1), 1)


def record_answer() -> None:
    """Count an execution that the service answered, with figures or without."""
    _record(_ANSWER, settings.CB_SUCCESS_THRESHOLD)


def record_failed_execution(collection_id: str, error: CollectionError, *, is_probe: bool = False) -> None:
    """Count an accepted execution that failed or was never answered; one collection counts once in a row."""
    _record(_FAILED_EXECUTION, settings.CB_FAILURE_THRESHOLD, str(error), collection_id, int(is_probe))


def release_permission() -> None:
    """Release a permission that was not used, so that the next probe need not wait until it expires."""
    tolerate_redis_outage(lambda client: client.hdel(KEY, "probe_until"), None)  # then it expires


def reset() -> bool:
    """Close the breaker and reset its counts; returns False when there is nothing to reset."""
    return bool(get_redis().eval(_RESET, 1, KEY))


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
    state, failures, successes, opened_at, reason, since, probe_until = values
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
        reason=None if is_closed else _REASONS.get((reason or b"").decode()),
        since=None if is_closed or not since else int(since) / 1000,
        probe_seconds=0.0 if is_closed else max(0, int(probe_until or 0) - now_ms) / 1000,
    )


def _record(script: str, *arguments: Any) -> None:
    # Without Redis only the count is lost: an error here would also lose the answer of the request.
    tolerate_redis_outage(lambda client: client.eval(script, 1, KEY, *arguments), None)
