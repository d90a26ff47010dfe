"""The broker of one worker cluster: a task that it has pulled is not lost when the cluster is killed.

A cluster claims a task: it moves the task from the queue to a list of its own, and deletes it there when the
task has ended. When a cluster has ended, the tasks that it had claimed are returned to the queue. So a task
may run twice, which every task allows.
"""

from __future__ import annotations

import time
from typing import Any, cast

import redis
import structlog
from django.conf import settings
from redis.backoff import NoBackoff
from redis.retry import Retry

from apps.core.scheduling.broker import RedisBroker
from apps.core.scheduling.pulse import BEAT_SECONDS, Pulse, packed_beat
from apps.core.scheduling.task_claims import claims_key
from apps.core.storage.redis import tolerate_redis_outage

logger = structlog.get_logger(__name__)

_PULL_SECONDS = 1  # how long Redis waits for a task
_TIMEOUT_SECONDS = 3.0
_OUTAGE_PAUSE_SECONDS = 1.0


class ClusterBroker(RedisBroker):
    """The broker of one cluster: its pusher claims tasks, and its monitor ends the claims.

    The pusher also gets a beat every few seconds, and passes it on like any task.
    """

    def __init__(self, cluster_id: str, pulse: Pulse) -> None:
        super().__init__()
        self._claims = claims_key(self, cluster_id)
        self._pulse = pulse
        # What follows is used by the pusher alone.
        self._client: redis.Redis | None = None
        self._pulled: set[bytes] = set()
        self._beat_sent_at = self._checked_at = 0.0
        self._is_down = False

    def dequeue(self) -> list[tuple[bytes | None, Any]] | None:
        """Wait up to a second for one task; None when none has come, also while Redis does not respond."""
        if self._pulse.is_beat_due(self._beat_sent_at):
            self._beat_sent_at = time.monotonic()
            return [(None, packed_beat())]
        try:
            task = self._claim()
        except redis.RedisError as error:
            # Without this, django-q2's pusher would pause for ten seconds and end.
            if not self._is_down:
                logger.warning("tasks_not_pulled", error=type(error).__name__)
            self._is_down = True
            time.sleep(_OUTAGE_PAUSE_SECONDS)
            return None
        self._is_down = False
        return None if task is None else [(task, task)]

    def acknowledge(self, task_id: bytes) -> None:
        """End the claim of a task that has ended. While Redis is down it stays, and the task runs again."""
        tolerate_redis_outage(lambda client: client.lrem(self._claims, 1, cast(str, task_id)), None)

    def fail(self, task_id: bytes) -> None:
        """End the claim of a task that cannot be read."""
        self.acknowledge(task_id)

    def _claim(self) -> bytes | None:
        if self._client is None:  # opened by the pusher, after the fork
            self._client = redis.Redis.from_url(
                settings.REDIS_URI,
                socket_timeout=_TIMEOUT_SECONDS,
                socket_connect_timeout=_TIMEOUT_SECONDS,
                retry=Retry(NoBackoff(), 0),
            )
        client = self._client
        if time.monotonic() - self._checked_at >= BEAT_SECONDS:
            self._release_unknown(client)
            self._checked_at = time.monotonic()
        task = cast(
            "bytes | None", client.blmove(self.list_key, self._claims, _PULL_SECONDS, "LEFT", "RIGHT")
        )
        if task is not None:
            self._pulled.add(task)
        return task

    def _release_unknown(self, client: redis.Redis) -> None:
        """Release claims that this pusher did not get: the reply was lost, or an earlier pusher died."""
        claimed = cast("list[bytes]", client.lrange(self._claims, 0, -1))
        self._pulled.intersection_update(claimed)
        for task in claimed:
            if task not in self._pulled:
                pipeline = client.pipeline(transaction=True)
                pipeline.lrem(self._claims, 1, cast(str, task))
                pipeline.lpush(self.list_key, task)
                pipeline.execute()
