"""Turns figures into tables for people; figures of an unknown shape are shown as raw fields.

Known fields come first, in a fixed order and with titles. Unknown fields follow under their own names.
A table holds all of them, whole: files are written from it. Pages show what :meth:`Table.clipped` leaves.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any

from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from apps.categories.selectors import CategoryNames, is_cat_id
from apps.core.periods import Granularity, Period, PeriodError, parse_bound
from apps.core.printable import percent_text
from apps.core.sheets.values import CellFormat, SheetColumn
from apps.mengla.choices import Action
from apps.mengla.queries.data_query import DataQuery

_MAX_SHOWN_TEXT = 500
_MAX_SHOWN_TITLE = 60
_ID_KEYS = frozenset({"catId", "catId1", "catId2", "catId3"})
_HIDDEN = frozenset({"secondaryCategories"})
Value = str | int | float | bool | None


class Kind(StrEnum):
    """How a column is shown."""

    TEXT = "text"
    LINE = "line"  # a short text without line breaks
    NUMBER = "number"
    MONEY = "money"  # with two decimals
    PERCENT = "percent"
    CHANGE = "change"  # percent, compared with the period before: with an arrow


_CELL_FORMATS: Mapping[Kind, CellFormat] = {
    Kind.TEXT: CellFormat.TEXT,
    Kind.LINE: CellFormat.TEXT,
    Kind.NUMBER: CellFormat.NUMBER,
    Kind.MONEY: CellFormat.MONEY,
    Kind.PERCENT: CellFormat.PERCENT,
    Kind.CHANGE: CellFormat.CHANGE,
}


@dataclass(frozen=True, slots=True)
class Column:
    """One field of the rows."""

    key: str
    title: str
    kind: Kind

    @property
    def is_number(self) -> bool:
        """Whether its values are aligned to the right."""
        return self.kind not in (Kind.TEXT, Kind.LINE)

    @property
    def short_title(self) -> str:
        """The title, short enough for the head of a column on a page."""
        return _shortened(self.title, _MAX_SHOWN_TITLE)

    @property
    def for_sheet(self) -> SheetColumn:
        """The column as files have it."""
        return SheetColumn(self.title, _CELL_FORMATS[self.kind])

    def text_of(self, value: Value) -> str:
        """Return a value as short text for people: with thousands separators, a dash for None."""
        if value is None:
            return "–"
        if isinstance(value, bool | str) or not self.is_number:
            return _shortened(str(value), _MAX_SHOWN_TEXT)
        if self.kind is Kind.MONEY:
            return f"{value:,.2f}"
        text = f"{value:,}" if isinstance(value, int) else f"{value:,.2f}".rstrip("0").rstrip(".")
        return text if self.kind is Kind.NUMBER else percent_text(text)


@dataclass(frozen=True, slots=True)
class Table:
    """Rows of figures; ``name`` is short and safe in an address and as the name of a sheet.

    ``hidden_rows`` and ``hidden_columns`` count what :meth:`clipped` has cut off.
    """

    name: str
    title: str
    columns: tuple[Column, ...]
    rows: tuple[tuple[Value, ...], ...]
    hidden_rows: int = 0
    hidden_columns: int = 0

    def clipped(self, *, rows: int, columns: int) -> Table:
        """Return the table cut to its first rows and columns."""
        return replace(
            self,
            columns=self.columns[:columns],
            rows=tuple(row[:columns] for row in self.rows[:rows]),
            hidden_rows=max(0, len(self.rows) - rows),
            hidden_columns=max(0, len(self.columns) - columns),
        )

    def sorted_by(self, key: str, *, is_descending: bool) -> Table:
        """Return the table sorted by a column; unchanged when there is no such column.

        Empty cells come last in both directions, numbers before text.
        """
        index = self.index_of(key)
        if index is None:
            return self
        filled = [row for row in self.rows if row[index] is not None]
        empty = [row for row in self.rows if row[index] is None]
        filled.sort(key=lambda row: _order(row[index]), reverse=is_descending)
        return replace(self, rows=(*filled, *empty))

    def values(self, key: str) -> list[Value]:
        """Return the values of a column; all None when there is no such column."""
        index = self.index_of(key)
        return [None if index is None else row[index] for row in self.rows]

    def index_of(self, key: str) -> int | None:
        """Return the place of a column, None when there is no such column."""
        return next((index for index, column in enumerate(self.columns) if column.key == key), None)

    @property
    def described_rows(self) -> list[list[tuple[Column, Value]]]:
        """Every row as its columns with their values, for templates."""
        return [list(zip(self.columns, row, strict=True)) for row in self.rows]


_N, _M, _P, _C, _T = Kind.NUMBER, Kind.MONEY, Kind.PERCENT, Kind.CHANGE, Kind.TEXT
_RANKING: Mapping[str, tuple[str | Promise, Kind]] = {
    "rank": (gettext_lazy("Rank"), _N),
    "catNameCn": (gettext_lazy("Chinese name"), _T),
    "catName": (gettext_lazy("Russian name"), _T),
    "monthSales": (gettext_lazy("Sales"), _N),
    "monthSalesDynamics": (gettext_lazy("Change in sales"), _C),
    "monthSalesRating": (gettext_lazy("Share of sales"), _P),
    "monthGmv": (gettext_lazy("Turnover, ₽"), _M),
    "monthGmvRmb": (gettext_lazy("Turnover, ¥"), _M),
    "monthGmvDynamics": (gettext_lazy("Change in turnover"), _C),
    "monthGmvRating": (gettext_lazy("Share of turnover"), _P),
    "skuNum": (gettext_lazy("Items"), _N),
    "saleSkuNum": (gettext_lazy("Items sold"), _N),
    "saleRatio": (gettext_lazy("Share of items sold"), _P),
    "brand": (gettext_lazy("Brands"), _N),
    "brandGmv": (gettext_lazy("Brand turnover, ₽"), _M),
    "brandGmvRmb": (gettext_lazy("Brand turnover, ¥"), _M),
    "brandGmvRating": (gettext_lazy("Brand share"), _P),
    "topGmv": (gettext_lazy("Top-seller turnover, ₽"), _M),
    "topGmvRating": (gettext_lazy("Top-seller share"), _P),
    "topAvgPrice": (gettext_lazy("Top-seller average price, ₽"), _M),
    "topAvgPriceRmb": (gettext_lazy("Top-seller average price, ¥"), _M),
    "catTag": (gettext_lazy("Tag"), _N),
    "catId1": (gettext_lazy("Level 1"), _T),
    "catId2": (gettext_lazy("Level 2"), _T),
    "catId3": (gettext_lazy("Level 3"), _T),
}
_RANGE: Mapping[str, tuple[str | Promise, Kind]] = {
    "title": (gettext_lazy("Range"), Kind.LINE),
    "itemCount": (gettext_lazy("Items"), _N),
    "itemCountRate": (gettext_lazy("Share of items"), _P),
    "sales": (gettext_lazy("Sales"), _N),
    "salesRate": (gettext_lazy("Share of sales"), _P),
    "gmv": (gettext_lazy("Turnover, ₽"), _M),
    "gmvRate": (gettext_lazy("Share of turnover"), _P),
}
_BRANDS: Mapping[str, tuple[str | Promise, Kind]] = {
    "catNameCn": (gettext_lazy("Chinese name"), _T),
    "catName": (gettext_lazy("Russian name"), _T),
    "brandGmv": (gettext_lazy("Brand turnover, ₽"), _M),
    "brandGmvRate": (gettext_lazy("Share of turnover"), _P),
    "brandSales": (gettext_lazy("Brand sales"), _N),
    "brandSalesRate": (gettext_lazy("Share of sales"), _P),
    "brandItemCount": (gettext_lazy("Brand items"), _N),
    "brandItemCountRate": (gettext_lazy("Share of items"), _P),
    "catId": (gettext_lazy("Category"), _T),
}
_TREND: Mapping[str, tuple[str | Promise, Kind]] = {
    "timest": (gettext_lazy("Period"), Kind.LINE),
    "monthSales": (gettext_lazy("Sales"), _N),
    "monthSalesRatio": (gettext_lazy("Share of sales"), _P),
    "monthGmv": (gettext_lazy("Turnover, ₽"), _M),
    "monthGmvRatio": (gettext_lazy("Share of turnover"), _P),
    "salesSkuCount": (gettext_lazy("Items sold"), _N),
    "salesSkuRatio": (gettext_lazy("Share of items sold"), _P),
    "currentDayPrice": (gettext_lazy("Price, ₽"), _M),
}
VIEWS: Mapping[str, tuple[str, str | Promise]] = {
    "industrySalesRangeDtoList": ("sales", gettext_lazy("By sales")),
    "industryGmvRangeDtoList": ("turnover", gettext_lazy("By turnover")),
    "industryPriceRangeDtoList": ("prices", gettext_lazy("By price")),
    "industryBrandRateDtoList": ("brands", gettext_lazy("Brand share")),
}
Fields = Mapping[str, tuple[str | Promise, Kind]]
# The known fields of each form of rows, in their order; the files of bulk exports have the same.
FIELDS: Mapping[str, Fields] = {"ranking": _RANKING, "ranges": _RANGE, "brands": _BRANDS, "trend": _TREND}


def tables_of(query: DataQuery, data: Any) -> list[Table]:
    """Return the figures as tables; data of an unknown shape becomes a table of its fields."""
    tables: list[Table] = []
    rest: dict[str, Any] = {}
    if query.action == Action.INDUSTRY_TREND:
        if is_rows(data):
            return [_trend_table(query, data)]
    elif isinstance(data, Mapping):
        rest = {key: value for key, value in data.items() if key not in _HIDDEN}
        if query.action == Action.INDUSTRY_VIEW:
            for key, (name, title) in VIEWS.items():
                if is_rows(rest.get(key)):
                    fields = _BRANDS if name == "brands" else _RANGE
                    tables.append(_table(name, str(title), fields, rest.pop(key)))
        elif is_rows(rest.get("list")):
            rows = [{"rank": rank, **row} for rank, row in enumerate(rest.pop("list"), start=1)]
            tables.append(_table("ranking", str(Action(query.action).label), _RANKING, rows))
    elif data is not None:
        rest = {_("Figures"): data}
    if not tables and not rest and data is not None:
        rest = {_("Figures"): data}
    rest = {key: value for key, value in rest.items() if value not in ([], {})}
    return tables + ([_raw_table(rest, is_all=not tables)] if rest else [])


def known_columns(action: Action) -> list[Column]:
    """Return the columns with titles of a data set's tables; a column of several tables comes with each."""
    if action == Action.INDUSTRY_TREND:
        tables = [_TREND]
    else:
        tables = [_RANGE, _BRANDS] if action == Action.INDUSTRY_VIEW else [_RANKING]
    return [Column(key, str(title), kind) for fields in tables for key, (title, kind) in fields.items()]


