"""The figures of a record as tables for people, and as folded JSON."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from django.template.loader import render_to_string
from django.utils.functional import Promise
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy as _

_MAX_ROWS = 200
_MAX_COLUMNS = 40
_MAX_CELL_LENGTH = 200

HEADINGS: dict[str, str | Promise] = {
    "catNameCn": _("Chinese name"),
    "catName": _("Russian name"),
    "title": _("range"),
    "timest": _("period"),
    "skuNum": _("products"),
    "saleSkuNum": _("selling products"),
    "saleRatio": _("selling share (%)"),
    "salesSkuCount": _("selling products"),
    "salesSkuRatio": _("selling share (%)"),
    "monthSales": _("units sold"),
    "monthSalesRating": _("share of units (%)"),
    "monthSalesRatio": _("share of units (%)"),
    "monthSalesDynamics": _("change of units (%)"),
    "monthGmv": _("turnover"),
    "monthGmvRmb": _("turnover (RMB)"),
    "monthGmvRating": _("share of turnover (%)"),
    "monthGmvRatio": _("share of turnover (%)"),
    "monthGmvDynamics": _("change of turnover (%)"),
    "brand": _("brands"),
    "brandGmv": _("turnover of brands"),
    "brandGmvRate": _("brands' share of turnover (%)"),
    "brandGmvRating": _("brands' share of turnover (%)"),
    "currentDayPrice": _("price"),
    "itemCount": _("products"),
    "itemCountRate": _("share of products (%)"),
    "sales": _("units sold"),
    "salesRate": _("share of units (%)"),
    "gmv": _("turnover"),
    "gmvRate": _("share of turnover (%)"),
    "industrySalesRangeDtoList": _("By units sold"),
    "industryGmvRangeDtoList": _("By turnover"),
    "industryPriceRangeDtoList": _("By price"),
    "industryBrandRateDtoList": _("Brands by category"),
}


@dataclass(frozen=True, slots=True)
class Table:
    """Rows under headings; ``is_cut`` when there are more than are shown."""

    title: str | Promise
    headings: list[str | Promise]
    rows: list[list[str]]
    is_cut: bool = False


def figures_of(data: Any) -> SafeString:
    """Return the tables of the figures and their folded JSON."""
    text = json.dumps(data, ensure_ascii=False, indent=2)
    return render_to_string("mengla/figures.html", {"tables": tables_of(data), "text": text})


def tables_of(data: Any, title: str | Promise = "") -> list[Table]:
    """Turn figures of any shape into tables: a list of objects is one, an object of lists one for each."""
    if isinstance(data, list):
        return [_table(title, data)] if data else []
    if not isinstance(data, dict):
        return []
    lists = {name: inner for name, inner in data.items() if isinstance(inner, list)}
    single = {name: value for name, value in data.items() if name not in lists}
    tables = [Table(title, [], [[str(_heading(name)), _cell(value)] for name, value in single.items()])]
    tables = tables if single else []
    for name, inner in lists.items():
        tables += tables_of(inner, _heading(name))
    return tables


def _table(title: str | Promise, items: list[Any]) -> Table:
    objects = [item if isinstance(item, dict) else {"": item} for item in items[:_MAX_ROWS]]
    names = list(dict.fromkeys(name for one in objects for name in one))[:_MAX_COLUMNS]
    # What people look for first: the names that have a heading in words.
    names.sort(key=lambda name: name not in HEADINGS)
    rows = [[_cell(one.get(name)) for name in names] for one in objects]
    return Table(title, [_heading(name) for name in names], rows, is_cut=len(items) > _MAX_ROWS)


def _heading(name: str) -> str | Promise:
    return HEADINGS.get(name, name)


def _cell(value: Any) -> str:
    if value is None:
        return "-"
    if isinstance(value, bool) or not isinstance(value, int | float):
        text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
        return text[:_MAX_CELL_LENGTH]
    return f"{value:,}"
