"""The state of the installation, within seconds even if a server hangs: all parts are read concurrently."""

from __future__ import annotations

import os
import platform
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, date, datetime
from functools import partial
from typing import Any

from django.conf import settings

from apps.core.apps import STARTED_AT
from apps.core.caching.tiers import get_cache
from apps.core.liveness.bounded_reads import Dependency, Part, PartResult, latency_of, read_parts
from apps.core.liveness.processes import count_web_processes, list_clusters, list_heartbeats
from apps.core.storage import mongo
from apps.core.storage.flags import SCHEDULER_PAUSED, read_flag
from apps.core.storage.redis import get_redis, server_product
from apps.core.time_texts import seconds_between
from apps.mengla.dispatch.breaker_control import read_breaker
from apps.mengla.monitoring import queue_state
from apps.sync_tasks.selectors import count_by_status

Facts = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Report:
    """The data of every part, or the reason why there is none."""

    parts: Mapping[str, PartResult]

    @property
    def is_complete(self) -> bool:
        """Whether every part has data."""
        return all(part.available for part in self.parts.values())


def collect_health(day: date) -> Report:
    """Report on the collecting: the dependencies, the counts of a day, the queue, the newest records."""
    on_mongo = partial(Part, Dependency.MONGODB)
    on_redis = partial(Part, Dependency.REDIS)
    return Report(
        read_parts(
            {
                "mongodb": on_mongo(partial(latency_of, mongo.ping)),
                "redis": on_redis(partial(latency_of, _ping_redis)),
                "counts": on_mongo(partial(queue_state.day_counts, day)),
                "empty_streaks": on_mongo(queue_state.empty_streaks),
                "queue": on_mongo(lambda: asdict(queue_state.queue_depth())),
                "in_flight": on_mongo(queue_state.list_in_flight),
                "recent_records": on_mongo(queue_state.list_recent_records),
                "breaker": on_redis(lambda: asdict(read_breaker())),
                "workers": on_mongo(_heartbeats),
            }
        )
    )


def system_status() -> Report:
    """Report on the whole installation: its servers, its processes, its queue and its switches."""
    on_mongo = partial(Part, Dependency.MONGODB)
    on_redis = partial(Part, Dependency.REDIS)
    return Report(
        read_parts(
            {
                "mongodb": on_mongo(_mongo_facts),
                "redis": on_redis(_redis_facts),
                "web_processes": on_redis(count_web_processes),
                "clusters": on_redis(lambda: [asdict(cluster) for cluster in list_clusters()]),
                "workers": on_mongo(_heartbeats),
                "queue": on_mongo(lambda: asdict(queue_state.queue_depth())),
                "sync_tasks": on_mongo(count_by_status),
                "scheduler": on_mongo(_scheduler_facts),
                "breaker": on_redis(lambda: asdict(read_breaker())),
            }
        )
    )


def process_facts() -> Facts:
    """Return the facts that this process knows without asking a server."""
    return {
        "host": platform.node(),
        "pid": os.getpid(),
        "version": settings.VERSION,
        "environment": settings.ENV,
        "python": platform.python_version(),
        "started_at": STARTED_AT,
        "uptime_seconds": round(seconds_between(STARTED_AT, datetime.now(UTC)), 1),
        "l1": asdict(get_cache().l1_usage()),
    }


def _ping_redis() -> object:
    return get_redis().ping()


def _heartbeats() -> list[Facts]:
    return [asdict(one) | {"is_stale": one.is_stale} for one in list_heartbeats()]


def _scheduler_facts() -> Facts:
    flag = read_flag(SCHEDULER_PAUSED)
    return {"paused": flag.is_set, "changed_by": flag.changed_by, "changed_at": flag.changed_at}


def _mongo_facts() -> Facts:
    latency = latency_of(mongo.ping)
    stats = mongo.run_command("dbStats")
    return latency | {
        "version": mongo.run_command("buildInfo")["version"],
        "collections": int(stats["collections"]),
        "documents": int(stats["objects"]),
        "data_bytes": int(stats["dataSize"]),
        "storage_bytes": int(stats["storageSize"]),
        "index_bytes": int(stats["indexSize"]),
    }


def _redis_facts() -> Facts:
    client = get_redis()
    latency = latency_of(client.ping)
    info = client.info()
    return latency | {
        "version": server_product(info)[1],
        "keys": client.dbsize(),
        "memory_bytes": int(info["used_memory"]),
        "max_memory_bytes": int(info["maxmemory"]),  # 0: no limit
        "clients": int(info["connected_clients"]),
        "evicted_keys": int(info["evicted_keys"]),
        "uptime_seconds": int(info["uptime_in_seconds"]),
    }