def with_names(tables: Sequence[Table]) -> list[Table]:
    """Return the tables with a name beside each category id; all are looked up at once.

    An id that is not in the tree stays as it is: level 3 is only in the figures.
    """
    names = CategoryNames(
        text
        for table in tables
        for at in _id_places(table)
        for row in table.rows
        if is_cat_id(text := _id_text(row[at]))
    )
    return [_named(table, names) for table in tables]


def points_by_period(query: DataQuery, points: Iterable[Any]) -> dict[str, Mapping[str, Any]]:
    """Return the points of a trend by the keys of their periods; unreadable ones are left out."""
    placed: dict[str, Mapping[str, Any]] = {}
    for point in points:
        period = _period_of(point.get("timest"), query.granularity) if isinstance(point, Mapping) else None
        if period is not None:
            placed[period.key] = point
    return placed


def _trend_table(query: DataQuery, points: Sequence[Mapping[str, Any]]) -> Table:
    """Return one row per period; the row of a gap holds only the name of its period."""
    placed = points_by_period(query, points)
    rows = [{**placed.get(period.key, {}), "timest": period.dashed} for period in query.periods]
    return _table("trend", str(Action.INDUSTRY_TREND.label), _TREND, rows)


def _table(name: str, title: str, fields: Fields, rows: Sequence[Mapping[str, Any]]) -> Table:
    found = dict.fromkeys(key for row in rows for key in row)
    known = [Column(key, str(fields[key][0]), fields[key][1]) for key in fields if key in found]
    unknown = [
        Column(key, _clean(key), _kind_of(row.get(key) for row in rows)) for key in found if key not in fields
    ]
    columns = (*known, *unknown)
    return Table(
        name, title, columns, tuple(tuple(_value(row.get(one.key)) for one in columns) for row in rows)
    )


