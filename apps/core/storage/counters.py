"""Exact counters shared by all processes and hosts, one hash in Redis per business day.

Counts are sent at once. One script adds all counts of an event, or none of them, so an event costs one round
trip (about 0.1 ms). Counts are not buffered in the process: a killed process would lose its buffer, and an
idle process would send it late. So a number is exact as soon as :func:`add` has returned.

Every count is added twice: to its day, and to an all-time total. The total never falls, as Prometheus
requires of a counter.

While Redis is down, nothing is counted and no caller waits: a lost count matters less than a late response.
The counts of a day expire ``RETENTION_DAYS`` days after it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from functools import lru_cache
from typing import cast

import redis

from apps.core import market_clock, process_state
from apps.core.storage.clock import server_now
from apps.core.storage.redis import KEY_PREFIX, get_redis, tolerate_redis_outage

RETENTION_DAYS = 30
STATS = "stats"

# KEYS: the hashes of the day, then the hashes of the totals in the same order. ARGV: when the hashes of the
# day expire (Unix seconds), then triples of hash number, field and amount.
_ADD = """
local names = #KEYS / 2
for i = 2, #ARGV, 3 do
  local name = tonumber(ARGV[i])
  redis.call('HINCRBY', KEYS[name], ARGV[i + 1], ARGV[i + 2])
  redis.call('HINCRBY', KEYS[names + name], ARGV[i + 1], ARGV[i + 2])
end
for name = 1, names do redis.call('EXPIREAT', KEYS[name], ARGV[1]) end
return 1
"""
_ADD_SHA = hashlib.sha1(_ADD.encode(), usedforsecurity=False).hexdigest()


@dataclass(frozen=True, slots=True)
class DayCounts:
    """The counts of one business day, by field."""

    day: date
    counts: dict[str, int]


def add(increments: Mapping[str, Mapping[str, int]], *, now: datetime | None = None) -> bool:
    """Add to the counters of the current business day, in one round trip.

    ``increments`` maps the name of a hash (such as :data:`STATS`) to amounts by field. Returns False when
    Redis did not accept it. It does not raise for that: counting must not fail the caller's work.
    """
    day = market_clock.day_of(now or server_now())
    keys = [key_of(name, day) for name in increments] + [total_key_of(name) for name in increments]
    arguments: list[str | int] = [_expires_at(day)]
    for number, fields in enumerate(increments.values(), start=1):
        for field, amount in fields.items():
            arguments += (number, field, amount)
    return tolerate_redis_outage(lambda client: _send(client, keys, arguments), False)


def _send(client: redis.Redis, keys: list[str], arguments: list[str | int]) -> bool:
    try:
        client.evalsha(_ADD_SHA, len(keys), *keys, *arguments)
    except redis.exceptions.NoScriptError:  # the first call since Redis started
        client.eval(_ADD, len(keys), *keys, *arguments)
    return True


def read_days(name: str, *, days: int, now: datetime | None = None) -> list[DayCounts] | None:
    """Return the counts of the last ``days`` business days, newest first, beginning with the current day.

    A day without counts has no fields. Returns None when Redis does not respond.
    """
    today = market_clock.day_of(now or server_now())
    wanted = [today - timedelta(days=age) for age in range(min(days, RETENTION_DAYS + 1))]

    def read(client: redis.Redis) -> list[dict[bytes, bytes]]:
        pipeline = client.pipeline(transaction=False)
        for day in wanted:
            pipeline.hgetall(key_of(name, day))
        return cast("list[dict[bytes, bytes]]", pipeline.execute())

    found = tolerate_redis_outage(read, None)
    if found is None:
        return None
    return [DayCounts(day, _counts_of(fields)) for day, fields in zip(wanted, found, strict=True)]


def read_total(name: str) -> dict[str, int]:
    """Return the all-time counts, by field; they restart from zero only when Redis has lost its data.

    :raises redis.RedisError: when Redis does not respond.
    """
    return _counts_of(cast("dict[bytes, bytes]", get_redis().hgetall(total_key_of(name))))


def key_of(name: str, day: date) -> str:
    """Return the Redis key that holds a day's counts."""
    return f"{KEY_PREFIX}{name}:{day.isoformat()}"


def total_key_of(name: str) -> str:
    """Return the Redis key that holds the all-time counts."""
    return f"{KEY_PREFIX}{name}:total"


def _counts_of(fields: Mapping[bytes, bytes]) -> dict[str, int]:
    return {field.decode(): int(count) for field, count in fields.items()}


@lru_cache(maxsize=8)
def _expires_at(day: date) -> int:
    """Return the Unix time at which the counts of a day expire."""
    expires_on = day + timedelta(days=RETENTION_DAYS + 1)
    return int(market_clock.midnight(expires_on).timestamp())


process_state.register(_expires_at.cache_clear)
