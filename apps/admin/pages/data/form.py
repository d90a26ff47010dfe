"""The query of the data page: its form, its parameters and its names."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.urls import reverse
from django.utils.http import urlencode
from django.utils.translation import gettext as _

from apps.admin.pages.coverage.filters import DEFAULT_PERIODS
from apps.categories.selectors import NamedCategory, find_named, list_named_children, parents_of
from apps.core import market_clock
from apps.core.errors import InvalidInput
from apps.core.periods import Granularity, Period, PeriodError, parse_granularity, previous_closed_period
from apps.core.time_texts import instant_text, period_text, stored_period_text
from apps.mengla.choices import GRANULARITIES, Action
from apps.mengla.monitoring.queue_state import list_recent_records
from apps.mengla.queries.parameters import DataQuery, build_query

_RECENT_ROWS = 12


def read_query(given: Mapping[str, str]) -> DataQuery:
    """Read the query from the parameters of the page; without periods, for the newest closed ones.

    :raises InvalidInput: when a parameter is not valid.
    """
    action = given.get("action") or Action.HOT.value
    try:
        granularity = parse_granularity(given.get("granularity") or Granularity.MONTH.value)
    except PeriodError as error:
        raise InvalidInput(error.message) from error
    newest = previous_closed_period(market_clock.today(), granularity)
    named: dict[str, Any] = {
        "action": action,
        "cat_id": given.get("category", ""),
        "cat_field": "category",
        "date_type": granularity.value,
    }
    if action != Action.INDUSTRY_TREND:
        return build_query(**named, timest=given.get("period") or newest.key)
    end = given.get("to") or given.get("period") or newest.key
    start = given.get("from") or _default_start(end, newest).key
    return build_query(**named, start_range=start, end_range=end)


def _default_start(end: str, newest: Period) -> Period:
    count = DEFAULT_PERIODS[newest.granularity]
    query = build_query(action=Action.HOT.value, date_type=newest.granularity.value, timest=end)
    return query.start.shift(1 - count)


def form_of(given: Mapping[str, str], query: DataQuery | None) -> dict[str, Any]:
    """Return the choices and the values of the form."""
    category = find_named(query.cat_id) if query else None
    return {
        "actions": Action.choices,
        "granularities": GRANULARITIES,
        "action": query.action.value if query else given.get("action", Action.HOT.value),
        "granularity": query.granularity.value if query else given.get("granularity", "month"),
        "category": category,
        "period": query.end.dashed if query else given.get("period", ""),
        "start": query.start.dashed if query and query.is_trend else given.get("from", ""),
        "end": query.end.dashed if query and query.is_trend else given.get("to", ""),
        "groups": _category_groups(category),
    }


def _category_groups(chosen: NamedCategory | None) -> list[tuple[str, list[NamedCategory]]]:
    """Return the categories of the form: level 1, and the chosen one with its ancestors and subcategories."""
    groups = [(_("Level 1"), list_named_children(""))]
    if chosen is not None:
        way = [*parents_of(chosen.cat_id), chosen]
        groups.insert(0, (_("Chosen"), way))
        if children := list_named_children(chosen.cat_id):
            groups.insert(1, (_("Subcategories of %s") % chosen.name, children))
    return groups


def recent_records() -> list[dict[str, Any]]:
    """Return the recently stored records, with the addresses of their figures."""
    rows = []
    for record in list_recent_records(limit=_RECENT_ROWS):
        action, cat_id, granularity, period_key, *variant = record["id"].split(":")
        if variant or action not in Action.values:
            continue
        category = find_named(cat_id)
        bounds = {"to": period_key} if action == Action.INDUSTRY_TREND else {"period": period_key}
        parameters = {"action": action, "category": cat_id, "granularity": granularity, **bounds}
        rows.append(
            {
                "address": address_of("admin:collector_data", parameters),
                "action": Action(action).label,
                "category": category.name if category else cat_id,
                "period": stored_period_text(period_key),
                "is_empty": record["is_empty"],
                "collected_at": instant_text(record["collected_at"]),
            }
        )
    return rows


def heading_of(query: DataQuery) -> str:
    """Return the heading of the figures: data set, category and periods."""
    category = find_named(query.cat_id) if query.cat_id else None
    name = category.name if category else query.cat_id or _("All categories")
    period = period_text(query.start, query.end)
    names = {"data_set": Action(query.action).label, "category": name, "period": period}
    return _("%(data_set)s, %(category)s, %(period)s") % names


def parameters_of(query: DataQuery) -> dict[str, str]:
    """Return the query as parameters of the page."""
    parameters = {
        "action": query.action.value,
        "category": query.cat_id,
        "granularity": query.granularity.value,
    }
    if query.is_trend:
        return parameters | {"from": query.start.key, "to": query.end.key}
    return parameters | {"period": query.start.key}


def file_name(query: DataQuery) -> str:
    """Return the name of a file with the figures, without its extension."""
    period = f"{query.start.key}-{query.end.key}" if query.is_trend else query.start.key
    return f"mengla-{query.action.value}-{query.cat_id or 'all'}-{period}"


def address_of(name: str, parameters: Mapping[str, str]) -> str:
    """Return the address of a page with its parameters."""
    return f"{reverse(name)}?{urlencode(parameters)}"
