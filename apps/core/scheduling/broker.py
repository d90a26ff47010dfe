"""django-q2's Redis broker with timeouts of our own.

The worker's blocking pop needs a long timeout. A web process that wakes the worker needs a short one, because
a hanging Redis must not block a request.
"""

from __future__ import annotations

from typing import Any, cast

import redis
from django.conf import settings
from django_q.brokers.redis_broker import Redis as DjangoQRedis

from apps.core.storage.redis import get_redis, tolerate_redis_outage

_POP_TIMEOUT_SECONDS = 5.0  # django-q2 pops with a block of one second


class RedisBroker(DjangoQRedis):  # type: ignore[misc]
    """The broker named by ``Q_CLUSTER["broker_class"]``."""

    def __init__(self, list_key: str | None = None) -> None:
        super().__init__(list_key=list_key)
        self._pop_connection: redis.Redis | None = None

    @staticmethod
    def get_connection(list_key: str | None = None) -> redis.Redis:
        """Return the shared client with short timeouts."""
        return get_redis()

    def dequeue(self) -> list[tuple[None, Any]] | None:
        """Wait up to a second for one task; None when none has come."""
        if self._pop_connection is None:
            self._pop_connection = redis.Redis.from_url(
                settings.REDIS_URI,
                socket_timeout=_POP_TIMEOUT_SECONDS,
                socket_connect_timeout=_POP_TIMEOUT_SECONDS,
            )
        popped = cast("tuple[bytes, bytes] | None", self._pop_connection.blpop([self.list_key], 1))
        return [(None, popped[1])] if popped else None


def send_task(task: str, *arguments: str | int, group: str) -> None:
    """Send a task to the worker cluster without waiting for its result.

    A task only wakes a worker; the work itself is stored in MongoDB. While Redis is down nothing is sent, and
    the tick finds the work within a minute.
    """
    from django_q.tasks import async_task

    options = {"task_name": group, "group": group, "save": False}
    tolerate_redis_outage(
        lambda _client: async_task(task, *arguments, q_options=options | {"broker": RedisBroker()}), None
    )
