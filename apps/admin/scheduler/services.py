"""The schedules for operators, and the switch that pauses them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import redis
import structlog
from django.utils.translation import gettext as _

from apps.core.liveness.processes import Cluster, Heartbeat, list_clusters, list_heartbeats
from apps.core.scheduling.schedules import LastTask, StoredSchedule, TaskState, list_schedules
from apps.core.storage.flags import SCHEDULER_PAUSED, Flag, read_flag, set_flag
from apps.core.time_texts import instant_text
from apps.sync_tasks.choices import Outcome
from apps.sync_tasks.selectors import last_run_of

_OUTCOMES = {
    TaskState.SUCCEEDED: Outcome.COMPLETED,
    TaskState.FAILED: Outcome.FAILED,
    TaskState.UNFINISHED: Outcome.RUNNING,
}
audit = structlog.get_logger("collector.audit")


@dataclass(frozen=True, slots=True)
class ScheduleView:
    """A schedule, and the last run of its task from any trigger; None for a schedule that starts no runs.

    ``is_paused``: it is paused itself, or all schedules are paused and it obeys that.
    """

    schedule: StoredSchedule
    is_paused: bool
    last_run: Mapping[str, Any] | None


@dataclass(frozen=True, slots=True)
class SchedulerView:
    """All schedules, clusters and heartbeats; ``clusters`` is None while Redis is down."""

    pause: Flag
    schedules: list[ScheduleView]
    clusters: list[Cluster] | None
    heartbeats: list[Heartbeat]


def read_scheduler() -> SchedulerView:
    """Return the state of the schedules."""
    pause = read_flag(SCHEDULER_PAUSED)
    return SchedulerView(
        pause=pause,
        schedules=view_schedules(pause),
        clusters=_clusters(),
        heartbeats=list_heartbeats(),
    )


def view_schedules(pause: Flag) -> list[ScheduleView]:
    """Return the schedules, each with its last run; ``pause`` is the switch that pauses all of them."""
    return [
        ScheduleView(
            schedule,
            is_paused=schedule.is_paused or (pause.is_set and schedule.obeys_pause),
            last_run=last_run_of(schedule.name) if schedule.obeys_pause else None,
        )
        for schedule in list_schedules()
    ]


def outcome_of_task(task: LastTask) -> Outcome:
    """Return how the last task of a schedule that starts no runs ended, in the words of runs."""
    return _OUTCOMES[task.state]


@dataclass(frozen=True, slots=True)
class Switched:
    """The switch after a change; ``is_changed`` is False if it was so already, and nothing was written."""

    pause: Flag
    is_changed: bool


def pause_scheduler(*, paused_by: str) -> Switched:
    """Pause the schedules on every host, also across restarts; may be repeated."""
    return _set_paused(is_paused=True, changed_by=paused_by)


def resume_scheduler(*, resumed_by: str) -> Switched:
    """Resume the schedules; may be repeated."""
    return _set_paused(is_paused=False, changed_by=resumed_by)


def already_text(pause: Flag) -> str:
    """Return what to say to a request that changed nothing: the schedules were so already."""
    if not pause.is_set:
        return _("The schedules are not paused.")
    facts = {"user": pause.changed_by, "at": instant_text(pause.changed_at)}
    return _("All schedules are already paused, by %(user)s at %(at)s.") % facts


def _set_paused(*, is_paused: bool, changed_by: str) -> Switched:
    is_changed = set_flag(SCHEDULER_PAUSED, is_set=is_paused, changed_by=changed_by)
    if is_changed:
        audit.info("scheduler_paused" if is_paused else "scheduler_resumed", changed_by=changed_by)
    return Switched(read_flag(SCHEDULER_PAUSED), is_changed)


def _clusters() -> list[Cluster] | None:
    try:
        return list_clusters()
    except redis.RedisError:
        return None
