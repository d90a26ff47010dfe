"""The plans of the runs that collect figures (of a period, a range, gaps, everything), and their start.

A plan says what a run collects. :func:`start` starts a run of it, and a worker turns it into collections.
Schedules, panel tasks, commands and the API make a plan and start it.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any

from django.conf import settings
from django.utils.translation import gettext_noop

from apps.categories.selectors import check_categories, list_all_ids, list_level1_ids
from apps.core import market_clock
from apps.core.periods import (
    Granularity,
    Period,
    check_begun,
    check_range,
    period_of,
    previous_closed_period,
)
from apps.mengla.choices import Action, Priority
from apps.mengla.queries.data_query import ALL_CATEGORIES
from apps.mengla.queries.plans import ALL_ACTIONS, Plan, SkipPolicy, Span, first_of_year
from apps.mengla.runs.planning import request_planning
from apps.mengla.runs.warm_up_work import WarmUpPlan
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
# Stored in English; translated when they are shown.
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
# Runs of these tasks may run at the same time, unless they collect the same.
_SIDE_BY_SIDE = frozenset({"fill"})


@dataclass(frozen=True, slots=True)
class Order:
    """Who starts a run, and why; the same for every kind of run."""

    requested_by: str
    trigger: Trigger = Trigger.MANUAL
    firing: str | None = None  # of a schedule; the same firing never starts two runs


@dataclass(frozen=True, slots=True)
class Selection:
    """The selected categories and actions; empty means all level-1 categories, and all actions."""

    cat_ids: tuple[str, ...] = ()
    actions: tuple[Action, ...] = ()


def select(*, cat_ids: Iterable[str] = (), actions: Iterable[str] = (), field: str = "catId") -> Selection:
    """Return the selection of these categories and actions; ``all`` means all categories taken together.

    :raises InvalidInput: for unknown categories; it names the field.
    """
    named = tuple(dict.fromkeys("" if cat_id == ALL_CATEGORIES else cat_id for cat_id in cat_ids))
    check_categories(named, field=field)
    return Selection(cat_ids=named, actions=tuple(Action(name) for name in dict.fromkeys(actions)))


def start(plan: Plan | WarmUpPlan, order: Order) -> Started:
    """Start a run of the plan; for a firing that has started one before, return that run.

    :raises AlreadyRunning: when a run of the same task has not ended; for a fill, one that collects the same.
    """
    parameters = plan.to_json()
    started = runs.start_run(
        task_id=plan.task_id,
        name=TASK_NAMES[plan.task_id],
        trigger=order.trigger,
        requested_by=order.requested_by,
        parameters=parameters,
        running_key=running_key(plan.task_id, parameters),
        period=plan.period,
        firing=order.firing,
        expected_total=plan.count(),
    )
    if started.is_new:
        request_planning(started.run_id)
    return started


def running_key(task_id: str, parameters: Mapping[str, Any]) -> str:
    """Return what two runs cannot have in common while both run: the task, for a fill also what it collects.

    The order of data sets and categories makes no difference.
    """
    if task_id not in _SIDE_BY_SIDE:
        return task_id
    collected = {
        name: sorted(value) if isinstance(value, list) else value for name, value in parameters.items()
    }
    text = json.dumps(collected, sort_keys=True)
    return f"{task_id}:{hashlib.sha256(text.encode()).hexdigest()[:32]}"


# --- Plans; unknown categories in a selection raise InvalidInput -------------------------------------


def period_plan(
    period: Period,
    *,
    selection: Selection | None = None,
    is_forced: bool = False,
    priority: Priority = Priority.MANUAL,
) -> Plan:
    """Plan one period of any granularity: the selected actions, the trend from the start of the year.

    :raises InvalidInput: when the period has not begun.
    """
    check_begun(period, market_clock.today(), name="date")
    task_id = PERIOD_TASK_IDS[period.granularity]
    return _plan(
        task_id, [_span_of(period)], selection, skip=_skip(is_forced), priority=priority, period=period.key
    )


def single_day_plan(today: date) -> Plan:
    """Plan yesterday."""
    day = previous_closed_period(today, Granularity.DAY)
    return _plan("mengla_single_day", [_span_of(day)], period=day.key)


def granular_plan(today: date, *, is_forced: bool = False) -> Plan:
    """Plan the last closed period of every granularity."""
    task_id = "mengla_granular_force" if is_forced else "mengla_granular"
    return _plan(task_id, _last_spans(today), skip=_skip(is_forced))


def full_crawl_plan(
    today: date,
    *,
    selection: Selection | None = None,
    granularities: Collection[Granularity] = (),
    days: tuple[date, date] | None = None,
    names: tuple[str, str] | None = None,
) -> Plan:
    """Plan several granularities (none named: all of them) for every category of the tree.

    :param days: the first and the last day of a range. It is collected with every period that it touches:
        the first and the last one of each granularity contain its ends. Without it, the last closed period of
        each granularity is collected.
    :param names: of the two inputs of the range, for errors.
    :raises InvalidInput: for a reversed range, too many periods, or periods that have not begun.
    """
    wanted = selection or Selection()
    wanted = Selection(cat_ids=wanted.cat_ids or tuple(list_all_ids()), actions=wanted.actions)
    lengths = [length for length in reversed(Granularity) if not granularities or length in granularities]
    if days is None:
        spans, period = _last_spans(today, lengths), ""
    else:
        first, last = (period_of(day, Granularity.DAY) for day in days)
        check_range(first, last, names=names)
        spans, period = [_span_touching(days, length, today, names) for length in lengths], f"{first}~{last}"
    return _plan("full_crawl", spans, wanted, priority=Priority.BACKFILL, period=period)


def backfill_plan(
    start: Period, end: Period, *, selection: Selection | None = None, is_forced: bool = False
) -> Plan:
    """Plan a range of periods at the lowest priority; fresh figures are left out unless forced.

    :raises InvalidInput: for a reversed range, two granularities, too many periods, or periods that have not
        begun.
    """
    return _range_plan("backfill", start, end, selection, _skip(is_forced))


def recent_backfill_plan(
    today: date,
    counts: Mapping[Granularity, int],
    *,
    selection: Selection | None = None,
    is_forced: bool = False,
) -> Plan:
    """Plan the last closed periods, as :func:`backfill_plan` does: so many of each granularity.

    :raises InvalidInput: when a period lies before the years of the product.
    """
    spans = [_last_span(previous_closed_period(today, length), count) for length, count in counts.items()]
    period = f"{spans[0].start}~{spans[0].end}" if len(spans) == 1 else ""
    return _plan(
        "backfill", spans, selection, skip=_skip(is_forced), priority=Priority.BACKFILL, period=period
    )


def fill_plan(start: Period, end: Period, *, selection: Selection | None = None) -> Plan:
    """Plan what is missing or empty in a range of periods, or provisional though its period is over.

    :raises InvalidInput: as :func:`backfill_plan` does.
    """
    return _range_plan("fill", start, end, selection, SkipPolicy.PRESENT)


def backfill_check_plan(today: date, *, not_due: Collection[Granularity] = frozenset()) -> Plan:
    """Plan what is missing, empty or still provisional in the last closed periods.

    This also closes gaps after downtime.

    For granularities in ``not_due`` the newest closed period is left out: its own schedule collects it.
    """
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
            spans.append(_last_span(last.shift(-1) if granularity in not_due else last, count))
    return _plan("backfill_check", spans, skip=SkipPolicy.PRESENT, priority=Priority.BACKFILL)


def _range_plan(
    task_id: str, start: Period, end: Period, selection: Selection | None, skip: SkipPolicy
) -> Plan:
    check_range(start, end, names=("from", "to"), limit=MAX_RANGE_PERIODS)
    check_begun(end, market_clock.today(), name="to")
    spans, period = [Span(start, end, trend_start=start)], f"{start.key}~{end.key}"
    return _plan(task_id, spans, selection, skip=skip, priority=Priority.BACKFILL, period=period)


def _plan(
    task_id: str,
    spans: Iterable[Span],
    selection: Selection | None = None,
    *,
    skip: SkipPolicy = SkipPolicy.FRESH,
    priority: Priority = Priority.MANUAL,
    period: str = "",
) -> Plan:
    selection = selection or Selection()
    check_categories(selection.cat_ids, field="category")
    return Plan(
        task_id=task_id,
        spans=tuple(spans),
        cat_ids=tuple(dict.fromkeys(selection.cat_ids)) or tuple(list_level1_ids()),
        actions=selection.actions or ALL_ACTIONS,
        skip=skip,
        priority=priority,
        period=period,
    )


def _last_spans(
    today: date, granularities: Iterable[Granularity] = tuple(reversed(Granularity))
) -> list[Span]:
    return [_span_of(previous_closed_period(today, granularity)) for granularity in granularities]


def _last_span(last: Period, count: int) -> Span:
    first = last.shift(1 - count)
    return Span(first, last, trend_start=first)


def _span_touching(
    days: tuple[date, date], granularity: Granularity, today: date, names: tuple[str, str] | None
) -> Span:
    start, end = (period_of(day, granularity) for day in days)
    check_range(start, end, names=names, limit=MAX_RANGE_PERIODS)
    check_begun(end, today, name=names and names[1])
    return Span(start, end, trend_start=start)


def _span_of(period: Period) -> Span:
    return Span(period, period, trend_start=first_of_year(period))


def _skip(is_forced: bool) -> SkipPolicy:
    return SkipPolicy.NOTHING if is_forced else SkipPolicy.FRESH
