"""The schedules as operators see them, and the switch that keeps them from starting runs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import redis
import structlog

from apps.core.liveness.processes import Cluster, Heartbeat, list_clusters, list_heartbeats
from apps.core.scheduling.schedules import StoredSchedule, list_schedules
from apps.core.storage.flags import SCHEDULER_PAUSED, Flag, read_flag, set_flag
from apps.sync_tasks.selectors import last_run_of

audit = structlog.get_logger("collector.audit")


@dataclass(frozen=True, slots=True)
class ScheduleView:
    """A schedule, and the last run of its task whoever started it; None for one that starts no runs.

    It is paused by itself, or as one of those that the switch of all schedules stops.
    """

    schedule: StoredSchedule
    is_paused: bool
    last_run: Mapping[str, Any] | None


@dataclass(frozen=True, slots=True)
class SchedulerView:
    """All schedules and who works on them; ``clusters`` is None when Redis, which knows them, is down."""

    pause: Flag
    schedules: list[ScheduleView]
    clusters: list[Cluster] | None
    heartbeats: list[Heartbeat]


def read_scheduler() -> SchedulerView:
    """Return how the schedules stand."""
    pause = read_flag(SCHEDULER_PAUSED)
    return SchedulerView(
        pause=pause,
        schedules=[
            ScheduleView(
                schedule,
                is_paused=schedule.is_paused or (pause.is_set and schedule.obeys_pause),
                last_run=last_run_of(schedule.name) if schedule.obeys_pause else None,
            )
            for schedule in list_schedules()
        ],
        clusters=_clusters(),
        heartbeats=list_heartbeats(),
    )


def pause_scheduler(*, paused_by: str) -> Flag:
    """Keep the schedules from starting runs, on every host and over restarts; may be repeated."""
    return _turn(is_set=True, changed_by=paused_by)


def resume_scheduler(*, resumed_by: str) -> Flag:
    """Let the schedules start runs again; may be repeated."""
    return _turn(is_set=False, changed_by=resumed_by)


def _turn(*, is_set: bool, changed_by: str) -> Flag:
    if set_flag(SCHEDULER_PAUSED, is_set=is_set, changed_by=changed_by):
        audit.info("scheduler_paused" if is_set else "scheduler_resumed", changed_by=changed_by)
    return read_flag(SCHEDULER_PAUSED)


def _clusters() -> list[Cluster] | None:
    try:
        return list_clusters()
    except redis.RedisError:
        return None
