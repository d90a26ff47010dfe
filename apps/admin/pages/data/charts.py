"""The charts of the data page, as data for the script that draws them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from django.utils.translation import gettext as _

from apps.admin.pages.charts import Chart, chart
from apps.mengla.monitoring.figure_tables import Table, Value
from apps.mengla.queries.parameters import DataQuery

MAX_BARS = 12
_MAX_LABEL = 200
_RANGES = ("sales", "turnover", "prices")


def charts_of(query: DataQuery, tables: Sequence[Table]) -> Mapping[str, Chart]:
    """Return the charts by the names of their tables; a table without known numbers has no chart."""
    charts: dict[str, Chart] = {}
    for table in tables:
        if table.name == "ranking":
            found = _bars(table, {"monthSales": _("Sales")})
        elif table.name in _RANGES:
            found = _in_percent(_ranges(table))
        elif table.name == "brands":
            shares = {"brandGmvRate": _("Share of turnover, %"), "brandSalesRate": _("Share of sales, %")}
            found = _in_percent(_bars(table, shares))
        elif table.name == "trend":
            found = _trend(query, table)
        else:
            found = None
        if found is not None:
            charts[table.name] = found
    return charts


def _bars(table: Table, wanted: Mapping[str, str]) -> Chart | None:
    series = {name: _numbers(table, key)[:MAX_BARS] for key, name in wanted.items()}
    return _unless_empty("bars", _names(table)[:MAX_BARS], series, tones=("one", "three"))


def _ranges(table: Table) -> Chart | None:
    wanted = {"itemCountRate": _("Items, %"), "salesRate": _("Sales, %"), "gmvRate": _("Turnover, %")}
    series = {name: _numbers(table, key) for key, name in wanted.items()}
    return _unless_empty(
        "grouped", [str(value) for value in table.values("title")], series, tones=("one", "three", "four")
    )


def _trend(query: DataQuery, table: Table) -> Chart | None:
    """Return the lines of a trend; a period without a point is a gap."""
    wanted = {"monthSales": _("Sales"), "monthGmv": _("Turnover, ₽")}
    series = {name: _numbers(table, key) for key, name in wanted.items()}
    drawn = _unless_empty("line", [period.dashed for period in query.periods], series, tones=("one", "four"))
    if drawn is None:
        return None
    drawn["series"][1]["axis"] = "y2"
    return drawn | {"unit": wanted["monthSales"], "unit2": wanted["monthGmv"]}


def _in_percent(drawn: Chart | None) -> Chart | None:
    return drawn and drawn | {"is_percent": True}


def _names(table: Table) -> list[str]:
    pairs = zip(table.values("catNameCn"), table.values("catName"), strict=True)
    return [str(chinese or russian or "?")[:_MAX_LABEL] for chinese, russian in pairs]


def _numbers(table: Table, key: str) -> list[float | None]:
    return [_number(value) for value in table.values(key)]


def _number(value: Value) -> float | None:
    return value if isinstance(value, int | float) and not isinstance(value, bool) else None


def _unless_empty(
    kind: str, labels: Sequence[str], series: Mapping[str, Sequence[float | None]], *, tones: Sequence[str]
) -> Chart | None:
    has_numbers = any(value is not None for values in series.values() for value in values)
    return chart(kind, labels, series, tones) if has_numbers else None
