"""Wakes the dispatcher: one message to the worker cluster, however many callers ask at once."""

from __future__ import annotations

import threading

import redis

from apps.core import process_state
from apps.core.scheduling.broker import send_task
from apps.core.storage.redis import KEY_PREFIX, tolerate_redis_outage

DISPATCH_TASK = "apps.mengla.tasks.dispatch"
_PENDING_KEY = f"{KEY_PREFIX}dispatch:pending"
_AGAIN_KEY = f"{KEY_PREFIX}dispatch:again"
_TICK_SECONDS = 60
_FLAG_TTL_SECONDS = 55  # shorter than the tick, so that a lost message costs a minute at most


def wake_dispatcher() -> None:
    """Ask for a dispatch soon. Without Redis nothing happens: the one-minute tick makes it good."""
    tolerate_redis_outage(_send_unless_pending, None)


def wake_dispatcher_anew() -> None:
    """Ask for a dispatch even if an earlier wake-up seems to be on its way: it may have been lost."""
    tolerate_redis_outage(lambda client: client.delete(_PENDING_KEY), None)
    wake_dispatcher()


class Alarm:
    """Wakes the dispatcher after a while: a thread of this process that holds no worker meanwhile.

    One that is lost with its process costs a minute at most: the tick sees what is due, and when.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._timer: threading.Timer | None = None

    @property
    def is_set(self) -> bool:
        """Whether it is going to wake the dispatcher, or has done so."""
        return self._timer is not None

    def set(self, seconds: float) -> None:
        """Wake the dispatcher then, and not when it was to be woken before; beyond a minute the tick does."""
        self.cancel()
        if seconds > _TICK_SECONDS:
            return
        with self._lock:
            self._timer = threading.Timer(seconds, wake_dispatcher)
            self._timer.daemon = True
            self._timer.start()

    def cancel(self) -> None:
        """Do not wake it."""
        with self._lock:
            if self._timer is not None:
                self._timer.cancel()
            self._timer = None


alarm = Alarm()
process_state.register(alarm.cancel)


def begin_dispatch(client: redis.Redis) -> None:
    """Note that a dispatch has begun: wake-ups from now on need a new message."""
    client.delete(_PENDING_KEY)


def request_rerun(client: redis.Redis) -> None:
    """Leave word for the dispatcher that holds the lease that there may be new work."""
    client.set(_AGAIN_KEY, 1, ex=_FLAG_TTL_SECONDS)


def consume_rerun_request(client: redis.Redis) -> bool:
    """Whether somebody left word since the last time this was asked."""
    return bool(client.delete(_AGAIN_KEY))


def _send_unless_pending(client: redis.Redis) -> None:
    if client.set(_PENDING_KEY, 1, nx=True, ex=_FLAG_TTL_SECONDS):
        send_task(DISPATCH_TASK, group="dispatch")
