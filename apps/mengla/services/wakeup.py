"""Wakes the dispatcher: one message to the worker cluster, however many callers ask at once."""

from __future__ import annotations

import redis

from apps.core.broker import send_task
from apps.core.redis import KEY_PREFIX, tolerate_redis_outage

DISPATCH_TASK = "apps.mengla.tasks.dispatch"
_PENDING_KEY = f"{KEY_PREFIX}dispatch:pending"
_AGAIN_KEY = f"{KEY_PREFIX}dispatch:again"
_FLAG_TTL_SECONDS = 55  # shorter than the tick, so that a lost message costs a minute at most


def wake_dispatcher() -> None:
    """Ask for a dispatch soon. Without Redis nothing happens: the one-minute tick makes it good."""
    tolerate_redis_outage(_send_unless_pending, None)


def wake_dispatcher_anew() -> None:
    """Ask for a dispatch even if an earlier wake-up seems to be on its way: it may have been lost."""
    tolerate_redis_outage(lambda client: client.delete(_PENDING_KEY), None)
    wake_dispatcher()


def begin_dispatch(client: redis.Redis) -> None:
    """Note that a dispatch has begun: wake-ups from now on need a new message."""
    client.delete(_PENDING_KEY)


def leave_for_holder(client: redis.Redis) -> None:
    """Leave word for the dispatcher that holds the lease that there may be new work."""
    client.set(_AGAIN_KEY, 1, ex=_FLAG_TTL_SECONDS)


def was_asked_again(client: redis.Redis) -> bool:
    """Whether somebody left word since the last time this was asked."""
    return bool(client.delete(_AGAIN_KEY))


def _send_unless_pending(client: redis.Redis) -> None:
    if client.set(_PENDING_KEY, 1, nx=True, ex=_FLAG_TTL_SECONDS):
        send_task(DISPATCH_TASK, group="dispatch")
