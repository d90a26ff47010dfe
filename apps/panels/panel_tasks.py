"""The tasks that people start from a panel; what they do is done by the app of the figures."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from functools import partial

from django.utils.functional import Promise
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from apps.core.periods import Granularity, previous_closed_period
from apps.mengla.runs import collect
from apps.mengla.runs.collect import PERIOD_TASK_IDS, TASK_NAMES, Order
from apps.sync_tasks.choices import Trigger
from apps.sync_tasks.services import Started


@dataclass(frozen=True, slots=True)
class PanelTask:
    """Something that can be started; its id is the task id of the runs it starts."""

    id: str
    description: str | Promise
    start: Callable[[Order, date], Started]  # who wants it, and the calendar day it is for the market
    count: Callable[[date], int] | None = None  # its collections, of a task so large that people are asked

    @property
    def name(self) -> str:
        """The name its runs have, in the reader's language."""
        return gettext(TASK_NAMES[self.id])


def _collect_all(order: Order, today: date, *, is_forced: bool) -> Started:
    return collect.run_granular_collect(order=order, today=today, is_forced=is_forced)


def _count_all(today: date) -> int:
    return collect.granular_plan(today=today, is_forced=True, trigger=Trigger.MANUAL).count()


def _collect_day(order: Order, today: date) -> Started:
    return collect.run_single_day_collect(order=order, today=today)


def _collect_period(granularity: Granularity, order: Order, today: date) -> Started:
    period = previous_closed_period(today, granularity)
    return collect.run_period_collect(granularity, order=order, period=period)


def _check_gaps(order: Order, today: date) -> Started:
    return collect.run_backfill_check(order=order, today=today)


def _period_task(granularity: Granularity, description: Promise) -> PanelTask:
    return PanelTask(PERIOD_TASK_IDS[granularity], description, partial(_collect_period, granularity))


_ALL = (
    PanelTask(
        "mengla_granular",
        _("The last closed day, month, quarter and year; what is fresh is left out."),
        partial(_collect_all, is_forced=False),
    ),
    PanelTask(
        "mengla_granular_force",
        _("The last closed day, month, quarter and year, all of it again."),
        partial(_collect_all, is_forced=True),
        _count_all,
    ),
    PanelTask("mengla_single_day", _("Yesterday; what is fresh is left out."), _collect_day),
    _period_task(Granularity.DAY, _("Yesterday, as the daily schedule collects it.")),
    _period_task(Granularity.MONTH, _("Last month, as the monthly schedule collects it.")),
    _period_task(Granularity.QUARTER, _("Last quarter, as the quarterly schedule collects it.")),
    _period_task(Granularity.YEAR, _("Last year, as the yearly schedule collects it.")),
    PanelTask(
        "backfill_check",
        _("What is missing or empty in the last closed periods."),
        _check_gaps,
    ),
)
TASKS = {task.id: task for task in _ALL}
