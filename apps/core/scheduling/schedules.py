"""The schedules that the product declares, and how they get into django-q2.

Every app declares its own in ``schedules.py``; :func:`sync_schedules` upserts them by name. A time edited in
the admin survives restarts, until the environment variable is changed.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from importlib import import_module
from importlib.util import find_spec
from typing import Any

import structlog
from bson import ObjectId
from croniter import croniter
from django.apps import apps as django_apps
from django.utils import timezone
from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from apps.core import market_clock
from apps.core.errors import Conflict, NotFound
from apps.core.scheduling.cron import clean_cron
from apps.core.storage.mongo import named_collection, utc_now

_SCHEDULE_COLLECTION = "django_q_schedule"
_DECLARED_COLLECTION = "core_declared_schedules"
# Values of django-q2's "repeats": a schedule with 0 stays stored and does not run.
_ALWAYS, _NEVER = -1, 0

UNPAUSABLE = gettext_lazy("This schedule maintains the installation and cannot be paused.")

audit = structlog.get_logger("collector.audit")


@dataclass(frozen=True, slots=True)
class WantedSchedule:
    """A schedule of type CRON, in Asia/Shanghai.

    The task receives its planned instant as the argument that ``intended_date_kwarg`` names. ``title`` is the
    name for people, in English and marked for translation.
    """

    name: str
    task: str
    cron: str
    intended_date_kwarg: str | None = None
    title: str = ""


@dataclass(frozen=True, slots=True)
class SyncResult:
    """The names of the schedules, by what was done to them."""

    added: list[str]
    changed: list[str]
    unchanged: list[str]
    removed: list[str]


class TaskState(StrEnum):
    """The state of a schedule's last task; django-q2 stores no result before the task has ended."""

    SUCCEEDED = "succeeded"
    FAILED = "failed"
    UNFINISHED = "unfinished"


@dataclass(frozen=True, slots=True)
class LastTask:
    """The last task that a schedule started; an unfinished one has no instants."""

    state: TaskState
    started_at: datetime | None = None
    finished_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class StoredSchedule:
    """A schedule as django-q2 stores it; ``next_run_at`` is UTC without zone."""

    name: str
    cron: str
    is_edited: bool  # its cron was changed in the admin and differs from the environment's
    obeys_pause: bool
    next_run_at: datetime
    last_task: LastTask | None  # None when it has never run
    is_paused: bool = False  # this one alone; a flag pauses all schedules

    @property
    def next_run_local(self) -> datetime:
        """The next run in the market's time zone, which the cron expression refers to."""
        return market_clock.local(self.next_run_at)


def list_schedules() -> list[StoredSchedule]:
    """Return the product's stored schedules, the next one to run first."""
    declared = {row["_id"]: row["cron"] for row in named_collection(_DECLARED_COLLECTION).find()}
    found = named_collection(_SCHEDULE_COLLECTION).find({"name": {"$in": list(declared)}}).sort("next_run")
    rows = list(found)
    ended = _ended_tasks([row["task"] for row in rows if row["task"]])
    return [
        StoredSchedule(
            name=row["name"],
            cron=row["cron"],
            is_edited=row["cron"] != declared[row["name"]],
            # Schedules that start runs receive their planned instant. The others maintain the installation.
            obeys_pause=row["intended_date_kwarg"] is not None,
            next_run_at=row["next_run"],
            last_task=ended.get(row["task"], LastTask(TaskState.UNFINISHED)) if row["task"] else None,
            is_paused=row["repeats"] == _NEVER,
        )
        for row in rows
    ]


def _ended_tasks(queued_ids: list[str]) -> dict[str, LastTask]:
    from django_q.models import Task

    rows = Task.objects.filter(id__in=queued_ids).values_list("id", "success", "started", "stopped")
    return {
        queued_id: LastTask(TaskState.SUCCEEDED if success else TaskState.FAILED, started, stopped)
        for queued_id, success, started, stopped in rows
    }


def declared_schedules() -> list[WantedSchedule]:
    """Return the schedules that ``get_schedules`` of every app's ``schedules`` module returns."""
    wanted: list[WantedSchedule] = []
    for config in django_apps.get_app_configs():
        if config.name.startswith("apps.") and find_spec(f"{config.name}.schedules"):
            wanted += import_module(f"{config.name}.schedules").get_schedules()
    return wanted


def sync_schedules(wanted: Iterable[WantedSchedule] | None = None, *, is_dry_run: bool = False) -> SyncResult:
    """Bring django-q2's schedules in line with the declared ones; safe to run several times at once.

    The key of a schedule is derived from its name, so two hosts that start together cannot add it twice. With
    ``is_dry_run`` nothing is written.
    """
    schedules = declared_schedules() if wanted is None else list(wanted)
    rows, declared = named_collection(_SCHEDULE_COLLECTION), named_collection(_DECLARED_COLLECTION)
    result = SyncResult([], [], [], [])
    for schedule in schedules:
        before = declared.find_one({"_id": schedule.name}, {"cron": 1})
        was_there = rows.find_one({"_id": schedule_id(schedule.name)}, {"cron": 1})
        is_new_cron = before is not None and before["cron"] != schedule.cron
        if not is_dry_run:
            _store(schedule, is_new_cron=is_new_cron)
        if was_there is None:
            result.added.append(schedule.name)
        elif is_new_cron and was_there["cron"] != schedule.cron:
            result.changed.append(schedule.name)
        else:
            result.unchanged.append(schedule.name)
    names = [schedule.name for schedule in schedules]
    for obsolete in [row["_id"] for row in declared.find({"_id": {"$nin": names}}, {"_id": 1})]:
        if not is_dry_run:
            rows.delete_one({"_id": schedule_id(obsolete)})
            declared.delete_one({"_id": obsolete})
        result.removed.append(obsolete)
    return result


