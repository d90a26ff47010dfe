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
from apps.mengla.queries.plans import Plan
from apps.mengla.runs.collect import (
    PERIOD_TASK_IDS,
    TASK_NAMES,
    backfill_check_plan,
    granular_plan,
    period_plan,
    single_day_plan,
)


@dataclass(frozen=True, slots=True)
class PanelTask:
    """Something that can be started; its id is the task id of the runs it starts."""

    id: str
    description: str | Promise
    plan: Callable[[date], Plan]  # of the calendar day it is for the market
    is_large: bool = False  # so that people are asked first

    @property
    def name(self) -> str:
        """The name its runs have, in the reader's language."""
        return gettext(TASK_NAMES[self.id])


def _period_task(granularity: Granularity, description: Promise) -> PanelTask:
    def plan(today: date) -> Plan:
        return period_plan(previous_closed_period(today, granularity))

    return PanelTask(PERIOD_TASK_IDS[granularity], description, plan)


_ALL = (
    PanelTask(
        "mengla_granular",
        _("The last closed day, month, quarter and year; what is fresh is left out."),
        granular_plan,
    ),
    PanelTask(
        "mengla_granular_force",
        _("The last closed day, month, quarter and year, all of it again."),
        partial(granular_plan, is_forced=True),
        is_large=True,
    ),
    PanelTask("mengla_single_day", _("Yesterday; what is fresh is left out."), single_day_plan),
    _period_task(Granularity.DAY, _("Yesterday, as the daily schedule collects it.")),
    _period_task(Granularity.MONTH, _("Last month, as the monthly schedule collects it.")),
    _period_task(Granularity.QUARTER, _("Last quarter, as the quarterly schedule collects it.")),
    _period_task(Granularity.YEAR, _("Last year, as the yearly schedule collects it.")),
    PanelTask(
        "backfill_check",
        _("What is missing or empty in the last closed periods."),
        backfill_check_plan,
    ),
)
TASKS = {task.id: task for task in _ALL}
