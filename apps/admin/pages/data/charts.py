"""The charts of the data page, as data for the script that draws them, with the table of what is compared."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from apps.admin.pages.charts import Chart, chart
from apps.admin.pages.data.figures import comparison
from apps.admin.pages.data.figures.measures import (
    Measure,
    chosen_measures,
    measures_of,
    titles_of,
)
from apps.admin.pages.data.figures.options import TOPS, Options
from apps.admin.pages.data.figures.rows import RANKED, JoinedRow, joined_rows
from apps.admin.pages.data.figures.sides import Side
from apps.mengla.monitoring.figure_tables import Table

DRAWN = (*RANKED, "sales", "turnover", "prices", "trend")
MAX_BARS = 2000  # a taller chart is more than a browser can draw
TONES = ("one", "four", "three", "two", "five", "six")
_COMPARED_TONE = "past"
_KINDS = {"trend": "line", "ranking": "bars", "brands": "bars"}


@dataclass(frozen=True, slots=True)
class Sorted:
    """By which column the reader has sorted a table."""

    table: str = ""
    column: str = ""
    is_descending: bool = False


@dataclass(frozen=True, slots=True)
class Drawing:
    """A chart with what stands beside it.

    ``measures`` are the choices of the reader, each with whether it is chosen; ``default_title`` names what
    is shown without a choice. ``tops`` are the numbers of rows to choose from, none when there are few rows.
    ``rows_note`` says how many rows the compared figures do not have, and the other way round.
    """

    chart: Chart
    note: str
    measures: list[tuple[Measure, bool]]
    default_title: str
    tops: list[tuple[str, str, bool]]
    comparison: Table | None
    rows_note: str


def drawings_of(sides: Sequence[Side], options: Options, order: Sorted) -> dict[str, Drawing]:
    """Return the charts by the names of the tables of the first side; without numbers there is no chart."""
    drawings = {}
    for table in sides[0].tables:
        drawing = _drawing_of(table, sides, options, order) if table.name in DRAWN else None
        if drawing is not None:
            drawings[table.name] = drawing
    return drawings


def _drawing_of(table: Table, sides: Sequence[Side], options: Options, order: Sorted) -> Drawing | None:
    measures = chosen_measures(table, options.measure)
    if not measures:
        return None
    defaults = chosen_measures(table, "")
    if len(sides) > 1:  # one measure of each side
        measures, defaults = measures[:1], defaults[:1]
    rows = joined_rows(table.name, sides, options)
    note, tops, shown = "", [], rows
    if table.name in RANKED:
        if order.table != table.name:
            rows = comparison.ordered(rows, sides, table.name, measures[0])
        shown = _first_rows(rows, sides, options)
        note, tops = _rows_text(len(shown), len(rows), measures[0], table, order), _tops(len(rows), options)
    is_chosen = measures[0].key == options.measure
    # A table of dashes says nothing: the page says beside the choice what is not stored.
    is_compared = any(side.table(table.name) is not None for side in sides[1:])
    return Drawing(
        chart=_chart(table.name, shown, sides, measures),
        note=note,
        measures=[(one, is_chosen and one.key == options.measure) for one in measures_of(table)],
        default_title=titles_of(defaults),
        tops=tops,
        comparison=comparison.table_of(table, rows, sides, measures[0]) if is_compared else None,
        rows_note=comparison.rows_text(table.name, rows, sides),
    )


def _first_rows(rows: Sequence[JoinedRow], sides: Sequence[Side], options: Options) -> list[JoinedRow]:
    """Return the rows to draw: the first of all, or with several categories the first of each of them."""
    limit = options.row_limit or MAX_BARS
    categories = [at for at, side in enumerate(sides) if not side.is_compared]
    if len(categories) == 1 or options.row_limit is None:
        return list(rows[:limit])
    drawn: set[int] = set()
    for at in categories:
        drawn.update([place for place, row in enumerate(rows) if row.rows[at] is not None][:limit])
    return [rows[place] for place in sorted(drawn)][:MAX_BARS]


def _chart(name: str, rows: Sequence[JoinedRow], sides: Sequence[Side], measures: Sequence[Measure]) -> Chart:
    """Return one series per side or per measure; a row that a side does not have is a gap."""
    values = [
        comparison.values_of(rows, sides, at, name, one) for at in range(len(sides)) for one in measures
    ]
    names = [one.title for one in measures] if len(sides) == 1 else [side.name for side in sides]
    drawn = chart(_KINDS.get(name, "grouped"), [row.label for row in rows], {}, TONES)
    drawn["titles"] = [row.name for row in rows]
    drawn["axes"] = {"y": _axis(measures)}
    drawn["is_percent"] = measures[0].is_percent
    # Names may be equal, such as that of a category and of another one.
    for at, (title, numbers) in enumerate(zip(names, values, strict=True)):
        is_compared = len(sides) > 1 and sides[at].is_compared
        measure = measures[at] if len(sides) == 1 else measures[0]
        one: Chart = {"name": title, "values": numbers, "tone": TONES[at % len(TONES)], "sign": measure.sign}
        if is_compared:
            one |= {"tone": _COMPARED_TONE, "is_compared": True}
            if name == "trend":
                one["periods"] = [row.periods[at] for row in rows]
        if len(measures) > 1 and measure.sign != measures[0].sign:
            one["axis"] = "y2"
            drawn["axes"]["y2"] = _axis([measure])
        drawn["series"].append(one)
    return drawn


def _axis(measures: Sequence[Measure]) -> dict[str, str]:
    first = measures[0]
    same = [one for one in measures if one.sign == first.sign]
    title = first.axis_title if len(same) == 1 or not first.is_percent else _("Share, %")
    return {"title": title, "sign": first.sign}


def _rows_text(shown: int, total: int, measure: Measure, table: Table, order: Sorted) -> str:
    """Return how many rows the chart shows, and in which order."""
    facts = {"shown": f"{shown:,}", "total": f"{total:,}", "measure": measure.title}
    if order.table == table.name:
        column = next((one.short_title for one in table.columns if one.key == order.column), "")
        facts["column"] = column
        text = (
            ngettext(
                "%(shown)s of %(total)s row, sorted as the table: %(column)s, descending",
                "%(shown)s of %(total)s rows, sorted as the table: %(column)s, descending",
                total,
            )
            if order.is_descending
            else ngettext(
                "%(shown)s of %(total)s row, sorted as the table: %(column)s, ascending",
                "%(shown)s of %(total)s rows, sorted as the table: %(column)s, ascending",
                total,
            )
        )
        return text % facts
    text = ngettext(
        "%(shown)s of %(total)s row, by %(measure)s", "%(shown)s of %(total)s rows, by %(measure)s", total
    )
    return text % facts


def _tops(total: int, options: Options) -> list[tuple[str, str, bool]]:
    if total <= int(TOPS[0]):
        return []
    return [(top, _("All") if top == "all" else top, top == options.top) for top in TOPS]
