"""The words and addresses of the data page: headings, links, names of files, earlier and later periods."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.urls import reverse
from django.utils.http import urlencode
from django.utils.translation import gettext as _

from apps.categories.selectors import find_named, named_categories
from apps.core import market_clock
from apps.core.periods import Period, PeriodError, count_periods, period_of
from apps.core.time_texts import instant_text, period_text, stored_period_text
from apps.mengla.choices import Action
from apps.mengla.monitoring.queue_state import list_recent_records
from apps.mengla.queries.data_query import ALL_CATEGORIES
from apps.mengla.queries.parameters import DataQuery

_RECENT_ROWS = 12


def recent_records() -> list[dict[str, Any]]:
    """Return the recently stored records, with the addresses of their figures."""
    found = [(one["id"].split(":"), one) for one in list_recent_records(limit=_RECENT_ROWS)]
    known = named_categories(key[1] for key, _record in found if len(key) > 1)
    rows = []
    for (action, cat_id, granularity, period_key, *variant), record in found:
        if variant or action not in Action.values:
            continue
        category = known.get(cat_id)
        bounds = {"to": period_key} if action == Action.INDUSTRY_TREND else {"period": period_key}
        parameters = {"action": action, "category": cat_id, "granularity": granularity, **bounds}
        name = _("All categories") if cat_id == ALL_CATEGORIES else cat_id
        rows.append(
            {
                "address": address_of("admin:collector_data", parameters),
                "action": Action(action).label,
                "category": category.own_name if category else name,
                "period": stored_period_text(period_key),
                "is_empty": record["is_empty"],
                "collected_at": instant_text(record["collected_at"]),
            }
        )
    return rows


def heading_of(query: DataQuery) -> str:
    """Return the heading of the figures: data set, category and periods."""
    category = find_named(query.cat_id) if query.cat_id else None
    name = category.own_name if category else query.cat_id or _("All categories")
    period = period_text(query.start, query.end)
    names = {"data_set": Action(query.action).label, "category": name, "period": period}
    return _("%(data_set)s, %(category)s, %(period)s") % names


def parameters_of(query: DataQuery) -> dict[str, str]:
    """Return the query as parameters of the page."""
    parameters = {
        "action": query.action.value,
        "category": query.cat_id or ALL_CATEGORIES,
        "granularity": query.granularity.value,
    }
    if query.is_trend:
        return parameters | {"from": query.start.key, "to": query.end.key}
    return parameters | {"period": query.start.key}


def file_name(query: DataQuery) -> str:
    """Return the name of a file with the figures, without its extension."""
    period = f"{query.start.key}-{query.end.key}" if query.is_trend else query.start.key
    return f"mengla-{query.action.value}-{query.cat_id or 'all'}-{period}"


def address_of(name: str, parameters: Mapping[str, Any]) -> str:
    """Return the address of a page with its parameters, of which some may be lists."""
    return f"{reverse(name)}?{urlencode(parameters, doseq=True)}"


def steps_of(query: DataQuery, kept: Mapping[str, Any]) -> dict[str, Any]:
    """Return the links to the periods before and after; a trend moves by its length.

    There is none to a period that has not begun: a trend ends with the current period at the latest, so its
    last step is shorter. ``kept`` are the other parameters of the page.
    """
    count = query.period_count
    newest = period_of(market_clock.today(), query.granularity)
    begun = count_periods(query.end, newest) - 1 if query.end < newest else 0
    return {
        "previous": _step(query, _shifted(query, -count), kept),
        "next": _step(query, _shifted(query, min(count, begun)), kept) if begun else None,
    }


def _shifted(query: DataQuery, count: int) -> tuple[Period, Period] | None:
    try:
        return query.start.shift(count), query.end.shift(count)
    except PeriodError:
        return None


def _step(
    query: DataQuery, periods: tuple[Period, Period] | None, kept: Mapping[str, Any]
) -> dict[str, str] | None:
    if periods is None:
        return None
    parameters = {**parameters_of(query.narrowed(*periods)), **kept}
    return {"address": address_of("admin:collector_data", parameters), "name": period_text(*periods)}
