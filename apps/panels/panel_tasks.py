"""The tasks that users start from a panel; ``apps.mengla`` runs them."""

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
    """A task that users can start; ``id`` is the task id of its runs."""

    id: str
    description: str | Promise
    plan: Callable[[date], Plan]  # for the current date of the market
    is_large: bool = False  # users must confirm it first

    @property
    def name(self) -> str:
        """The name of its runs, in the reader's language."""
        return gettext(TASK_NAMES[self.id])


def _period_task(granularity: Granularity, description: Promise) -> PanelTask:
    def plan(today: date) -> Plan:
        return period_plan(previous_closed_period(today, granularity))

    return PanelTask(PERIOD_TASK_IDS[granularity], description, plan)


_ALL = (
    PanelTask(
        "mengla_granular",
        _("The latest complete day, month, quarter and year. Skips what is up to date."),
        granular_plan,
    ),
    PanelTask(
        "mengla_granular_force",
        _("The latest complete day, month, quarter and year. Collects everything again."),
        partial(granular_plan, is_forced=True),
        is_large=True,
    ),
    PanelTask("mengla_single_day", _("Yesterday. Skips what is up to date."), single_day_plan),
    _period_task(Granularity.DAY, _("Yesterday, as the daily schedule collects it.")),
    _period_task(Granularity.MONTH, _("Last month, as the monthly schedule collects it.")),
    _period_task(Granularity.QUARTER, _("Last quarter, as the quarterly schedule collects it.")),
    _period_task(Granularity.YEAR, _("Last year, as the yearly schedule collects it.")),
    PanelTask(
        "backfill_check",
        _("Collects what is missing, empty or still provisional in the latest complete periods."),
        backfill_check_plan,
    ),
)
TASKS = {task.id: task for task in _ALL}
