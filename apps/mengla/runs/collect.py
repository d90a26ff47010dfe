"""Starts runs that collect figures: of a period, of a range, of gaps, of everything.

Each function makes a plan and hands it to a run; a worker turns the plan into collections. Schedules, panel
tasks, commands and the API are doors to these functions.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import date

from django.conf import settings
from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop

from apps.categories.selectors import check_categories, list_all_ids, list_level1_ids
from apps.core.errors import InvalidInput
from apps.core.periods import Granularity, Period, count_periods, previous_closed_period
from apps.mengla.choices import Action, Priority
from apps.mengla.queries.data_query import ALL_CATEGORIES
from apps.mengla.queries.plans import ALL_ACTIONS, Plan, SkipPolicy, Span, first_of_year
from apps.mengla.runs.planning import request_planning
from apps.sync_tasks import services as runs
from apps.sync_tasks.choices import Trigger
from apps.sync_tasks.services import Started

MAX_RANGE_PERIODS = 1100

PERIOD_TASK_IDS = {
    Granularity.DAY: "daily_collect",
    Granularity.MONTH: "monthly_collect",
    Granularity.QUARTER: "quarterly_collect",
    Granularity.YEAR: "yearly_collect",
}
# Stored in English, and translated where people read them.
TASK_NAMES = {
    "daily_collect": gettext_noop("Daily collection"),
    "monthly_collect": gettext_noop("Monthly collection"),
    "quarterly_collect": gettext_noop("Quarterly collection"),
    "yearly_collect": gettext_noop("Yearly collection"),
    "backfill_check": gettext_noop("Backfill check"),
    "backfill": gettext_noop("Backfill"),
    "fill": gettext_noop("Fill of gaps"),
    "full_crawl": gettext_noop("Full crawl"),
    "mengla_granular": gettext_noop("Collect all granularities"),
    "mengla_granular_force": gettext_noop("Collect all granularities anew"),
    "mengla_single_day": gettext_noop("Collect yesterday"),
    "cache_warmup": gettext_noop("Cache warm-up"),
}


@dataclass(frozen=True, slots=True)
class Order:
    """Who wants a run, and why it starts: the same for every kind of run."""

    requested_by: str
    trigger: Trigger = Trigger.MANUAL
    slot: str | None = None  # of a schedule's firing; the same slot never starts twice


@dataclass(frozen=True, slots=True)
class Selection:
    """What part of the figures is meant; empty means all actions, and all level-1 categories."""

    cat_ids: tuple[str, ...] = ()
    actions: tuple[Action, ...] = ()


def select(*, cat_ids: Iterable[str] = (), actions: Iterable[str] = (), field: str = "catId") -> Selection:
    """Return the selection that callers name: ids of categories, or ``all`` for all of them taken together.

    :raises InvalidInput: for unknown categories, naming the field.
    """
    named = tuple(dict.fromkeys("" if cat_id == ALL_CATEGORIES else cat_id for cat_id in cat_ids))
    check_categories(named, field=field)
    return Selection(cat_ids=named, actions=tuple(Action(name) for name in dict.fromkeys(actions)))


def run_period_collect(
    granularity: Granularity,
    *,
    order: Order,
    period: Period,
    selection: Selection | None = None,
    is_forced: bool = False,
) -> Started:
    """Collect one period, whatever its length: every wanted action, and the trend of its year so far."""
    plan = period_plan(period, selection=selection, is_forced=is_forced, trigger=order.trigger)
    return _start(PERIOD_TASK_IDS[granularity], plan, order=order, period=period.key)


def run_granular_collect(*, order: Order, today: date, is_forced: bool = False) -> Started:
    """Collect the last closed period of every granularity."""
    plan = granular_plan(today=today, is_forced=is_forced, trigger=order.trigger)
    return _start("mengla_granular_force" if is_forced else "mengla_granular", plan, order=order)


def run_single_day_collect(*, order: Order, today: date) -> Started:
    """Collect yesterday."""
    day = previous_closed_period(today, Granularity.DAY)
    plan = _plan([_span_of(day)], Selection(), SkipPolicy.FRESH, _priority(order.trigger))
    return _start("mengla_single_day", plan, order=order, period=day.key)


def run_backfill_check(
    *, order: Order, today: date, not_due: Collection[Granularity] = frozenset()
) -> Started:
    """Plan what is missing or empty in the last closed periods: this also closes gaps after downtime.

    Of the granularities that are ``not_due`` the newest closed period is left to its own schedule.
    """
    plan = backfill_check_plan(today=today, not_due=not_due)
    return _start("backfill_check", plan, order=order)


def run_backfill(
    *,
    order: Order,
    start: Period,
    end: Period,
    selection: Selection | None = None,
    is_forced: bool = False,
) -> Started:
    """Collect a range of periods at the lowest priority; fresh figures are left out unless forced."""
    plan = range_plan(start, end, selection=selection, skip=_skip(is_forced))
    return _start("backfill", plan, order=order, period=f"{start.key}~{end.key}")


def run_fill(*, order: Order, start: Period, end: Period, selection: Selection | None = None) -> Started:
    """Collect only what is missing or empty in a range of periods."""
    plan = range_plan(start, end, selection=selection, skip=SkipPolicy.PRESENT)
    return _start("fill", plan, order=order, period=f"{start.key}~{end.key}")


def run_full_crawl(*, order: Order, today: date, selection: Selection | None = None) -> Started:
    """Collect the last closed period of every granularity for every category of the tree."""
    spans = [_span_of(previous_closed_period(today, granularity)) for granularity in reversed(Granularity)]
    wanted = selection or Selection()
    wanted = Selection(cat_ids=wanted.cat_ids or tuple(list_all_ids()), actions=wanted.actions)
    return _start("full_crawl", _plan(spans, wanted, SkipPolicy.FRESH, Priority.BACKFILL), order=order)


# --- Plans ----------------------------------------------------------------------------------------


def period_plan(period: Period, *, selection: Selection | None, is_forced: bool, trigger: Trigger) -> Plan:
    """Return the plan of one period's collection."""
    return _plan([_span_of(period)], selection, _skip(is_forced), _priority(trigger))


