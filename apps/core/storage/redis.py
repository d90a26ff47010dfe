"""The shared Redis connection, with or without tolerance of an outage.

:func:`watch_redis` is the one place that notes the beginning and the end of an outage of Redis.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeVar, cast

import redis
import structlog
from django.conf import settings
from django_redis import get_redis_connection
from django_redis.exceptions import ConnectionInterrupted

from apps.core.storage.outages import is_redis_outage, is_redis_refusal, redis_outage, redis_refusal

logger = structlog.get_logger(__name__)
T = TypeVar("T")

_DELETED_TOGETHER = 1000
KEY_PREFIX: str = settings.REDIS_KEY_PREFIX


def get_redis() -> redis.Redis:
    """Return this process's Redis client; its operations time out quickly and raise ``redis.RedisError``."""
    return cast(redis.Redis, get_redis_connection("default"))


def server_product(info: Mapping[str, Any]) -> tuple[str, str]:
    """Return the name and the version of the server that gave this reply to ``INFO``.

    Valkey says in ``redis_version`` only which Redis it is compatible with.
    """
    if "valkey_version" in info:
        return "Valkey", str(info["valkey_version"])
    return "Redis", str(info["redis_version"])


def redis_time() -> float:
    """Return the Unix seconds of the clock of Redis' server.

    :raises redis.RedisError: when Redis does not respond.
    """
    seconds, microseconds = get_redis().time()
    return seconds + microseconds / 1_000_000


def tolerate_redis_outage(operation: Callable[[redis.Redis], T], default: T, *, must_try: bool = False) -> T:
    """Return the result of the operation, or the default when Redis does not respond or refuses it.

    For caches, counters and wake-ups, which may be lost. After a failure the process does not try again for a
    moment, so that a hanging Redis costs one timeout and not one per call. ``must_try`` tries nevertheless:
    it is for notifications without which other processes would use stale data.

    :raises redis.RedisError: for any other error, which is a fault of the program.
    """
    if redis_outage.is_known and not must_try:
        return default
    try:
        return watch_redis(lambda: operation(get_redis()))
    except (redis.RedisError, ConnectionInterrupted) as error:
        if not is_redis_outage(error):
            raise
        return default


def watch_redis(operation: Callable[[], T]) -> T:
    """Return the result of the operation; note, and log once, that Redis is down or refuses it.

    A refusal (memory full, read-only) is noted apart from an outage: what Redis holds can still be read.

    :raises redis.RedisError: as the operation does; django-redis may raise ``ConnectionInterrupted`` instead.
    """
    try:
        result = operation()
    except (redis.RedisError, ConnectionInterrupted) as error:
        if is_redis_outage(error):
            memory = redis_refusal if is_redis_refusal(error) else redis_outage
            if not memory.is_known:
                logger.warning("redis_unavailable", error=type(error).__name__)
            memory.note()
        raise
    redis_outage.forget()
    return result


def delete_keys(*patterns: str) -> int:
    """Delete all keys that match one of the patterns; returns their number.

    Keys that other processes write in the meantime may stay.

    :raises redis.RedisError: when Redis does not respond.
    """
    client, deleted = get_redis(), 0
    for pattern in patterns:
        found = list(client.scan_iter(pattern, count=1000))
        for start in range(0, len(found), _DELETED_TOGETHER):
            deleted += client.unlink(*found[start : start + _DELETED_TOGETHER])
    return deleted
