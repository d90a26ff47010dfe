"""The figures as the page shows them: charts with their choices, comparisons, tables with links."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from django.utils.translation import gettext as _

from apps.admin.pages.data.addresses import parameters_of
from apps.admin.pages.data.charts import Drawing, Sorted, drawings_of
from apps.admin.pages.data.figures.brands import NAME as BRAND_PERIODS
from apps.admin.pages.data.figures.brands import BrandPeriods, read_brand_periods
from apps.admin.pages.data.figures.links import LinkedTable, linked, with_short_names
from apps.admin.pages.data.figures.measures import is_known_measure, known_measures, measures_of
from apps.admin.pages.data.figures.options import MAX_BRANDS, Compare, Options, options_for
from apps.admin.pages.data.figures.sides import Side, read_sides, tables_of_hit
from apps.core.errors import InvalidInput
from apps.mengla.monitoring.figure_tables import Table
from apps.mengla.queries.data_query import DataQuery
from apps.mengla.reading.read import Hit, read_stored


@dataclass(frozen=True, slots=True)
class Choices:
    """What the reader has chosen beside the query, checked against the stored figures."""

    query: DataQuery
    options: Options
    brand_periods: BrandPeriods | None

    def holds_elsewhere(self, name: str) -> bool:
        """Whether a parameter is valid for all periods: some may not have a brand or an unusual measure."""
        is_known = self.options.measure in known_measures(self.query.action)
        return name != "brand" and (name != "measure" or is_known)


@dataclass(frozen=True, slots=True)
class Section:
    """One table of the page with its chart and its comparison."""

    table: Table | LinkedTable
    drawing: Drawing | None
    comparison: Table | LinkedTable | None

    @property
    def is_tall(self) -> bool:
        """Whether the chart has a bar per row, which may be many."""
        return self.drawing is not None and self.drawing.chart["kind"] == "bars"


def read_choices(options: Options, query: DataQuery) -> Choices:
    """Check what the reader has chosen, and read the brands; only stored figures are read.

    :raises InvalidInput: which names the parameters that are not valid.
    """
    options = options_for(query, options)
    if _is_of_another_data_set(options.measure, query):
        options = replace(options, measure="")
    _check_measure(query, options.measure)
    return Choices(query, options, read_brand_periods(query, options))


def describe(
    choices: Choices,
    hit: Hit,
    tables: Sequence[Table],
    sorting: Mapping[str, str],
    *,
    rows: int,
    columns: int,
) -> dict[str, Any]:
    """Return what the template of the figures needs.

    :param tables: the tables of the figures in the order of the page.
    :param sorting: ``table`` and ``sort`` of the page, or nothing.
    :param rows: how many rows of a table the page shows.
    :param columns: how many columns of a table it shows.
    """
    query, options, brands = choices.query, choices.options, choices.brand_periods
    sides = read_sides(query, options, hit, tables)
    drawings = drawings_of(sides, options, _order_of(sorting))
    sections = []
    for table in tables:
        drawing = drawings.get(table.name)
        compared = _comparison_of(drawing, sorting)
        shown = linked(table, query, rows=rows, columns=columns, chosen=options.brands)
        clipped = with_short_names(compared.clipped(rows=rows, columns=columns)) if compared else None
        sections.append(Section(shown, drawing, clipped))
    charts = {name: drawing.chart for name, drawing in drawings.items()}
    if brands and brands.chart:
        charts[BRAND_PERIODS] = brands.chart
    base = [*parameters_of(query).items(), *sorting.items()]
    return {
        "charts": charts,
        "sections": sections,
        "sides": sides if len(sides) > 1 else [],
        "brand_periods": brands,
        "brand_gaps": _gaps(brands),
        "max_brands": MAX_BRANDS,
        "compares": _compares(options),
        "hidden": {
            "chart": [*base, *options.parameters("measure", "top")],
            "compare": [*base, *options.parameters("compare")],
            "brands": [*base, *options.parameters("brand")],
        },
    }


def compared_tables(
    choices: Choices, hit: Hit, tables: Sequence[Table], sorting: Mapping[str, str]
) -> list[Table]:
    """Return the tables that the page shows below the figures' own: comparisons and brands over time."""
    sides = read_sides(choices.query, choices.options, hit, tables)
    drawings = drawings_of(sides, choices.options, _order_of(sorting))
    found = [_comparison_of(drawing, sorting) for drawing in drawings.values()]
    brands = choices.brand_periods
    return [table for table in (*found, brands.table if brands else None) if table]


def _order_of(sorting: Mapping[str, str]) -> Sorted:
    sort = sorting.get("sort", "")
    return Sorted(sorting.get("table", ""), sort.removeprefix("-"), sort.startswith("-"))


def _comparison_of(drawing: Drawing | None, sorting: Mapping[str, str]) -> Table | None:
    """Return the comparison of a chart, sorted if the reader has sorted it."""
    compared, order = drawing.comparison if drawing else None, _order_of(sorting)
    if compared and order.table == compared.name:
        return compared.sorted_by(order.column, is_descending=order.is_descending)
    return compared


def _is_of_another_data_set(measure: str, query: DataQuery) -> bool:
    """Whether only other data sets have this measure: the form keeps it when the data set is changed."""
    return measure not in known_measures(query.action) and is_known_measure(measure)


def _check_measure(query: DataQuery, measure: str) -> None:
    """Refuse a measure that the data set is not known to have, unless its stored figures have it."""
    known = known_measures(query.action)
    if not measure or measure in known:
        return
    found = read_stored(query)
    tables = tables_of_hit(query, found) if isinstance(found, Hit) else []
    if any(one.key == measure for table in tables for one in measures_of(table)):
        return
    message = _("Must be one of: %(names)s.") % {"names": ", ".join(known)}
    raise InvalidInput(_("The input is not valid."), fields={"measure": [message]})


def _compares(options: Options) -> list[tuple[str, str, bool]]:
    names = {"": _("Nothing"), Compare.PREVIOUS: _("Previous period"), Compare.YEAR: _("Year before")}
    return [(str(value), name, value == (options.compare or "")) for value, name in names.items()]


def _gaps(brands: BrandPeriods | None) -> list[Side]:
    """Return the periods whose figures are missing, empty, stale or provisional."""
    return [side for side in brands.sides if side.states] if brands else []
