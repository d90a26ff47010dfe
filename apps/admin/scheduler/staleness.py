"""Which schedules did not do what their times say."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum

from apps.admin.scheduler.services import ScheduleView
from apps.core.scheduling.schedules import previous_run_of
from apps.core.storage.mongo import named_collection, utc_now
from apps.mengla.runs.scheduled import has_started

# A run that is due starts within a minute; the queue of a busy worker may delay it.
_GRACE = timedelta(minutes=10)


class Staleness(StrEnum):
    """What is wrong with a schedule."""

    PAUSED = "paused"  # by itself, not with all others
    OVERDUE = "overdue"  # nobody fires it
    MISSED = "missed"  # it was due, and no sync task has started since


@dataclass(frozen=True, slots=True)
class Stale:
    """What is wrong with a schedule, and when it was due (UTC without zone; None while it is paused)."""

    kind: Staleness
    due_at: datetime | None = None


def staleness_of(view: ScheduleView, *, installed_at: datetime) -> Stale | None:
    """Return what is wrong with the schedule; None when nothing is.

    What was due before ``installed_at`` does not count: a new installation has missed nothing.
    """
    schedule = view.schedule
    if schedule.is_paused:
        return Stale(Staleness.PAUSED)
    latest = utc_now() - _GRACE
    if schedule.next_run_at < latest:
        return Stale(Staleness.OVERDUE, schedule.next_run_at)
    if view.is_paused or not schedule.obeys_pause:
        return None
    due_at = previous_run_of(schedule.cron, before=latest.replace(tzinfo=UTC))
    has_run = view.last_run is not None and view.last_run["started_at"] >= due_at
    if due_at < installed_at or has_run or has_started(schedule.name, due_at=due_at):
        return None
    return Stale(Staleness.MISSED, due_at)


def installed_at() -> datetime:
    """Return when the first migration was applied to this database (UTC without zone)."""
    first = named_collection("django_migrations").find_one({}, {"applied": 1}, sort=[("_id", 1)])
    return utc_now() if first is None else first["applied"]
