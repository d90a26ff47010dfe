"""Which processes of the product are alive, on all hosts, and whether the workers among them work.

Each kind of process is noted in the store where its readers need it:

- A web process renews its name in Redis every ``RENEW_SECONDS``. A thread does this, not the requests, so an
  idle process counts as alive. A killed process disappears after ``GONE_AFTER_SECONDS``.
- django-q2 notes a worker cluster in Redis for three seconds. The parent process of the workers writes the
  note, so a cluster whose workers all hang is listed, too. ``manage.py qcluster`` adds when its workers last
  ran what they had pulled, and which cluster it had to replace.
- Tasks write a heartbeat to MongoDB, one document per host. It proves that tasks run on the host. It is not
  in Redis, because ``/ready`` must know when a worker last worked even while Redis is down or was emptied. A
  worker that cannot reach MongoDB does no work either.
"""

from __future__ import annotations

import os
import platform
from collections.abc import Mapping
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

from apps.core.printable import sentences_text
from apps.core.storage.clock import mongo_clock, unix_now
from apps.core.storage.mongo import named_collection, utc_now
from apps.core.storage.redis import KEY_PREFIX, get_redis, redis_time, tolerate_redis_outage
from apps.core.time_texts import seconds_between

logger = structlog.get_logger(__name__)

RENEW_SECONDS = 5.0
GONE_AFTER_SECONDS = 15.0
# A beat arrives every few seconds; see apps/core/scheduling/pulse.py.
SILENT_AFTER_SECONDS = 6.0
# Much longer than the silence after which a cluster is replaced.
DEAD_AFTER_SECONDS = 30.0
# Three ticks, one a minute: one may be lost, and one may wait in the queue behind long tasks.
STALE_AFTER_SECONDS = 180
WEB_KEY = f"{KEY_PREFIX}web_processes"
_WEB_EXPIRY_SECONDS = 3600
_CLUSTERS_KEY = f"{KEY_PREFIX}clusters"
_REPLACED_KEY = f"{KEY_PREFIX}clusters:replaced"
_REPLACED_EXPIRY_SECONDS = 3600
_HEARTBEATS = "core_heartbeats"
_HEARTBEAT_RETENTION = timedelta(days=7)


@dataclass(frozen=True, slots=True)
class Cluster:
    """One running `manage.py qcluster`.

    ``silent_seconds``: for how long it has run nothing of what it pulls although a worker is idle; None if it
    runs an older version, which does not note this.
    """

    host: str
    pid: int
    status: str
    worker_count: int
    uptime_seconds: float
    silent_seconds: float | None = None


@dataclass(frozen=True, slots=True)
class ClusterNote:
    """What ``manage.py qcluster`` notes about its cluster; ``silent_seconds`` as in :class:`Cluster`."""

    host: str
    pid: int
    cluster_id: str
    silent_seconds: float

    @property
    def is_silent(self) -> bool:
        """Whether the cluster pulls tasks and runs none."""
        return self.silent_seconds > SILENT_AFTER_SECONDS

    @property
    def is_dead(self) -> bool:
        """Whether the cluster was killed together with the process that would have replaced it."""
        return self.silent_seconds > DEAD_AFTER_SECONDS


@dataclass(frozen=True, slots=True)
class Replacement:
    """The last replacement of a cluster that did not work."""

    host: str
    age_seconds: float


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
    return get_redis().zcount(WEB_KEY, unix_now() - GONE_AFTER_SECONDS, "+inf")


# --- Worker clusters ------------------------------------------------------------------------------


def list_clusters() -> list[Cluster]:
    """Return the clusters that were noted within the last three seconds.

    :raises redis.RedisError: when Redis does not respond.
    """
    client = get_redis()
    keys = list(client.scan_iter(f"{Conf.Q_STAT}:*", count=1000))
    packs = cast("list[bytes | None]", client.mget(keys)) if keys else []
    silences = {note.cluster_id: note.silent_seconds for note in list_cluster_notes()}
    found = (_read_cluster(packed, silences) for packed in packs)
    return [cluster for cluster in found if cluster is not None]


