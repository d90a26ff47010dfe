"""The share of chosen brands over the last periods, from stored distributions only."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from django.utils.translation import gettext as _

from apps.admin.pages.charts import Chart, chart
from apps.admin.pages.data.charts import TONES
from apps.admin.pages.data.figures.measures import Measure, chosen_measures, number_of
from apps.admin.pages.data.figures.options import Options
from apps.admin.pages.data.figures.rows import full_names
from apps.admin.pages.data.figures.sides import Side, read_side
from apps.categories.selectors import own_part
from apps.core.errors import InvalidInput
from apps.core.periods import Period, PeriodError
from apps.mengla.monitoring.figure_tables import Column, Kind, Table, Value
from apps.mengla.queries.data_query import DataQuery

NAME = "brand-periods"
PERIODS = 12
_TABLE = "brands"
_MAX_SHOWN = 40


@dataclass(frozen=True, slots=True)
class BrandPeriods:
    """The chosen brands over time: chart, table, and the figures of each period."""

    chart: Chart | None
    table: Table
    sides: Sequence[Side]


def read_brand_periods(query: DataQuery, options: Options) -> BrandPeriods | None:
    """Return the chosen brands in the periods up to that of the query; None when no brand is chosen.

    A brand is named exactly as its row. A period that is not stored, or does not have it, is a gap.

    :raises InvalidInput: for brands that none of the stored periods has.
    """
    if not options.brands:
        return None
    sides = [read_side(query.narrowed(one, one), one.dashed) for one in _last_periods(query.start)]
    found = [_brands_of(side) for side in sides]
    _check_brands(options.brands, found)
    measure = _measure_of(sides, options)
    columns = [Column("name", _("Period"), Kind.LINE)]
    columns += [Column(f"brand{at}", own_part(one), _kind(measure)) for at, one in enumerate(options.brands)]
    numbers = [
        [_number(side, rows.get(brand), measure) for brand in options.brands]
        for side, rows in zip(sides, found, strict=True)
    ]
    rows: list[tuple[Value, ...]] = [
        (side.name, *values) for side, values in zip(sides, numbers, strict=True)
    ]
    title = _("Brands over time: %(measure)s") % {"measure": measure.title if measure else _("no figures")}
    table = Table(NAME, title, tuple(columns), tuple(rows))
    return BrandPeriods(_chart(sides, options, numbers, measure), table, sides)


def _last_periods(last: Period) -> list[Period]:
    periods = [last]
    while len(periods) < PERIODS:
        try:
            periods.insert(0, periods[0].previous())
        except PeriodError:  # the first period of all
            break
    return periods


def _brands_of(side: Side) -> dict[str, int]:
    """Return the rows of a period by the names of their brands; of equal names the first."""
    table = side.table(_TABLE)
    if table is None:
        return {}
    return {name: row for row, name in reversed(list(enumerate(full_names(table))))}


def _check_brands(brands: Sequence[str], found: Sequence[dict[str, int]]) -> None:
    known = {name for names in found for name in names}
    unknown = [brand for brand in brands if brand not in known]
    if known and unknown:
        shown = ", ".join(brand[:_MAX_SHOWN] for brand in unknown)
        message = _("The stored figures have no such brand: %(names)s.") % {"names": shown}
        raise InvalidInput(_("The input is not valid."), fields={"brand": [message]})


def _measure_of(sides: Sequence[Side], options: Options) -> Measure | None:
    """Return the measure of the newest period that has one."""
    tables = [table for side in reversed(sides) if (table := side.table(_TABLE)) is not None]
    return next((found[0] for table in tables if (found := chosen_measures(table, options.measure))), None)


def _kind(measure: Measure | None) -> Kind:
    return measure.kind if measure else Kind.NUMBER


def _number(side: Side, row: int | None, measure: Measure | None) -> float | None:
    table = side.table(_TABLE)
    column = table.index_of(measure.key) if table and measure else None
    return None if table is None or row is None or column is None else number_of(table.rows[row][column])


def _chart(
    sides: Sequence[Side],
    options: Options,
    numbers: Sequence[Sequence[float | None]],
    measure: Measure | None,
) -> Chart | None:
    if measure is None or all(value is None for row in numbers for value in row):
        return None
    drawn = chart("line", [side.name for side in sides], {}, TONES)
    drawn["axes"] = {"y": {"title": measure.axis_title, "sign": measure.sign}}
    drawn["is_percent"] = measure.is_percent
    drawn["series"] = [
        {
            "name": own_part(brand),
            "values": [row[at] for row in numbers],
            "tone": TONES[at],
            "sign": measure.sign,
        }
        for at, brand in enumerate(options.brands)
    ]
    return drawn
