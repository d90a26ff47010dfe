"""What the form of a custom collection asks for, and the plan that it makes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from django.http import QueryDict
from django.utils.translation import gettext as _
from pymongo.errors import PyMongoError

from apps.admin.pages.access import check_names
from apps.admin.pages.inputs.faults import texts_of
from apps.admin.pages.inputs.periods import control_of, converted_range, read_granularity, script_facts
from apps.categories.selectors import categories_text, list_level1_ids, list_named_tree
from apps.core import market_clock
from apps.core.errors import Faults, InvalidInput
from apps.core.periods import (
    Granularity,
    Period,
    check_begun,
    parse_range,
    previous_closed_period,
)
from apps.core.printable import list_text
from apps.core.storage.database.client import heavy_operations
from apps.core.time_texts import duration_text
from apps.mengla.choices import GRANULARITIES, Action
from apps.mengla.monitoring.fill_cost import FillCost, fill_cost
from apps.mengla.monitoring.queue_state import queue_depth
from apps.mengla.monitoring.throughput import present_pace
from apps.mengla.queries.data_query import ALL_CATEGORIES
from apps.mengla.queries.plans import Plan
from apps.mengla.runs.collect import MAX_RANGE_PERIODS, backfill_plan, select

# So many collections are counted, and their records looked up, while a page waits.
MAX_COLLECTIONS = 200_000
MAX_CATEGORIES = 500  # Django accepts at most 1000 fields in a form
MAX_READ_SECONDS = 10.0
_FIELDS = ("granularity", "from", "to", "force", "level2")
_LISTS = ("action", "category")
_SWITCHES = ("", "on")


@dataclass(frozen=True, slots=True)
class Work:
    """The plan of a custom collection, and what the form says about it."""

    plan: Plan
    actions: tuple[Action, ...]
    start: Period
    end: Period
    is_forced: bool
    notes: tuple[str, ...] = ()  # which periods were converted from another granularity

    @property
    def action_names(self) -> str:
        """The data sets in words."""
        return list_text(one.label for one in self.actions)

    @property
    def category_names(self) -> str:
        """The first categories by their names."""
        return categories_text(self.plan.cat_ids)


def read_work(given: QueryDict, *, converts: bool = False) -> Work:
    """Return what the form asks for; nothing is written, and the stored figures are not looked at.

    No category means all of level 1; with ``level2`` the children of the categories are collected, too. A
    blank end of the range is the latest complete period, a blank start is its end.

    :param converts: accept periods of another granularity, for a page that only shows the cost.
    :raises InvalidInput: which names the wrong input.
    """
    faults = Faults()
    with faults.of("force"):
        check_names(given, *_FIELDS, lists=_LISTS)
    for name in ("force", "level2"):
        with faults.of(name):
            if given.get(name, "") not in _SWITCHES:
                raise InvalidInput(_("Must be on or absent."))
    with faults.of("action"):
        actions = _actions(given.getlist("action"))
    with faults.of("category"):
        named = _categories(given.getlist("category"))
    with faults.of("granularity"):
        texts = {name: given.get(name, "").strip() for name in ("from", "to")}
        granularity = read_granularity(given.get("granularity", ""), texts, faults)
        notes: tuple[str, ...] = ()
        if converts:
            texts, notes = converted_range(texts, granularity, today=market_clock.today())
        last = texts["to"] or _latest(granularity).key
        first = texts["from"] or last
        names = ("from", "to")
        start, end = parse_range(first, last, granularity, names=names, limit=MAX_RANGE_PERIODS)
        check_begun(end, market_clock.today(), name="to")
    faults.check()
    cat_ids = _with_children(named) if given.get("level2") else named
    selection = select(cat_ids=cat_ids, actions=actions, field="category")
    is_forced = bool(given.get("force"))
    plan = backfill_plan(start, end, selection=selection, is_forced=is_forced)
    if not plan.cat_ids:
        raise _invalid("category", _("There are no categories: run manage.py import_categories."))
    _check_size(plan)
    return Work(plan, plan.actions, start, end, is_forced, notes)


def cost_of(work: Work) -> tuple[FillCost, bool]:
    """Return how many collections the work makes and how long they take, and whether that is exact.

    It is an upper bound when the time is not enough to look up what is up to date or under way.
    """
    try:
        with heavy_operations(MAX_READ_SECONDS):
            return fill_cost(work.plan), True
    except PyMongoError as error:
        if not error.timeout:
            raise
    # Outside the except block: a slow search is no outage.
    waiting, count = queue_depth().pending, work.plan.count()
    return FillCost(count, under_way=0, skipped=0, waiting=waiting, pace=present_pace()), False


def form_context(given: QueryDict, faults: Mapping[str, list[str]] | None = None) -> dict[str, Any]:
    """Return what the template of the form needs: its choices, and what was typed or the defaults.

    ``faults`` are the messages by the names of the fields.
    """
    is_sent = "granularity" in given
    granularity = given.get("granularity", Granularity.MONTH.value)
    length = Granularity(granularity) if granularity in list(Granularity) else Granularity.MONTH
    today, latest = market_clock.today(), _latest(length).dashed
    chosen_actions = given.getlist("action") if is_sent else Action.values
    chosen = set(given.getlist("category"))
    tree = list_named_tree()
    told = texts_of(faults or {}, *_LISTS, *_FIELDS)
    ends = (("from", _("From"), _("As the end")), ("to", _("To"), _("Latest complete")))
    return {
        "actions": [(value, name, value in chosen_actions) for value, name in Action.choices],
        "granularities": [(value, name, value == length) for value, name in GRANULARITIES],
        "periods": [
            control_of(
                name,
                label,
                given.get(name, latest),
                length,
                today=today,
                blank=blank,
                fault=told.get(name, ""),
            )
            for name, label, blank in ends
        ],
        "is_forced": bool(given.get("force")),
        "has_level2": bool(given.get("level2")),
        "all_together": (ALL_CATEGORIES, ALL_CATEGORIES in chosen),
        "tree": [
            (root, root.cat_id in chosen, [(child, child.cat_id in chosen) for child in children])
            for root, children in tree
        ],
        "level1_count": len(tree),
        "script": script_facts(today, limits=dict.fromkeys(Granularity, MAX_RANGE_PERIODS)),
        "faults": told,
    }


def _actions(named: Iterable[str]) -> list[str]:
    actions = list(named)
    if not actions:
        raise _invalid("action", _("Choose at least one data set."))
    if not set(actions) <= set(Action.values):
        raise _invalid("action", _("This is not one of the data sets."))
    return actions


def _categories(named: list[str]) -> list[str]:
    if len(named) > MAX_CATEGORIES:
        message = _("Choose at most %(limit)d categories, or none for all of level 1.")
        raise _invalid("category", message % {"limit": MAX_CATEGORIES})
    select(cat_ids=named, field="category")  # refuses unknown categories before their children are looked up
    return named


def _with_children(named: list[str]) -> list[str]:
    """Return the categories (of level 1 if none is named), each followed by its children."""
    children = {root.cat_id: [child.cat_id for child in below] for root, below in list_named_tree()}
    wanted = named or list_level1_ids()
    return [cat_id for one in wanted for cat_id in (one, *children.get(one, ()))]


def _check_size(plan: Plan) -> None:
    count = plan.count()
    if count <= MAX_COLLECTIONS:
        return
    message = _(
        "That is up to %(count)s collections, which take about %(time)s. At most %(limit)s can be started "
        "here: choose fewer data sets, fewer categories or a shorter range."
    )
    pace = present_pace()
    if not pace.is_known:
        message = _(
            "That is up to %(count)s collections. At most %(limit)s can be started here: choose fewer data "
            "sets, fewer categories or a shorter range."
        )
    time = duration_text(pace.seconds_for(count))
    raise InvalidInput(message % {"count": f"{count:,}", "time": time, "limit": f"{MAX_COLLECTIONS:,}"})


def _latest(granularity: Granularity) -> Period:
    return previous_closed_period(market_clock.today(), granularity)


def _invalid(field: str, message: str) -> InvalidInput:
    return InvalidInput(message, fields={field: [message]})
