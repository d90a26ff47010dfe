"""The worker clusters that are alive, as they say themselves in Redis."""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

import redis
from django_q.conf import Conf
from django_q.signing import BadSignature, SignedPackage

from apps.core.storage.redis import get_redis


@dataclass(frozen=True, slots=True)
class Cluster:
    """One running `manage.py qcluster`."""

    host: str
    pid: int
    status: str
    worker_count: int
    uptime_seconds: float


def list_clusters() -> list[Cluster]:
    """Return the clusters that gave a sign of life within the last seconds (django-q2 keeps it for three).

    :raises redis.RedisError: when Redis does not answer.
    """
    client = get_redis()
    keys = list(client.scan_iter(f"{Conf.Q_STAT}:*", count=1000))
    packs = cast("list[bytes | None]", client.mget(keys)) if keys else []
    found = (_read(packed) for packed in packs)
    return [cluster for cluster in found if cluster is not None]


def has_clusters() -> bool | None:
    """Whether any cluster is alive; None when Redis cannot say."""
    try:
        return bool(list_clusters())
    except redis.RedisError:
        return None


def _read(packed: bytes | None) -> Cluster | None:
    if packed is None:  # it ended between the two questions
        return None
    try:
        stat = SignedPackage.loads(packed.decode())
    except (BadSignature, UnicodeDecodeError):  # somebody else's, with another SECRET_KEY
        return None
    return Cluster(
        host=stat.host,
        pid=stat.pid,
        status=str(stat.status),
        worker_count=len(stat.workers),
        uptime_seconds=stat.uptime() if stat.tob else 0.0,
    )
