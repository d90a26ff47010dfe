"""Exact counters shared by all processes and hosts, one hash in Redis per business day.

:func:`add` sends counts at once. One script adds all counts of an event, or none of them, so an event costs
one round trip (about 0.1 ms). A number is exact as soon as :func:`add` has returned.

:func:`gather` is for events that are too frequent for a round trip each, such as reads. It adds to the memory
of the process, in about a microsecond. The gathered counts are sent together once a second, when the process
ends, and before this process reads counts. So a process sees its own events at once and those of others
within a second. A process that is killed by SIGKILL loses the gathered counts of its last second.

Every count is added twice: to its day, and to an all-time total. The total never falls, as Prometheus
requires of a counter. The day is the one of the event, also if it is sent after midnight.

While Redis is down, nothing is counted and no caller waits: a lost count matters less than a late response.
Gathered counts are lost, too, when Redis does not take them, so they need no more memory during an outage.
The counts of a day expire ``RETENTION_DAYS`` days after it.
"""

from __future__ import annotations

import hashlib
import threading
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from typing import cast

import redis

from apps.core import market_clock, process_state
from apps.core.storage.clock import server_now, unix_now
from apps.core.storage.periodic_flush import PeriodicFlush
from apps.core.storage.redis import KEY_PREFIX, get_redis, tolerate_redis_outage

RETENTION_DAYS = 30
FLUSH_SECONDS = 1.0
STATS = "stats"
_FLUSH_PRIORITY = 10  # before the log lines: a flush may log that Redis is down

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
    return _add(market_clock.day_of(now or server_now()), increments)


def gather(increments: Mapping[str, Mapping[str, int]]) -> None:
    """Add to the counters of the current business day within a second, without a round trip now.

    ``increments`` are those of :func:`add`.
    """
    _gathered.add(increments)


def flush() -> None:
    """Send the counts that this process has gathered; they are lost when Redis does not accept them."""
    _gathered.flush()


def _add(day: date, increments: Mapping[str, Mapping[str, int]]) -> bool:
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
    flush()
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
    flush()
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


class _Gathered:
    """The counts that this process has still to send, by day, hash and field; thread-safe."""

    _days: dict[date, defaultdict[str, dict[str, int]]]
    _today: defaultdict[str, dict[str, int]]

    def __init__(self) -> None:
        self._begin()
        self._timer = PeriodicFlush(
            "counts", self.flush, seconds=FLUSH_SECONDS, forget=self._begin, priority=_FLUSH_PRIORITY
        )

    def add(self, increments: Mapping[str, Mapping[str, int]]) -> None:
        now = unix_now()
        with self._lock:
            if not self._day_begins_at <= now < self._day_ends_at:
                self._begin_day(now)
            for name, fields in increments.items():
                counts = self._today[name]
                for field, amount in fields.items():
                    counts[field] = counts.get(field, 0) + amount
        self._timer.start()

    def flush(self) -> None:
        """Send all of them; returns when they, and those that another thread is sending, have been sent."""
        with self._sending:
            with self._lock:
                days, self._days = self._days, {}
                self._day_ends_at = 0.0
            for day, increments in days.items():
                _add(day, increments)

    def forget(self) -> None:
        """Drop all of them; returns when none is being sent."""
        with self._sending, self._lock:
            self._forget_counts()

    def _begin_day(self, now: float) -> None:
        day = market_clock.day_of(datetime.fromtimestamp(now, UTC))
        self._today = self._days.setdefault(day, defaultdict(dict))
        self._day_begins_at = market_clock.midnight(day).timestamp()
        self._day_ends_at = market_clock.midnight(day + timedelta(days=1)).timestamp()

    def _begin(self) -> None:
        # In a fork, too: it has copies of the locks, which another thread of its parent may have held.
        self._lock = threading.Lock()
        self._sending = threading.Lock()
        self._forget_counts()

    def _forget_counts(self) -> None:
        self._days = {}
        self._today = defaultdict(dict)
        self._day_begins_at = self._day_ends_at = 0.0  # Unix seconds; no day has begun


_gathered = _Gathered()
process_state.register(_gathered.forget)
process_state.register(_expires_at.cache_clear)
