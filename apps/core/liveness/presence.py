"""Which web processes are alive, on all hosts: each renews its name in Redis while it lives.

Renewed by a thread and not by requests, so that a process nobody asks anything counts as alive; a process
that was killed is gone after ``GONE_AFTER_SECONDS``.
"""

from __future__ import annotations

import os
import platform
import time
from typing import cast

import redis

from apps.core.storage.redis import KEY_PREFIX, get_redis, tolerate_redis_outage

RENEW_SECONDS = 5.0
GONE_AFTER_SECONDS = 15.0
KEY = f"{KEY_PREFIX}web_processes"
_EXPIRY_SECONDS = 3600


def note_web_process() -> None:
    """Say that this web process lives."""
    now = time.time()

    def renew(client: redis.Redis) -> None:
        pipeline = client.pipeline(transaction=False)
        pipeline.zadd(KEY, {f"{platform.node()}:{os.getpid()}": now})
        pipeline.zremrangebyscore(KEY, "-inf", now - GONE_AFTER_SECONDS)
        pipeline.expire(KEY, _EXPIRY_SECONDS)
        pipeline.execute()

    tolerate_redis_outage(renew, None)


def forget_web_process() -> None:
    """Say that this web process ends."""
    tolerate_redis_outage(lambda client: client.zrem(KEY, f"{platform.node()}:{os.getpid()}"), None)


def count_web_processes() -> int:
    """Return how many web processes of ``manage.py serve`` are alive.

    :raises redis.RedisError: when Redis does not answer.
    """
    return cast(int, get_redis().zcount(KEY, time.time() - GONE_AFTER_SECONDS, "+inf"))
