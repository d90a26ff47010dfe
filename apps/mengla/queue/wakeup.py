"""Wakes the dispatcher: many callers at once send only one message to the workers.

While a dispatcher is at work, a wake-up only asks it to look again. A wake-up may be lost;
``maintenance/watch.py`` notices this within seconds.
"""

from __future__ import annotations

import threading

import redis

from apps.core import process_state
from apps.core.scheduling.broker import send_task
from apps.core.storage.locks import lease_key
from apps.core.storage.redis import KEY_PREFIX, get_redis, tolerate_redis_outage

DISPATCH_LEASE = "dispatch"
DISPATCH_TASK = "apps.mengla.tasks.dispatch"
_PENDING_KEY = f"{KEY_PREFIX}dispatch:pending"
_AGAIN_KEY = f"{KEY_PREFIX}dispatch:again"
_LONGEST_TIMER_SECONDS = 60
_PENDING_TTL_SECONDS = 5  # a lost message holds back later ones for this long only
_AGAIN_TTL_SECONDS = 55


def wake_dispatcher() -> None:
    """Ask the dispatcher at work to look again; without one, send a dispatch task unless one is pending.

    Without Redis nothing is sent: a worker cluster wakes the dispatcher when Redis responds again.
    """
    tolerate_redis_outage(_send_unless_pending, None)


def wake_dispatcher_anew() -> None:
    """Send a dispatch task even if one seems to be pending, because that message may have been lost."""
    tolerate_redis_outage(lambda client: client.delete(_PENDING_KEY), None)
    wake_dispatcher()


def is_dispatch_expected() -> bool:
    """Whether a dispatcher is at work, or was woken a moment ago.

    :raises redis.RedisError: when Redis does not respond.
    """
    return bool(get_redis().exists(_PENDING_KEY, lease_key(DISPATCH_LEASE)))


class Alarm:
    """Wakes the dispatcher after a delay, from a timer thread; no worker is occupied meanwhile.

    If its process is killed, a worker cluster finds what is due a few seconds later.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._timer: threading.Timer | None = None

    @property
    def is_set(self) -> bool:
        """Whether the timer was set and not cancelled; also true after it has fired."""
        return self._timer is not None

    def set(self, seconds: float) -> None:
        """Wake the dispatcher after ``seconds``, replacing an earlier timer.

        For more than a minute no timer is set, because a worker cluster finds what is due.
        """
        self.cancel()
        if seconds > _LONGEST_TIMER_SECONDS:
            return
        with self._lock:
            self._timer = threading.Timer(seconds, wake_dispatcher)
            self._timer.daemon = True
            self._timer.start()

    def cancel(self) -> None:
        """Stop the timer, if any."""
        with self._lock:
            if self._timer is not None:
                self._timer.cancel()
            self._timer = None


alarm = Alarm()
process_state.register(alarm.cancel)


def begin_dispatch(client: redis.Redis) -> None:
    """Note that a dispatch has begun: a later wake-up sends a new task."""
    client.delete(_PENDING_KEY)


def request_rerun(client: redis.Redis) -> None:
    """Ask the dispatcher that holds the lease to look for due collections again."""
    client.set(_AGAIN_KEY, 1, ex=_AGAIN_TTL_SECONDS)


def consume_rerun_request(client: redis.Redis) -> bool:
    """Delete the request of :func:`request_rerun`; returns whether there was one."""
    return bool(client.delete(_AGAIN_KEY))


def _send_unless_pending(client: redis.Redis) -> None:
    pipeline = client.pipeline(transaction=False)
    pipeline.set(_AGAIN_KEY, 1, ex=_AGAIN_TTL_SECONDS)
    pipeline.exists(lease_key(DISPATCH_LEASE), _PENDING_KEY)
    # In this order: the holder releases the lease first, and then looks for the request.
    if pipeline.execute()[1]:
        return
    if client.set(_PENDING_KEY, 1, nx=True, ex=_PENDING_TTL_SECONDS):
        send_task(DISPATCH_TASK, group="dispatch")
