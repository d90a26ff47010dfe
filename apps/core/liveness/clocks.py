"""Clocks that differ: of this host, of the hosts of the workers, of MongoDB's and Redis' servers."""

from __future__ import annotations

import platform
import time
from collections.abc import Callable
from datetime import UTC

from django.conf import settings
from django.db.utils import DatabaseError
from django.utils.translation import gettext as _
from pymongo.errors import PyMongoError
from redis import RedisError

from apps.core.liveness.bounded_reads import call_all
from apps.core.liveness.processes import list_heartbeats
from apps.core.storage.database.client import heavy_operations
from apps.core.storage.mongo import run_command
from apps.core.storage.outages import mongo_outage, redis_outage
from apps.core.storage.redis import redis_time

MAX_SKEW_SECONDS = 5.0


def seconds_ahead(read_clock: Callable[[], float]) -> float:
    """Return how many seconds this host's clock is ahead of another one; negative when it is behind.

    ``read_clock`` returns the other clock's Unix seconds. The other clock was read at some moment
    of the call, which is not known, so the result is the smallest difference that is possible.
    """
    begun_at, began = time.time(), time.monotonic()
    other = read_clock()
    took_seconds = time.monotonic() - began
    least, most = begun_at - other, begun_at + took_seconds - other
    return least if least > 0 else min(most, 0.0)


def mongo_seconds_ahead() -> float:
    """Return how far this host's clock is ahead of MongoDB's; raises ``PyMongoError`` when that is down."""
    return seconds_ahead(lambda: float(run_command("hello")["localTime"].replace(tzinfo=UTC).timestamp()))


def redis_seconds_ahead() -> float:
    """Return how far this host's clock is ahead of Redis'; raises ``RedisError`` when that is down."""
    return seconds_ahead(redis_time)


def clock_problems() -> list[str]:
    """Return a sentence for each clock that is more than :data:`MAX_SKEW_SECONDS` off.

    The hosts of workers are compared by what they noted with their last heartbeats. Raises the errors of
    MongoDB and Redis when they are down.
    """
    host = platform.node()
    measured = [(host, mongo_seconds_ahead(), "MongoDB"), (host, redis_seconds_ahead(), "Redis")]
    measured += [
        (beat.host, beat.clock_ahead_seconds, "MongoDB")
        for beat in list_heartbeats()
        if beat.host != host and not beat.is_stale and beat.clock_ahead_seconds is not None
    ]
    return [_sentence(*one) for one in measured if abs(one[1]) > MAX_SKEW_SECONDS]


def known_clock_problems() -> list[str]:
    """Return :func:`clock_problems`, or an empty list when MongoDB or Redis is down or too slow."""
    return call_all(
        {"clocks": _problems_or_none},
        deadline_seconds=settings.CLOCKS_DEADLINE_SECONDS,
        late=lambda _name: [],
    )["clocks"]


def _problems_or_none() -> list[str]:
    if mongo_outage.is_known or redis_outage.is_known:
        return []
    try:
        with heavy_operations(settings.CLOCKS_DEADLINE_SECONDS):
            return clock_problems()
    except (PyMongoError, DatabaseError, RedisError):
        return []  # the checks of the servers report the outage


def _sentence(host: str, ahead_seconds: float, server: str) -> str:
    template = (
        _("The clock of %(host)s is %(seconds).0f s ahead of that of %(server)s.")
        if ahead_seconds > 0
        else _("The clock of %(host)s is %(seconds).0f s behind that of %(server)s.")
    )
    return template % {"host": host, "seconds": abs(ahead_seconds), "server": server}