def note_cluster(cluster_id: str, *, silent_seconds: float) -> None:
    """Note for how long a cluster of this process has been silent; call it every few seconds.

    :raises redis.RedisError: when Redis does not respond.
    """
    client = get_redis()
    name = f"{platform.node()} {os.getpid()} {cluster_id}"
    client.zadd(_CLUSTERS_KEY, {name: redis_time() - silent_seconds})


def list_cluster_notes() -> list[ClusterNote]:
    """Return the notes of all clusters that were not forgotten.

    :raises redis.RedisError: when Redis does not respond.
    """
    client = get_redis()
    noted = cast("list[tuple[bytes, float]]", client.zrange(_CLUSTERS_KEY, 0, -1, withscores=True))
    now = redis_time()
    return [
        ClusterNote(host, int(pid), cluster_id, max(0.0, round(now - worked_at, 1)))
        for name, worked_at in noted
        for host, pid, cluster_id in [name.decode().split(" ")]
    ]


def forget_cluster(cluster_id: str) -> None:
    """Forget a cluster that has ended and whose claims have been released.

    :raises redis.RedisError: when Redis does not respond.
    """
    client = get_redis()
    for note in list_cluster_notes():
        if note.cluster_id == cluster_id:
            client.zrem(_CLUSTERS_KEY, f"{note.host} {note.pid} {cluster_id}")


def silence_remark() -> str | None:
    """Return a sentence for each live cluster that runs nothing; None if there is none or Redis is down."""
    nothing: list[ClusterNote] = []
    silent = tolerate_redis_outage(_silent_clusters, nothing)
    return sentences_text(map(_silence_text, silent)) or None


def note_replacement() -> None:
    """Note that a cluster of this host was replaced because it did not work.

    :raises redis.RedisError: when Redis does not respond.
    """
    client = get_redis()
    client.hset(_REPLACED_KEY, mapping={"host": platform.node(), "at": str(redis_time())})
    client.expire(_REPLACED_KEY, _REPLACED_EXPIRY_SECONDS)


def last_replacement() -> Replacement | None:
    """Return the last replacement of a cluster within the last hour, or None.

    :raises redis.RedisError: when Redis does not respond.
    """
    client = get_redis()
    fields = cast("dict[bytes, bytes]", client.hgetall(_REPLACED_KEY))
    if not fields:
        return None
    return Replacement(fields[b"host"].decode(), max(0.0, redis_time() - float(fields[b"at"])))


def has_clusters() -> bool | None:
    """Whether any cluster is alive; None when Redis cannot say."""
    try:
        return bool(list_clusters())
    except redis.RedisError:
        return None


def _silent_clusters(client: redis.Redis) -> list[ClusterNote]:
    silent = [note for note in list_cluster_notes() if note.is_silent]
    # A cluster without django-q2's note was killed: it pulls nothing more, so it is not named.
    return [note for note in silent if client.exists(f"{Conf.Q_STAT}:{note.cluster_id}")]


def _silence_text(note: ClusterNote) -> str:
    return _("The worker cluster of process %(pid)d on %(host)s has run nothing for %(seconds).0f s.") % {
        "pid": note.pid,
        "host": note.host,
        "seconds": note.silent_seconds,
    }


def _read_cluster(packed: bytes | None, silences: Mapping[str, float]) -> Cluster | None:
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
        silent_seconds=silences.get(str(stat.cluster_id)),
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


def worker_problem(newest: Heartbeat | None) -> str | None:
    """Return why no worker can be expected to work; None when the newest heartbeat is recent."""
    if newest is None:
        return _("No worker has ever reported.")
    if newest.is_stale:
        return _("No worker has reported for %(seconds).0f s.") % {"seconds": newest.age_seconds}
    return None
