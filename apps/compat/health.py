"""The state of the collecting in the former form; a part that cannot be read has zeros and the reason."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from functools import partial
from typing import Any, cast

from django.conf import settings

from apps.admin.metrics.summary import read_metrics
from apps.compat.shapes import instant
from apps.core.liveness.bounded_reads import Dependency, Part, PartResult, latency_of, read_parts
from apps.core.storage import mongo
from apps.core.storage.redis import get_redis, server_product
from apps.mengla.choices import Action, CollectionError
from apps.mengla.monitoring import queue_state
from apps.mengla.store import selectors

_RECENT_RECORDS = 20
Facts = dict[str, Any]
_NO_MONGO: Facts = {
    "connections": {"current": 0, "available": 0, "total_created": 0},
    "opcounters": {"insert": 0, "query": 0, "update": 0, "delete": 0, "getmore": 0, "command": 0},
    "memory_mb": {"resident": 0, "virtual": 0},
}
_NO_REDIS: Facts = {
    "version": "",
    "connected_clients": 0,
    "blocked_clients": 0,
    "used_memory_human": "0B",
    "used_memory_peak_human": "0B",
    "total_keys": 0,
    "ops_per_sec": 0,
    "hit_rate": 0.0,
    "uptime_seconds": 0,
}


def collect_health(day: date) -> Facts:
    """Report on the collecting, within seconds even if MongoDB or Redis hangs.

    ``day`` is a day of the market, named as it is; what is counted by day is counted today.
    """
    on_mongo, on_redis = partial(Part, Dependency.MONGODB), partial(Part, Dependency.REDIS)
    parts = read_parts(
        {
            "mongo": on_mongo(_mongo_facts),
            "redis": on_redis(_redis_facts),
            "queue": on_mongo(queue_state.queue_depth),
            "metrics": on_redis(lambda: read_metrics(days=1)["total"]["collections"]),
            "counts": on_mongo(queue_state.count_records),
            "streaks": on_mongo(queue_state.empty_streaks),
            "recent": on_mongo(lambda: selectors.list_records(cursor=None, limit=_RECENT_RECORDS).rows),
        }
    )
    counts: Mapping[str, tuple[int, int]] = parts["counts"].data or dict.fromkeys(Action.values, (0, 0))
    inflight = parts["queue"].data.in_flight if parts["queue"].data else 0
    return {
        "date": day.isoformat(),
        "mongo_status": _status(parts["mongo"], _NO_MONGO),
        "redis_status": _status(parts["redis"], _NO_REDIS),
        "request_pressure": {
            "max_inflight": settings.MAX_INFLIGHT_REQUESTS,
            "inflight": inflight,
            "waiting": parts["queue"].data.pending if parts["queue"].data else 0,
            **_pressure(parts["metrics"].data, inflight),
        },
        "action_stats": {action: _stats(*found) for action, found in counts.items()},
        "empty_streaks": [
            {"action": action, "cat_id": "", "streak": streak, "level": "warning"}
            for action, streak in (parts["streaks"].data or {}).items()
            if streak >= settings.ALERT_EMPTY_STREAK
        ],
        "exec_key_count": inflight,
        "total_documents": sum(total for total, _ in counts.values()),
        "empty_documents": sum(empty for _, empty in counts.values()),
        "recent_records": [_record(one) for one in parts["recent"].data or ()],
        "errors": {name: part.error for name, part in parts.items() if part.error},
    }


def _status(part: PartResult, nothing: Facts) -> Facts:
    if part.available:
        return {"ok": True, **cast(Facts, part.data)}
    return {"ok": False, "latency_ms": 0.0, **nothing, "error": part.error}


def _stats(total: int, empty: int) -> Facts:
    rate = round(empty / total, 4) if total else 0.0
    return {"total": total, "empty": empty, "has_data": total - empty, "empty_rate": rate}


def _pressure(collections: Mapping[str, Any] | None, inflight: int) -> Facts:
    """Return how many collections of today were sent, and how they ended."""
    rows = collections["counts"] if collections else []
    failed = [row for row in rows if row["outcome"] == "failed"]
    timeouts = sum(row["count"] for row in failed if row["reason"] == CollectionError.TIMEOUT)
    errors = sum(row["count"] for row in failed) - timeouts
    completed = collections["succeeded"] + collections["empty"] if collections else 0
    return {
        "total_sent": completed + timeouts + errors + inflight,
        "total_completed": completed,
        "total_timeout": timeouts,
        "total_error": errors,
    }


def _record(row: Mapping[str, Any]) -> Facts:
    names = ("action", "cat_id", "granularity", "period_key")
    return {name: row[name] for name in names} | {
        "source": "fresh",
        "updated_at": instant(row["updated_at"]),
    }


def _mongo_facts() -> Facts:
    facts = latency_of(mongo.ping)
    status = mongo.run_command("serverStatus")
    connections = {"current": "current", "available": "available", "total_created": "totalCreated"}
    return facts | {
        "connections": {name: int(status["connections"][key]) for name, key in connections.items()},
        "opcounters": {name: int(status["opcounters"][name]) for name in _NO_MONGO["opcounters"]},
        "memory_mb": {name: int(status["mem"].get(name, 0)) for name in _NO_MONGO["memory_mb"]},
    }


def _redis_facts() -> Facts:
    client = get_redis()
    facts = latency_of(client.ping)
    info = client.info()
    hits, misses = int(info["keyspace_hits"]), int(info["keyspace_misses"])
    return facts | {
        "version": server_product(info)[1],
        "connected_clients": int(info["connected_clients"]),
        "blocked_clients": int(info["blocked_clients"]),
        "used_memory_human": str(info["used_memory_human"]),
        "used_memory_peak_human": str(info["used_memory_peak_human"]),
        "total_keys": int(client.dbsize()),
        "ops_per_sec": int(info["instantaneous_ops_per_sec"]),
        "hit_rate": round(hits / (hits + misses) * 100, 1) if hits + misses else 0.0,
        "uptime_seconds": int(info["uptime_in_seconds"]),
    }