def granular_plan(*, today: date, is_forced: bool, trigger: Trigger) -> Plan:
    """Return the plan of the last closed period of every granularity."""
    spans = [_span_of(previous_closed_period(today, granularity)) for granularity in reversed(Granularity)]
    return _plan(spans, Selection(), _skip(is_forced), _priority(trigger))


def range_plan(start: Period, end: Period, *, selection: Selection | None, skip: SkipPolicy) -> Plan:
    """Return the plan of a range.

    :raises InvalidInput: for a reversed range, two granularities, or too many periods.
    """
    if count_periods(start, end) > MAX_RANGE_PERIODS:
        message = _("The range has more than %(limit)d periods.") % {"limit": MAX_RANGE_PERIODS}
        raise InvalidInput(message, fields={"to": [message]})
    return _plan([Span(start, end, trend_start=start)], selection, skip, Priority.BACKFILL)


def backfill_check_plan(*, today: date, not_due: Collection[Granularity] = frozenset()) -> Plan:
    """Return the plan of the backfill check: the look-back window of each granularity."""
    windows = {
        Granularity.YEAR: settings.BACKFILL_YEARS,
        Granularity.QUARTER: settings.BACKFILL_QUARTERS,
        Granularity.MONTH: settings.BACKFILL_MONTHS,
        Granularity.DAY: settings.BACKFILL_DAYS,
    }
    spans = []
    for granularity, count in windows.items():
        if count:
            last = previous_closed_period(today, granularity)
            if granularity in not_due:
                last = last.shift(-1)
            first = last.shift(1 - count)
            spans.append(Span(first, last, trend_start=first))
    return _plan(spans, Selection(), SkipPolicy.PRESENT, Priority.BACKFILL)


def _plan(spans: Iterable[Span], selection: Selection | None, skip: SkipPolicy, priority: Priority) -> Plan:
    selection = selection or Selection()
    check_categories(selection.cat_ids, field="category")
    return Plan(
        spans=tuple(spans),
        cat_ids=tuple(dict.fromkeys(selection.cat_ids)) or tuple(list_level1_ids()),
        actions=selection.actions or ALL_ACTIONS,
        skip=skip,
        priority=priority,
    )


def _span_of(period: Period) -> Span:
    return Span(period, period, trend_start=first_of_year(period))


def _skip(is_forced: bool) -> SkipPolicy:
    return SkipPolicy.NOTHING if is_forced else SkipPolicy.FRESH


def _priority(trigger: Trigger) -> Priority:
    return Priority.SCHEDULED if trigger is Trigger.SCHEDULED else Priority.MANUAL


def _start(task_id: str, plan: Plan, *, order: Order, period: str = "") -> Started:
    started = runs.start_run(
        task_id=task_id,
        name=TASK_NAMES[task_id],
        trigger=order.trigger,
        requested_by=order.requested_by,
        parameters=plan.to_json(),
        period=period,
        slot=order.slot,
        expected_total=plan.count(),
    )
    if started.is_new:
        request_planning(started.run_id)
    return started
