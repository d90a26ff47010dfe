"""The parts of the dashboard as plain data. A part that cannot be read does not affect the others."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import asdict
from datetime import datetime
from typing import Any

from django.conf import settings
from django.utils.translation import gettext

from apps.admin.alerts.selectors import list_alerts
from apps.admin.alerts.words import MESSAGES
from apps.admin.choices import AlertRule
from apps.admin.scheduler.services import ScheduleView, outcome_of_task, view_schedules
from apps.admin.scheduler.staleness import installed_at, staleness_of
from apps.core import market_clock
from apps.core.liveness.bounded_reads import Dependency, Part, read_parts
from apps.core.liveness.processes import list_heartbeats
from apps.core.scheduling.cron import describe_cron
from apps.core.scheduling.schedules import schedule_id, title_of
from apps.core.storage import counters, mongo
from apps.core.storage.flags import SCHEDULER_PAUSED, read_flag
from apps.core.storage.latency import LATENCY, histogram_of
from apps.core.storage.redis import get_redis
from apps.core.time_texts import instant_text, stored_period_text
from apps.mengla.choices import Priority
from apps.mengla.dispatch.breaker_control import read_breaker
from apps.mengla.dispatch.waiting import WaitingCode, outside_window
from apps.mengla.monitoring.failures import recent_failures
from apps.mengla.monitoring.hourly import HOUR_FORMAT, SHOWN_HOURS, collections_by_hour
from apps.mengla.monitoring.queue_state import queue_depth
from apps.mengla.monitoring.webhook_counts import read_refused_webhooks
from apps.mengla.store import outcomes
from apps.mengla.store.outcomes import Outcome
from apps.sync_tasks.choices import outcome_of
from apps.sync_tasks.selectors import Obstacles, list_running, progress_of, waiting_of
from apps.sync_tasks.words import ERRORS, rate_text

# Work that waits its turn needs nobody.
_IN_TURN = frozenset({WaitingCode.QUEUED, WaitingCode.IN_FLIGHT})
CACHE_DAYS = 7
MAX_RUNS_SHOWN = 5
Document = dict[str, Any]


class CountsUnavailableError(Exception):
    """The counts cannot be read from Redis."""


def read_dashboard() -> dict[str, Document]:
    """Return every part by its name, as ``{"available", "error", "data"}``, within about two seconds."""
    parts = {name: Part(needs, read) for name, (needs, read) in _PARTS.items()}
    return {
        name: {"available": result.available, "error": result.error, "data": result.data}
        for name, result in read_parts(parts).items()
    }


def _hours() -> Document:
    found = collections_by_hour()
    return {
        "hours": [
            {
                "began_at": f"{market_clock.local(hour.began_at):%H:%M}",
                "hour": f"{hour.began_at:{HOUR_FORMAT}}",
                "counts": dict(hour.counts),
            }
            for hour in found.hours
        ],
        "totals": {outcome.value: found.total(outcome) for outcome in found.hours[0].counts},
        "success_rate": _percent(found.success_rate),
        "since": found.since,
        "answered": found.total(Outcome.SUCCEEDED, Outcome.EMPTY),
        "failed": found.total(Outcome.FAILED),
        "is_complete": found.is_complete,
        "span_hours": SHOWN_HOURS,
    }


def _latency() -> Document:
    (today,) = _days(LATENCY, 1)
    return {
        "series": [
            {"name": name, **asdict(histogram_of(name, today.counts).summary())}
            for name in (outcomes.READ_SECONDS, outcomes.COLLECTION_SECONDS)
        ]
    }


def _cache() -> Document:
    days: list[Document] = []
    for day in reversed(_days(counters.STATS, CACHE_DAYS)):
        by_source = dict.fromkeys((*outcomes.TIERS, outcomes.MISS), 0)
        for (_action, source, _result), count in outcomes.each_counter(day.counts, outcomes.READ):
            if source in by_source:
                by_source[source] += count
        days.append({"day": day.day.isoformat(), "counts": by_source})
    total = sum(sum(day["counts"].values()) for day in days)
    missed = sum(day["counts"][outcomes.MISS] for day in days)
    return {"days": days, "hit_rate": _percent((total - missed) / total if total else None), "reads": total}


def _queue() -> Document:
    depth = queue_depth()
    rows = [
        {
            "priority": name,
            "value": Priority[name.upper()].value,
            "pending": count,
            "oldest_seconds": depth.oldest_seconds_by_priority[name],
        }
        for name, count in depth.by_priority.items()
    ]
    return {
        "rows": rows,
        "pending": depth.pending,
        "in_flight": depth.in_flight,
        "slots": settings.MAX_INFLIGHT_REQUESTS,
        "oldest_seconds": depth.oldest_pending_seconds,
        "held_back": reason.message if (reason := outside_window()) else "",
    }


def _breaker() -> Document:
    status = asdict(read_breaker())
    for name in ("next_probe_at", "since"):
        status[name] = _instant_or_nothing(status[name])
    return status | {"is_configured": bool(settings.COLLECT_SERVICE_URL)}


def _runs() -> Document:
    running = list_running(MAX_RUNS_SHOWN + 1)
    obstacles = Obstacles()
    rows = [_run(run, obstacles) for run in running[:MAX_RUNS_SHOWN]]
    return {"rows": rows, "has_more": len(running) > MAX_RUNS_SHOWN}


def _run(run: Document, obstacles: Obstacles) -> Document:
    name, progress = gettext(run["name"]), progress_of(run)
    # What holds back all runs, or why this one makes no progress.
    waiting = obstacles.of(run) or (None if progress.per_minute else waiting_of(run))
    return {
        "id": str(run["_id"]),
        "name": name,
        "title": f"{name} {stored_period_text(run['period'])}".strip(),
        "period": stored_period_text(run["period"]),
        "started_at": instant_text(run["started_at"]),
        "progress": asdict(progress),
        "rate": rate_text(progress.per_minute),
        "waiting": waiting and waiting.message,
        "is_held": waiting is not None and waiting.code not in _IN_TURN,
    }


def _schedules() -> Document:
    pause, installed = read_flag(SCHEDULER_PAUSED), installed_at()
    rows = []
    for view in view_schedules(pause):
        stale = staleness_of(view, installed_at=installed)
        schedule = view.schedule
        rows.append(
            {
                "id": str(schedule_id(schedule.name)),
                "name": schedule.name,
                "title": title_of(schedule.name),
                "cron": schedule.cron,
                "when": describe_cron(schedule.cron),
                "next_run_at": instant_text(schedule.next_run_at),
                "obeys_pause": schedule.obeys_pause,
                "is_paused": schedule.is_paused,
                "is_held": view.is_paused,
                "can_run": schedule.obeys_pause,  # it starts a sync task, which people may start, too
                "stale": stale and stale.kind,
                "due_at": _instant_or_nothing(stale.due_at if stale else None),
                "last": _last_of(view),
            }
        )
    return {
        "rows": rows,
        "is_paused": pause.is_set,
        "paused_by": pause.changed_by or "",
        "paused_at": _instant_or_nothing(pause.changed_at),
    }


def _last_of(view: ScheduleView) -> Document | None:
    """Return the last run of a schedule, or the last task of one that starts no runs."""
    if view.schedule.obeys_pause:
        return None if view.last_run is None else _last_run(view.last_run)
    task = view.schedule.last_task
    if task is None:
        return None
    outcome = outcome_of_task(task)
    return {
        "id": "",
        "status": outcome.value.upper(),
        "outcome": outcome.value,
        "outcome_name": str(outcome.label),
        "started_at": _instant_or_nothing(task.started_at),
        "error": "",
    }


def _last_run(run: Mapping[str, Any]) -> Document:
    failed = progress_of(run).failed
    outcome = outcome_of(run["status"], failed=failed)
    return {
        "id": str(run["_id"]),
        "status": run["status"],
        "outcome": outcome.value,
        "outcome_name": str(outcome.label),
        "started_at": instant_text(run["started_at"]),
        "error": ERRORS.shown(run),
    }


def _failures() -> Document:
    return asdict(recent_failures())


def _webhooks() -> Document:
    refused = read_refused_webhooks()
    return {"count": refused.count, "is_suspicious": refused.is_suspicious}


def _alerts() -> Document:
    shown = [alert for alert in list_alerts() if alert["is_firing"]]
    return {
        "rows": [
            {
                "id": alert["_id"],
                "rule": str(AlertRule(alert["rule"]).label),
                "action": alert["action"],
                "severity": alert["severity"],
                "message": MESSAGES.shown(alert),
                "fired_at": _instant_or_nothing(alert["fired_at"]),
                "silenced_until": _instant_or_nothing(alert["silenced_until"]),
            }
            for alert in shown
        ]
    }


def _mongodb() -> Document:
    return _timed(mongo.ping)


def _redis() -> Document:
    return _timed(lambda: get_redis().ping())


def _workers() -> Document:
    return {
        "rows": [
            {"host": beat.host, "age_seconds": beat.age_seconds, "is_stale": beat.is_stale}
            for beat in list_heartbeats()
        ]
    }


def _days(name: str, days: int) -> list[counters.DayCounts]:
    found = counters.read_days(name, days=days)
    if found is None:
        raise CountsUnavailableError
    return found


def _timed(ask: Callable[[], Any]) -> Document:
    started_at = time.perf_counter()
    ask()
    return {"milliseconds": round((time.perf_counter() - started_at) * 1000, 1)}


def _instant_or_nothing(instant: datetime | None) -> str:
    return instant_text(instant) if instant else ""


def _percent(share: float | None) -> float | None:
    return None if share is None else round(share * 100, 1)


_PARTS: Mapping[str, tuple[Dependency, Callable[[], Document]]] = {
    "mongodb": (Dependency.MONGODB, _mongodb),
    "redis": (Dependency.REDIS, _redis),
    "workers": (Dependency.MONGODB, _workers),
    "breaker": (Dependency.REDIS, _breaker),
    "hours": (Dependency.MONGODB, _hours),
    "queue": (Dependency.MONGODB, _queue),
    "latency": (Dependency.REDIS, _latency),
    "cache": (Dependency.REDIS, _cache),
    "runs": (Dependency.MONGODB, _runs),
    "schedules": (Dependency.MONGODB, _schedules),
    "alerts": (Dependency.MONGODB, _alerts),
    "failures": (Dependency.MONGODB, _failures),
    "webhooks": (Dependency.REDIS, _webhooks),
}