def _store(schedule: WantedSchedule, *, is_new_cron: bool) -> None:
    fixed = {
        "func": schedule.task,
        "schedule_type": "C",
        "intended_date_kwarg": schedule.intended_date_kwarg,
        "name": schedule.name,
    }
    timing = {"cron": schedule.cron, "next_run": next_run_of(schedule.cron, after=timezone.now())}
    rows, key = named_collection(_SCHEDULE_COLLECTION), schedule_id(schedule.name)
    first = {"repeats": _ALWAYS, "cluster": None, "hook": None, "args": None, "kwargs": None}
    first |= {"minutes": None, "task": None}
    rows.update_one({"_id": key}, {"$set": fixed, "$setOnInsert": first | timing}, upsert=True)
    if is_new_cron:
        # Of several that start at once, one changes it. A later one would put off a run that is due by now.
        rows.update_one({"_id": key, "cron": {"$ne": schedule.cron}}, {"$set": timing})
    # Last: when a sync is killed before this, the next one completes it.
    named_collection(_DECLARED_COLLECTION).update_one(
        {"_id": schedule.name},
        {"$set": {"cron": schedule.cron, "synced_at": utc_now()}},
        upsert=True,
    )


def change_cron(name: str, *, cron: str, changed_by: str) -> None:
    """Change the times of a schedule, until its environment variable changes.

    :raises InvalidInput: when the expression is not valid.
    :raises NotFound: when the product has no such schedule.
    """
    cron = clean_cron(cron)
    _change(name, {"cron": cron, "next_run": next_run_of(cron, after=timezone.now())})
    audit.info("schedule_changed", name=name, cron=cron, changed_by=changed_by)


def pause_schedule(name: str, *, paused_by: str) -> bool:
    """Stop a schedule until it is resumed; returns False when it is paused already.

    :raises Conflict: for a schedule that maintains the installation.
    :raises NotFound: when the product has no such schedule.
    """
    if not _find(name).obeys_pause:
        raise Conflict(str(UNPAUSABLE))
    is_changed = _change(name, {"repeats": _NEVER}, only_if={"repeats": {"$ne": _NEVER}})
    if is_changed:
        audit.info("schedule_paused_by_hand", name=name, paused_by=paused_by)
    return is_changed


def resume_schedule(name: str, *, resumed_by: str) -> bool:
    """Let a paused schedule run again from its next time on; the backfill check collects what it missed.

    Returns False when it is not paused.

    :raises NotFound: when the product has no such schedule.
    """
    next_run = next_run_of(_find(name).cron, after=timezone.now())
    resumed = {"repeats": _ALWAYS, "next_run": next_run}
    is_changed = _change(name, resumed, only_if={"repeats": _NEVER})
    if is_changed:
        audit.info("schedule_resumed_by_hand", name=name, resumed_by=resumed_by)
    return is_changed


def title_of(name: str) -> str:
    """Return the name of a schedule for people, in the reader's language."""
    return str(lazy_title_of(name))


def lazy_title_of(name: str) -> str | Promise:
    """Return the name of a schedule for people, for stored texts: it is translated when it is shown."""
    title = next((one.title for one in declared_schedules() if one.name == name), "")
    return gettext_lazy(title) if title else name


def schedule_id(name: str) -> ObjectId:
    """Return the key of the schedule of this name."""
    return ObjectId(hashlib.sha256(f"schedule:{name}".encode()).digest()[:12])


def next_run_of(cron: str, *, after: datetime) -> datetime:
    """Return the first instant after ``after`` that the expression matches, in UTC without zone."""
    following: datetime = croniter(cron, market_clock.local(after)).get_next(datetime)
    return following.astimezone(UTC).replace(tzinfo=None)


def previous_run_of(cron: str, *, before: datetime) -> datetime:
    """Return the last instant before ``before`` that the expression matches, in UTC without zone."""
    last: datetime = croniter(cron, market_clock.local(before)).get_prev(datetime)
    return last.astimezone(UTC).replace(tzinfo=None)


def _find(name: str) -> StoredSchedule:
    found = next((schedule for schedule in list_schedules() if schedule.name == name), None)
    if found is None:
        raise NotFound(_("There is no such schedule."))
    return found


def _change(name: str, changes: dict[str, Any], *, only_if: dict[str, Any] | None = None) -> bool:
    """Change the schedule if it is so, in one step; returns whether it was."""
    _find(name)
    key = {"_id": schedule_id(name), **(only_if or {})}
    return named_collection(_SCHEDULE_COLLECTION).update_one(key, {"$set": changes}).matched_count == 1
