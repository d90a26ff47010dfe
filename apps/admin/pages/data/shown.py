"""The figures of the data page: their tables in the requested order, and what a file says about them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import orjson
from django.utils.http import urlencode
from django.utils.translation import gettext as _

from apps.admin.pages.data.addresses import heading_of, parameters_of
from apps.admin.pages.data.facts import freshness_of
from apps.admin.pages.data.figures.sides import tables_of_hit
from apps.categories.selectors import CategoryNames
from apps.core.errors import InvalidInput
from apps.core.printable import list_text
from apps.mengla.choices import EmptyReason
from apps.mengla.monitoring.figure_tables import Table
from apps.mengla.queries.parameters import DataQuery
from apps.mengla.reading.read import Hit

_MAX_SORT = 80


@dataclass(frozen=True, slots=True)
class Shown:
    """Figures with their tables in the requested order."""

    query: DataQuery
    hit: Hit
    tables: list[Table]
    empty_reason: str


def shown_of(query: DataQuery, hit: Hit, given: Mapping[str, str]) -> Shown:
    """Return the figures of a hit with their tables."""
    sorting = sorting_of(given)
    tables = tables_of_hit(query, hit)
    if sorting:
        key, is_descending = sorting["sort"].removeprefix("-"), sorting["sort"].startswith("-")
        tables = [
            table.sorted_by(key, is_descending=is_descending) if table.name == sorting["table"] else table
            for table in tables
        ]
    return Shown(query, hit, tables, _empty_reason(hit) if hit.is_empty else "")


def _empty_reason(hit: Hit) -> str:
    reason = str(orjson.loads(hit.entry.body)["message"]).removeprefix("empty: ")
    return str(EmptyReason(reason).label) if reason in EmptyReason.values else reason


def read_is_text_kept(given: Mapping[str, str]) -> bool:
    """Read whether a CSV file keeps texts as texts.

    :raises InvalidInput: when the parameter is not valid.
    """
    text = given.get("text", "")
    if text not in ("", "1"):
        raise InvalidInput(
            _("The input is not valid."), fields={"text": [_("Use 1, or omit this parameter.")]}
        )
    return text == "1"


def sorting_of(given: Mapping[str, str]) -> dict[str, str]:
    """Return the parameters that sort a table; an empty dict if none does."""
    sort, table = given.get("sort", ""), given.get("table", "")
    is_readable = 0 < len(sort) <= _MAX_SORT and 0 < len(table) <= _MAX_SORT
    return {"sort": sort, "table": table} if is_readable else {}


def sort_of(given: Mapping[str, str], query: DataQuery, kept: Mapping[str, Any]) -> dict[str, Any]:
    """Return what the heads of the tables need to link to themselves sorted."""
    sorting = sorting_of(given)
    return {
        "base": urlencode(parameters_of(query)),
        "links": urlencode({**parameters_of(query), **kept}, doseq=True),
        "table": sorting.get("table", ""),
        "key": sorting.get("sort", "").removeprefix("-"),
        "is_descending": sorting.get("sort", "").startswith("-"),
    }


def about(shown: Shown) -> list[tuple[str, str]]:
    """Return what the sheet "About" of a file says about its figures."""
    freshness = freshness_of(shown.hit)
    return [
        (_("Figures"), heading_of(shown.query)),
        (_("Category"), CategoryNames([shown.query.cat_id]).path_text(shown.query.cat_id)),
        (_("Collected"), freshness["collected_at"]),
        (_("Fresh until"), freshness["fresh_until"]),
        (_("State"), list_text(_states(freshness))),
        (_("Source"), freshness["source"]),
        (_("Empty reason"), shown.empty_reason),
    ]


def _states(freshness: Mapping[str, Any]) -> list[str]:
    state = _("stale") if freshness["is_stale"] else _("fresh")
    return [state, _("provisional")] if freshness["is_provisional"] else [state]
