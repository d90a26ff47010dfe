"""Which processes of the product are alive, on all hosts, and whether the workers among them work.

Each kind of process is noted in the store where its readers need it:

- A web process renews its name in Redis every ``RENEW_SECONDS``. A thread does this, not the requests, so an
  idle process counts as alive. A killed process disappears after ``GONE_AFTER_SECONDS``.
- django-q2 notes a worker cluster in Redis for three seconds. The parent process of the workers writes the
  note, so a cluster whose workers all hang is listed, too.
- Tasks write a heartbeat to MongoDB, one document per host. It proves that tasks run on the host. It is not
  in Redis, because ``/ready`` must know when a worker last worked even while Redis is down or was emptied. A
  worker that cannot reach MongoDB does no work either.
"""

from __future__ import annotations

import os
import platform
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import cast

import redis
import structlog
from django.db.utils import DatabaseError
from django.utils import timezone
from django.utils.translation import gettext as _
from django_q.conf import Conf
from django_q.signing import BadSignature, SignedPackage
from pymongo import DESCENDING
from pymongo.errors import PyMongoError

from apps.core.storage.clock import mongo_clock, unix_now
from apps.core.storage.mongo import named_collection, utc_now
from apps.core.storage.redis import KEY_PREFIX, get_redis, tolerate_redis_outage
from apps.core.time_texts import seconds_between

logger = structlog.get_logger(__name__)

RENEW_SECONDS = 5.0
GONE_AFTER_SECONDS = 15.0
# Three ticks, one a minute: one may be lost, and one may wait in the queue behind long tasks.
STALE_AFTER_SECONDS = 180
WEB_KEY = f"{KEY_PREFIX}web_processes"
_WEB_EXPIRY_SECONDS = 3600
_HEARTBEATS = "core_heartbeats"
_HEARTBEAT_RETENTION = timedelta(days=7)


@dataclass(frozen=True, slots=True)
class Cluster:
    """One running `manage.py qcluster`."""

    host: str
    pid: int
    status: str
    worker_count: int
    uptime_seconds: float


@dataclass(frozen=True, slots=True)
class Heartbeat:
    """The last heartbeat of the workers of one host; ``beat_at`` is UTC without zone.

    ``clock_ahead_seconds`` is how far the host's clock is ahead of MongoDB's; None when it is not known.
    """

    host: str
    beat_at: datetime
    age_seconds: float
    clock_ahead_seconds: float | None

    @property
    def is_stale(self) -> bool:
        """Whether the heartbeat is too old for the workers to count as alive."""
        return self.age_seconds > STALE_AFTER_SECONDS


# --- Web processes --------------------------------------------------------------------------------


def note_web_process() -> None:
    """Note that this web process is alive; call it every ``RENEW_SECONDS``."""
    now = unix_now()

    def renew(client: redis.Redis) -> None:
        pipeline = client.pipeline(transaction=False)
        pipeline.zadd(WEB_KEY, {f"{platform.node()}:{os.getpid()}": now})
        pipeline.zremrangebyscore(WEB_KEY, "-inf", now - GONE_AFTER_SECONDS)
        pipeline.expire(WEB_KEY, _WEB_EXPIRY_SECONDS)
        pipeline.execute()

    tolerate_redis_outage(renew, None)


def count_web_processes() -> int:
    """Return how many web processes of ``manage.py serve`` are alive.

    :raises redis.RedisError: when Redis does not respond.
    """
    return cast(int, get_redis().zcount(WEB_KEY, unix_now() - GONE_AFTER_SECONDS, "+inf"))


# --- Worker clusters ------------------------------------------------------------------------------


def list_clusters() -> list[Cluster]:
    """Return the clusters that were noted within the last three seconds.

    :raises redis.RedisError: when Redis does not respond.
    """
    client = get_redis()
    keys = list(client.scan_iter(f"{Conf.Q_STAT}:*", count=1000))
    packs = cast("list[bytes | None]", client.mget(keys)) if keys else []
    found = (_read_cluster(packed) for packed in packs)
    return [cluster for cluster in found if cluster is not None]


def has_clusters() -> bool | None:
    """Whether any cluster is alive; None when Redis cannot say."""
    try:
        return bool(list_clusters())
    except redis.RedisError:
        return None


def _read_cluster(packed: bytes | None) -> Cluster | None:
    if packed is None:  # it expired between the two reads
        return None
    try:
        stat = SignedPackage.loads(packed.decode())
    except (BadSignature, UnicodeDecodeError):  # of another installation, with another SECRET_KEY
        return None
    return Cluster(
        host=stat.host,
        pid=stat.pid,
        status=str(stat.status),
        worker_count=len(stat.workers),
        uptime_seconds=seconds_between(stat.tob, timezone.now()) if stat.tob else 0.0,
    )


# --- Heartbeats of workers ------------------------------------------------------------------------


def note_heartbeat() -> bool:
    """Note that a worker of this host works; False when MongoDB did not accept it."""
    now = utc_now()
    noted = {"beat_at": now, "clock_ahead_seconds": mongo_clock.measured_ahead_seconds}
    try:
        heartbeats = named_collection(_HEARTBEATS)
        heartbeats.update_one({"_id": platform.node()}, {"$set": noted}, upsert=True)
        heartbeats.delete_many({"beat_at": {"$lt": now - _HEARTBEAT_RETENTION}})
    except (PyMongoError, DatabaseError) as error:
        logger.warning("heartbeat_not_noted", error=type(error).__name__)
        return False
    return True


def list_heartbeats() -> list[Heartbeat]:
    """Return the last heartbeat of each host that reported within the last week, newest first."""
    now = utc_now()
    found = named_collection(_HEARTBEATS).find().sort("beat_at", DESCENDING)
    return [
        Heartbeat(
            one["_id"],
            one["beat_at"],
            round(seconds_between(one["beat_at"], now), 1),
            one.get("clock_ahead_seconds"),
        )
        for one in found
    ]


def newest_heartbeat() -> Heartbeat | None:
    """Return the newest heartbeat of all hosts; None when there is none."""
    return next(iter(list_heartbeats()), None)


def worker_problem() -> str | None:
    """Return why no worker can be expected to work; None when one has reported recently."""
    newest = newest_heartbeat()
    if newest is None:
        return _("No worker has ever reported.")
    if newest.is_stale:
        return _("No worker has reported for %(seconds).0f s.") % {"seconds": newest.age_seconds}
    return None
