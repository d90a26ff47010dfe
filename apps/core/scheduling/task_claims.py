"""The tasks in Redis: those that wait, and those that a worker cluster has claimed."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from apps.core.scheduling.broker import RedisBroker


def release_claims(cluster_id: str) -> int:
    """Put the tasks that an ended cluster had claimed back at the head of the queue; returns how many.

    :raises redis.RedisError: when Redis does not respond.
    """
    broker = RedisBroker()
    claims = claims_key(broker, cluster_id)
    count = 0
    while broker.connection.lmove(claims, broker.list_key, "RIGHT", "LEFT") is not None:
        count += 1
    return count


def claims_key(broker: RedisBroker, cluster_id: str) -> str:
    """Return the key of the list of tasks that a cluster has claimed."""
    return f"{broker.list_key}:claimed:{cluster_id}"


@dataclass(frozen=True, slots=True)
class TaskCounts:
    """How many tasks no cluster has pulled yet, and how many the clusters have pulled that have not ended."""

    waiting: int
    claimed: int


def count_tasks(cluster_ids: Iterable[str]) -> TaskCounts:
    """Count the tasks in Redis; ``cluster_ids`` names the clusters.

    :raises redis.RedisError: when Redis does not respond.
    """
    broker = RedisBroker()
    pipeline = broker.connection.pipeline(transaction=False)
    pipeline.llen(broker.list_key)
    for cluster_id in cluster_ids:
        pipeline.llen(claims_key(broker, cluster_id))
    waiting, *claimed = pipeline.execute()
    return TaskCounts(waiting, sum(claimed))
