"""The schedules the product wants, and how they get into django-q2.

Every app declares its own in ``schedules.py``; :func:`sync_schedules` upserts them by name. A time edited
in the admin survives a restart; a change of the environment variable wins over it.
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
from django.utils.translation import gettext as _

from apps.core import market_clock
from apps.core.errors import Conflict, NotFound
from apps.core.scheduling.cron import clean_cron
from apps.core.storage.mongo import named_collection, utc_now

_SCHEDULE_COLLECTION = "django_q_schedule"
_DECLARED_COLLECTION = "core_declared_schedules"
# How often django-q2 repeats a schedule: one that never is stays where it is.
_ALWAYS, _NEVER = -1, 0

audit = structlog.get_logger("collector.audit")


@dataclass(frozen=True, slots=True)
class WantedSchedule:
    """A schedule of type CRON, in Asia/Shanghai.

    The task gets its planned instant in ``intended_date_kwarg``.
    """

    name: str
    task: str
    cron: str
    intended_date_kwarg: str | None = None


@dataclass(frozen=True, slots=True)
class SyncResult:
    """The names of the schedules by what was done."""

    added: list[str]
    changed: list[str]
    unchanged: list[str]
    removed: list[str]


class TaskState(StrEnum):
    """How the last task of a schedule stands; django-q2 keeps no result of one that has not ended."""

    SUCCEEDED = "succeeded"
    FAILED = "failed"
    UNFINISHED = "unfinished"


@dataclass(frozen=True, slots=True)
class LastTask:
    """What a schedule started last; no instants while it is unfinished."""

    state: TaskState
    started_at: datetime | None = None
    finished_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class StoredSchedule:
    """A schedule as it stands in django-q2; ``next_run_at`` is UTC without zone."""

    name: str
    cron: str
    is_edited: bool  # in the admin: the environment says another time
    obeys_pause: bool
    next_run_at: datetime
    last_task: LastTask | None  # None when it has never fired
    is_paused: bool = False  # this one alone; the switch of all schedules is a flag

    @property
    def next_run_local(self) -> datetime:
        """The same instant in the time zone of the market, in which the cron expression is meant."""
        return market_clock.local(self.next_run_at)


def list_schedules() -> list[StoredSchedule]:
    """Return the product's schedules as they are stored, the next one to run first."""
    declared = {row["_id"]: row["cron"] for row in named_collection(_DECLARED_COLLECTION).find()}
    found = named_collection(_SCHEDULE_COLLECTION).find({"name": {"$in": list(declared)}}).sort("next_run")
    rows = list(found)
    ended = _ended_tasks([row["task"] for row in rows if row["task"]])
    return [
        StoredSchedule(
            name=row["name"],
            cron=row["cron"],
            is_edited=row["cron"] != declared[row["name"]],
            # What starts runs is told its planned instant; the others are the upkeep of the installation.
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
    """Collect what ``get_schedules`` of every app's ``schedules`` module returns."""
    wanted: list[WantedSchedule] = []
    for config in django_apps.get_app_configs():
        if config.name.startswith("apps.") and find_spec(f"{config.name}.schedules"):
            wanted += import_module(f"{config.name}.schedules").get_schedules()
    return wanted


def sync_schedules(wanted: Iterable[WantedSchedule] | None = None, *, is_dry_run: bool = False) -> SyncResult:
    """Bring django-q2's schedules in line with the declared ones; safe to run many times at once.

    The key of a schedule is derived from its name, so that two hosts starting together cannot add it twice.
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
    first = {"repeats": _ALWAYS, "cluster": None, "hook": None, "args": None, "kwargs": None}
    first |= {"minutes": None, "task": None}
    named_collection(_SCHEDULE_COLLECTION).update_one(
        {"_id": schedule_id(schedule.name)},
        {"$set": fixed | timing, "$setOnInsert": first}
        if is_new_cron
        else {"$set": fixed, "$setOnInsert": first | timing},
        upsert=True,
    )
    # Last: a sync that was killed before this is completed by the next one.
    named_collection(_DECLARED_COLLECTION).update_one(
        {"_id": schedule.name},
        {"$set": {"cron": schedule.cron, "synced_at": utc_now()}},
        upsert=True,
    )


def change_cron(name: str, *, cron: str, changed_by: str) -> None:
    """Let a schedule run at other times, until its environment variable changes.

    :raises InvalidInput: when the expression cannot be used.
    :raises NotFound: when the product has no such schedule.
    """
    cron = clean_cron(cron)
    _change(name, {"cron": cron, "next_run": next_run_of(cron, after=timezone.now())})
    audit.info("schedule_changed", name=name, cron=cron, changed_by=changed_by)


def pause_schedule(name: str, *, paused_by: str) -> None:
    """Keep a schedule from running until it is resumed; an upkeep of the installation cannot be paused.

    :raises Conflict: for such an upkeep.
    :raises NotFound: when the product has no such schedule.
    """
    if not _find(name).obeys_pause:
        raise Conflict(_("This schedule keeps the installation in order and cannot be paused."))
    _change(name, {"repeats": _NEVER})
    audit.info("schedule_paused_by_hand", name=name, paused_by=paused_by)


def resume_schedule(name: str, *, resumed_by: str) -> None:
    """Let a paused schedule run again, next at its next time; what it missed is left to the backfill check.

    :raises NotFound: when the product has no such schedule.
    """
    next_run = next_run_of(_find(name).cron, after=timezone.now())
    _change(name, {"repeats": _ALWAYS, "next_run": next_run})
    audit.info("schedule_resumed_by_hand", name=name, resumed_by=resumed_by)


def schedule_id(name: str) -> ObjectId:
    """Return the key of the schedule of this name."""
    return ObjectId(hashlib.sha256(f"schedule:{name}".encode()).digest()[:12])


def next_run_of(cron: str, *, after: datetime) -> datetime:
    """Return the first instant after ``after`` that the expression names, in UTC without zone."""
    following: datetime = croniter(cron, market_clock.local(after)).get_next(datetime)
    return following.astimezone(UTC).replace(tzinfo=None)


def _find(name: str) -> StoredSchedule:
    found = next((schedule for schedule in list_schedules() if schedule.name == name), None)
    if found is None:
        raise NotFound(_("There is no such schedule."))
    return found


def _change(name: str, changes: dict[str, Any]) -> None:
    _find(name)
    named_collection(_SCHEDULE_COLLECTION).update_one({"_id": schedule_id(name)}, {"$set": changes})