def _raw_table(rest: Mapping[str, Any], *, is_all: bool) -> Table:
    columns = (Column("field", _("Field"), Kind.TEXT), Column("value", _("Value"), Kind.TEXT))
    title = _("Raw figures") if is_all else _("Further fields")
    rows = tuple((_clean(str(key)), _value(value)) for key, value in rest.items())
    return Table("raw", title, columns, rows)


def _clean(text: str) -> str:
    """Return a text without halves of surrogate pairs, which no page and no file can hold."""
    return text.encode("utf-8", "replace").decode()


def _shortened(text: str, limit: int) -> str:
    return text if len(text) <= limit else f"{text[: limit - 1]}…"


def _value(value: Any) -> Value:
    if value is None or isinstance(value, bool | int | float):
        return value
    if isinstance(value, str):
        return _clean(value)
    return _clean(json.dumps(value, ensure_ascii=False, default=str))


def _kind_of(values: Iterable[Any]) -> Kind:
    known = [value for value in values if value is not None]
    is_number = known and all(isinstance(one, int | float) and not isinstance(one, bool) for one in known)
    return Kind.NUMBER if is_number else Kind.TEXT


def is_rows(value: Any) -> bool:
    """Whether a value is a list of rows, with one at least."""
    return isinstance(value, list) and bool(value) and all(isinstance(row, Mapping) for row in value)


def _order(value: Value) -> tuple[int, float, str]:
    if isinstance(value, int | float):
        return (0, float(value), "")
    return (1, 0.0, str(value))


def _period_of(text: Any, granularity: Granularity) -> Period | None:
    for is_end in (False, True):
        try:
            return parse_bound(text, granularity, is_end=is_end)
        except PeriodError:
            continue
    return None


def _named(table: Table, names: CategoryNames) -> Table:
    places = frozenset(_id_places(table))
    if not places:
        return table
    return replace(
        table,
        rows=tuple(
            tuple(_cell(value, names) if at in places else value for at, value in enumerate(row))
            for row in table.rows
        ),
    )


def _cell(value: Value, names: CategoryNames) -> Value:
    text = _id_text(value)
    return names.text(text) if names.own(text) else value


def _id_places(table: Table) -> list[int]:
    return [at for at, column in enumerate(table.columns) if column.key in _ID_KEYS]


def _id_text(value: Value) -> str:
    return "" if value is None or isinstance(value, bool) else str(value)
