"""The shared Redis connection, strict or tolerant of Redis being down."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar, cast

import redis
import structlog
from django_redis import get_redis_connection

from apps.core.outages import is_redis_outage, redis_outage

logger = structlog.get_logger(__name__)
T = TypeVar("T")

KEY_PREFIX = "mengla:"


def get_redis() -> redis.Redis:
    """Return this process's Redis client; its operations time out quickly and raise ``redis.RedisError``."""
    return cast(redis.Redis, get_redis_connection("default"))


def tolerate_redis_outage(operation: Callable[[redis.Redis], T], default: T) -> T:
    """Run the operation; when Redis does not answer, return the default instead of raising.

    For caches, counters and wake-ups: things that may be lost. After a failure the process does not try
    again for a moment, so that a hanging Redis costs one timeout and not one per call.
    """
    if redis_outage.is_known:
        return default
    try:
        result = operation(get_redis())
    except redis.RedisError as error:
        if not is_redis_outage(error):
            raise
        redis_outage.note()
        logger.warning("redis_unavailable", error=type(error).__name__)
        return default
    redis_outage.forget()
    return result
