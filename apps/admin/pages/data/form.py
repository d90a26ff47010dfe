"""The form of the data page: what it asks for, and the controls that show it again, right or wrong."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any

from django.http import QueryDict
from django.utils.translation import gettext as _

from apps.admin.pages.data.figures.measures import is_known_measure
from apps.admin.pages.data.figures.options import MAX_ALSO, MAX_BRANDS
from apps.admin.pages.inputs.categories import CategoryPicker, all_together, chosen
from apps.admin.pages.inputs.choices import read_action, with_value
from apps.admin.pages.inputs.faults import texts_of
from apps.admin.pages.inputs.periods import (
    MAX_SHOWN_CHARACTERS,
    control_of,
    default_start,
    read_granularity,
    read_period,
    script_facts,
    shortened,
)
from apps.categories.selectors import (
    category_exists,
    is_cat_id,
    list_level1_ids,
    named_categories,
)
from apps.core import market_clock
from apps.core.errors import Faults
from apps.core.periods import Granularity, Period, PeriodError, previous_closed_period
from apps.mengla.choices import GRANULARITIES, Action
from apps.mengla.errors import UnknownCategory
from apps.mengla.monitoring.newest import newest_figures, newest_period
from apps.mengla.queries.data_query import ALL_CATEGORIES
from apps.mengla.queries.parameters import MAX_PERIODS, DataQuery, build_query
from apps.mengla.store.selectors import list_records

NAMES = ("action", "category", "granularity", "period", "from", "to")
# What the form keeps for the charts and tables, if it was chosen there.
_KEPT = ("compare", "top", "measure", "table", "sort")


@dataclass(frozen=True, slots=True)
class Asked:
    """What the form asks for.

    ``notes`` say what was converted. Figures are collected only if the person has chosen them: the category
    and, if there is one, a period of the granularity.
    """

    query: DataQuery
    notes: tuple[str, ...] = ()
    is_chosen: bool = True


def newest_asked() -> Asked | None:
    """Return the newest stored figures of what schedules collect, None if there are none."""
    query = newest_figures(list_level1_ids())
    if query is None:
        return None
    if query.is_trend:
        query = query.narrowed(_default_start(query.end), query.end)
    return Asked(query, is_chosen=False)


def read_asked(given: Mapping[str, str]) -> Asked:
    """Read the query from the parameters of the page.

    A blank period is the newest stored one of the data set and the category, else the latest complete one. A
    period of another granularity is converted. The range of a trend ends with a single period, if only that
    is given.

    :raises InvalidInput: which names each parameter that is not valid.
    """
    faults, notes, today = Faults(), [], market_clock.today()
    action = Action.HOT
    with faults.of("action"):
        action = read_action(given.get("action") or Action.HOT.value)
    is_range = action == Action.INDUSTRY_TREND and bool(given.get("from") or given.get("to"))
    names = ("from", "to") if is_range else ("period",)
    texts = {name: given.get(name, "").strip() for name in names}
    periods: dict[str, Period] = {}
    with faults.of("granularity"):
        granularity = read_granularity(given.get("granularity") or Granularity.MONTH.value, texts, faults)
        for name, text in texts.items():
            with faults.of(name):
                if text:
                    ends = {"is_start": name == "from", "is_end": name == "to"}
                    periods[name], note = read_period(text, granularity, today=today, **ends)
                    notes += [note] if note else []
    with faults.of("category"):
        cat_id = _category(given.get("category"))
    faults.check()
    is_chosen = cat_id is not None
    if cat_id is None:
        cat_id = _default_category(action, granularity)
    named: dict[str, Any] = {
        "action": action.value,
        "cat_id": cat_id,
        "cat_field": "category",
        "date_type": granularity.value,
    }
    end = periods.get("to") or periods.get("period") or _default_end(action, cat_id, granularity, today)
    if action != Action.INDUSTRY_TREND:
        query = build_query(**named, timest=end.key)
    else:
        with faults.of("from"):
            start = periods.get("from") or _default_start(end)
            start = shortened(start, end, limit=MAX_PERIODS) if notes else start
        faults.check()
        query = build_query(**named, start_range=start.key, end_range=end.key)
    return Asked(query, tuple(dict.fromkeys(notes)), is_chosen=is_chosen and not notes)


def _category(text: str | None) -> str | None:
    """Return the id of the category, "" for all of them together, and None if none is named."""
    if text is None or text in ("", ALL_CATEGORIES):
        return text and ""
    # The figures of a category that is no longer in the tree can still be looked at.
    is_known = category_exists(text) or (
        is_cat_id(text) and list_records(cat_id=text, cursor=None, limit=1).rows
    )
    if not is_known:
        raise UnknownCategory(field="category")
    return text


def _default_category(action: Action, granularity: Granularity) -> str:
    level1 = list_level1_ids()
    found = newest_figures(level1, action=action, granularity=granularity)
    return found.cat_id if found else next(iter(level1), "")


def _default_end(action: Action, cat_id: str, granularity: Granularity, today: date) -> Period:
    return newest_period(action, cat_id, granularity) or previous_closed_period(today, granularity)


def _default_start(end: Period) -> Period:
    try:
        return default_start(end)
    except PeriodError as error:
        raise PeriodError(error.message, fields={"to": [error.message]}) from error


def form_of(
    given: QueryDict, asked: Asked | None = None, faults: Mapping[str, list[str]] | None = None
) -> dict[str, Any]:
    """Return the choices and the values of the form: as they were given, or those of what is shown.

    ``faults`` are the messages by the names of the fields.
    """
    query = asked.query if asked else None
    told = texts_of(faults or {}, "action", "category", "granularity", "period", "from", "to", "also")
    action = query.action.value if query else given.get("action") or Action.HOT.value
    granularity = query.granularity.value if query else given.get("granularity") or Granularity.MONTH.value
    category = (query.cat_id or ALL_CATEGORIES) if query else given.get("category")
    if category is None:
        category = next(iter(list_level1_ids()), ALL_CATEGORIES)
    also = list(dict.fromkeys(one for one in given.getlist("also") if one))[: MAX_ALSO + 1]
    return {
        "actions": with_value(Action.choices, action, action[:MAX_SHOWN_CHARACTERS]),
        "action": action,
        "granularities": with_value(GRANULARITIES, granularity, granularity[:MAX_SHOWN_CHARACTERS]),
        "granularity": granularity,
        "category": CategoryPicker(
            "category",
            _("Category"),
            category or ALL_CATEGORIES,
            fault=told.get("category", ""),
            firsts=((ALL_CATEGORIES, all_together()),),
        ),
        "periods": _controls(given, asked, granularity, told),
        "script": script_facts(market_clock.today(), limits=dict.fromkeys(Granularity, MAX_PERIODS)),
        "also": chosen(also, named_categories(also), firsts={ALL_CATEGORIES: _("All categories")}),
        "max_also": MAX_ALSO,
        "kept": _kept(given, faults or {}),
        "faults": told,
    }


def _kept(given: QueryDict, faults: Mapping[str, list[str]]) -> list[tuple[str, str]]:
    """Return the choices of charts and tables that the form sends again, without those that are wrong.

    These have no control in the form, so nobody could correct them. Brands and unusual measures belong to
    their figures: brands are kept only while something else is corrected.
    """
    kept = [(name, str(given[name])) for name in _KEPT if given.get(name) and name not in faults]
    kept = [(name, value) for name, value in kept if name != "measure" or is_known_measure(value)]
    if faults and "brand" not in faults:
        kept += [("brand", str(one)) for one in given.getlist("brand")[:MAX_BRANDS] if one]
    return kept


def _controls(
    given: Mapping[str, str], asked: Asked | None, granularity: str, told: Mapping[str, str]
) -> list[Any]:
    """Return the controls of the periods; a blank one stays blank, so that another category has its own."""
    length = Granularity(granularity) if granularity in list(Granularity) else Granularity.MONTH
    today = market_clock.today()
    shown = {}
    if asked:
        start, end = asked.query.start.dashed, asked.query.end.dashed
        shown = {"from": start, "to": end} if asked.query.is_trend else {"period": end}
    labels = (("period", _("Period")), ("from", _("Trend from")), ("to", _("Trend to")))
    blanks = {"from": _("Default length")}
    return [
        control_of(
            name,
            label,
            shown.get(name, given[name]) if given.get(name) else "",
            length,
            today=today,
            blank=blanks.get(name, _("Newest stored")),
            fault=told.get(name, ""),
        )
        for name, label in labels
    ]
