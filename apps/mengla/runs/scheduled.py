"""The runs that schedules start; their period comes from the planned instant, never from the clock."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import structlog

from apps.core import market_clock
from apps.core.periods import Granularity, previous_closed_period
from apps.core.scheduling.schedules import list_schedules, next_run_of
from apps.core.storage.flags import SCHEDULER_PAUSED, is_flag_set
from apps.mengla.choices import Priority
from apps.mengla.queries.plans import Plan
from apps.mengla.runs.collect import PERIOD_TASK_IDS, Order, backfill_check_plan, period_plan, start
from apps.sync_tasks.choices import Trigger
from apps.sync_tasks.errors import AlreadyRunning
from apps.sync_tasks.selectors import run_of_firing

logger = structlog.get_logger(__name__)

SCHEDULER = "scheduler"
_INSTANT = "%Y%m%dT%H%M"


def run_period_collect(granularity: Granularity, *, intended_at: str | None) -> str | None:
    """Start a run of the last period that was closed at the planned instant; returns the run's id.

    None: the schedules are paused, or the previous run has not ended. A schedule that fires twice for one
    period starts one run: the period is the firing.
    """
    period = previous_closed_period(_intended_day(intended_at), granularity)
    return _start(period_plan(period, priority=Priority.SCHEDULED), firing=period.key)


def run_backfill_check(*, intended_at: str | None) -> str | None:
    """Start a run that fills gaps, one per planned instant; returns its id, or None as above.

    A period whose own schedule was not yet due at that instant is no gap: its figures may be incomplete.
    """
    instant = _intended(intended_at)
    firing = instant.astimezone(UTC).strftime(_INSTANT) if intended_at else None
    return _start(backfill_check_plan(_intended_day(intended_at), not_due=_not_due(instant)), firing=firing)


def has_started(task_id: str, *, due_at: datetime) -> bool:
    """Whether the run exists that the schedule of this task starts at an instant (UTC without zone)."""
    return run_of_firing(task_id, _firing_of(task_id, due_at.replace(tzinfo=UTC))) is not None


def _firing_of(task_id: str, instant: datetime) -> str:
    granularity = next((one for one, name in PERIOD_TASK_IDS.items() if name == task_id), None)
    if granularity is None:
        return instant.astimezone(UTC).strftime(_INSTANT)
    return previous_closed_period(market_clock.day_of(instant), granularity).key


def _start(plan: Plan, *, firing: str | None) -> str | None:
    if is_flag_set(SCHEDULER_PAUSED):
        logger.info("schedule_paused", task_id=plan.task_id)
        return None
    try:
        return start(plan, Order(SCHEDULER, Trigger.SCHEDULED, firing)).run_id
    except AlreadyRunning as error:
        # The previous run has not ended. The backfill check closes the gap that this leaves.
        logger.warning("schedule_overlaps", task_id=plan.task_id, running=error.run_id)
        return None


def _not_due(instant: datetime) -> frozenset[Granularity]:
    """Return the granularities whose own schedule has yet to collect the newest closed period."""
    crons = {schedule.name: schedule.cron for schedule in list_schedules() if not schedule.is_paused}
    today = market_clock.day_of(instant)

    def is_due(granularity: Granularity) -> bool:
        cron = crons.get(PERIOD_TASK_IDS[granularity])
        if cron is None:
            return True
        last_day = previous_closed_period(today, granularity).last_day
        before_midnight = market_clock.midnight(last_day + timedelta(days=1)) - timedelta(microseconds=1)
        return next_run_of(cron, after=before_midnight).replace(tzinfo=UTC) <= instant

    return frozenset(granularity for granularity in Granularity if not is_due(granularity))


def _intended(intended_at: str | None) -> datetime:
    if intended_at is None:
        return datetime.now(UTC)
    instant = datetime.fromisoformat(intended_at)
    return instant if instant.tzinfo else instant.replace(tzinfo=UTC)


def _intended_day(intended_at: str | None) -> date:
    return market_clock.day_of(_intended(intended_at))
