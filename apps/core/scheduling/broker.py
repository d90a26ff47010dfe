"""django-q2's Redis broker with short timeouts: a hanging Redis must not block the request that sends a task.

A worker cluster pulls its tasks with :class:`~apps.core.scheduling.cluster_broker.ClusterBroker`.
"""

from __future__ import annotations

import redis
from django_q.brokers.redis_broker import Redis as DjangoQRedis

from apps.core.storage.redis import get_redis, tolerate_redis_outage


class RedisBroker(DjangoQRedis):  # type: ignore[misc]
    """The broker named by ``Q_CLUSTER["broker_class"]``."""

    @staticmethod
    def get_connection(list_key: str | None = None) -> redis.Redis:
        """Return the shared client with short timeouts."""
        return get_redis()


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
