"""What the services of the other apps return, in the names and shapes of the former program.

Its instants are UTC without an offset, those of schedules are local times with one.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from django.utils.translation import gettext

from apps.admin.caches.services import CacheStats
from apps.admin.scheduler.services import SchedulerView
from apps.mengla.choices import Action
from apps.mengla.dispatch.breaker_control import BreakerStatus
from apps.mengla.monitoring.coverage import CellState, Coverage
from apps.sync_tasks.choices import Trigger
from apps.sync_tasks.progress import Progress
from apps.sync_tasks.words import ERRORS

Document = dict[str, Any]


def instant(value: datetime | None) -> str | None:
    """Return an instant (UTC without zone) as the former program wrote it, without an offset."""
    return None if value is None else value.isoformat()


def run_shape(run: Mapping[str, Any], progress: Progress) -> Document:
    """Return a run; empty answers count as completed, and runs started by the API as manual."""
    is_scheduled = run["trigger"] == Trigger.SCHEDULED
    return {
        "task_id": run["task_id"],
        "task_name": gettext(run["name"]) if run["name"] else "",
        "status": run["status"],
        "progress": {
            "total": progress.total,
            "completed": progress.completed + progress.empty,
            "failed": progress.failed,
        },
        "started_at": instant(run["started_at"]),
        "finished_at": instant(run["finished_at"]),
        "trigger": (Trigger.SCHEDULED if is_scheduled else Trigger.MANUAL).value,
        "error_message": ERRORS.shown(run) or None,
        "created_at": instant(run["started_at"]),
        "updated_at": instant(run["updated_at"]),
        "id": str(run["_id"]),
    }


def coverage_shape(coverage: Coverage) -> Document:
    """Return by action and period key whether figures are stored."""
    return {
        action: {key: state is CellState.PRESENT for key, state in by_period.items()}
        for action, by_period in coverage.combined().items()
    }


def scheduler_shape(view: SchedulerView, *, running_count: int) -> Document:
    """Return the state of the schedules; they are stopped when no worker is alive.

    Pausing all schedules leaves them among the active ones, as there; only one paused alone is listed apart.
    """
    is_running = bool(view.clusters) or any(not beat.is_stale for beat in view.heartbeats)
    active: list[Document] = []
    paused: list[Document] = []
    for one in view.schedules:
        schedule = one.schedule
        job = {"id": schedule.name, "name": schedule.name, "next_run": str(schedule.next_run_local)}
        (paused if schedule.is_paused else active).append(job)
    state = "paused" if view.pause.is_set else "running"
    return {
        "running": is_running,
        "state": state if is_running else "stopped",
        "total_jobs": len(view.schedules),
        "active_jobs": active,
        "paused_jobs": paused,
        "background_tasks": running_count,
    }


def breakers_shape(breaker: BreakerStatus) -> Document:
    """Return the one breaker under the names of the former ones: one for each action."""
    seconds = breaker.open_seconds
    return {
        f"mengla_{action.value}": {
            "name": f"mengla_{action.value}",
            "state": breaker.state,
            "failure_count": breaker.failures,
            "success_count": breaker.successes,
            "failure_threshold": breaker.failure_threshold,
            "success_threshold": breaker.success_threshold,
            "timeout": int(seconds) if float(seconds).is_integer() else seconds,
            "last_failure_time": instant(breaker.since),
        }
        for action in Action
    }


def metrics_shape(total: Mapping[str, Any]) -> Document:
    """Return the counts of collections and reads; ``total`` is that of ``read_metrics``."""
    reads, collections = total["reads"], total["collections"]
    durations = total["durations"]["collections"]
    mean_ms = (durations["mean_seconds"] or 0.0) * 1000
    by_source, by_action, failures = Counter[str](), Counter[str](), Counter[str]()
    for row in collections["counts"]:
        by_source[row["source"]] += row["count"]
        by_action[row["action"]] += row["count"]
        if row["outcome"] == "failed":
            failures[row["action"]] += row["count"]
    rate = collections["success_rate"]
    return {
        "total_tasks": collections["total"],
        "success_count": collections["succeeded"] + collections["empty"],
        "fail_count": collections["failed"],
        "success_rate": 1.0 if rate is None else rate,
        "cache_hit_count": reads["hits"],
        "cache_miss_count": reads["misses"],
        "cache_hit_rate": reads["hit_rate"] or 0.0,
        "avg_duration_ms": mean_ms,
        "total_duration_ms": round(mean_ms * durations["count"]),
        "source_counts": dict(by_source),
        "action_counts": dict(by_action),
        "action_failures": dict(failures),
        "start_time": None,
        "last_update_time": None,
    }


def cache_shape(stats: CacheStats) -> Document:
    """Return the reads of today by tier: what one tier does not have, the next one is asked for."""
    tiers: Document = {}
    asked = stats.today["hits"] + stats.today["misses"]
    for name in ("l1", "l2", "l3"):
        hits = stats.today["by_tier"][name]
        misses = max(asked - hits, 0)
        tiers[name] = {"hits": hits, "misses": misses, "hit_rate": hits / asked if asked else 0.0}
        asked = misses
    tiers["l1"] |= {"size": stats.l1.entries, "max_size": stats.l1.max_entries}
    return tiers
