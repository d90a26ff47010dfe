"""The numbers of several sides, row by row: for charts, and as a table with the difference and the change."""

from __future__ import annotations

from collections.abc import Sequence

from django.utils.translation import gettext as _
from django.utils.translation import ngettext, pgettext

from apps.admin.pages.data.figures.measures import Measure, change_percent, difference, number_of
from apps.admin.pages.data.figures.rows import RANKED, JoinedRow
from apps.admin.pages.data.figures.sides import Side
from apps.mengla.monitoring.figure_tables import Column, Kind, Table, Value

SUFFIX = "-comparison"


def values_of(
    rows: Sequence[JoinedRow], sides: Sequence[Side], at: int, name: str, measure: Measure
) -> list[float | None]:
    """Return the numbers of one side; None where it has no such row or no number."""
    table = sides[at].table(name)
    column = None if table is None else table.index_of(measure.key)
    if table is None or column is None:
        return [None] * len(rows)
    places = [row.rows[at] for row in rows]
    return [None if place is None else number_of(table.rows[place][column]) for place in places]


def ordered(rows: Sequence[JoinedRow], sides: Sequence[Side], name: str, measure: Measure) -> list[JoinedRow]:
    """Return the rows by the measure, the largest first; the first side that knows it counts."""
    columns = [values_of(rows, sides, at, name, measure) for at in range(len(sides))]
    known = [next((value for value in row if value is not None), None) for row in zip(*columns, strict=True)]
    places = sorted(
        range(len(rows)), key=lambda place: (known[place] is None, -(known[place] or 0))
    )  # equal ones stay in their order
    return [rows[place] for place in places]


def table_of(table: Table, rows: Sequence[JoinedRow], sides: Sequence[Side], measure: Measure) -> Table:
    """Return one row per joined row, with the number of each side.

    If one side is compared, the difference to it and the change in per cent follow. A change from zero or
    from an unknown number is empty.
    """
    numbers = [values_of(rows, sides, at, table.name, measure) for at in range(len(sides))]
    columns = [_first_column(table)]
    values: list[list[Value]] = [[row.name for row in rows]]
    for at, side in enumerate(sides):
        if side.is_compared and rows and rows[0].periods:
            columns.append(Column(f"period{at}", _("Compared period"), Kind.LINE))
            values.append([row.periods[at] or None for row in rows])
        columns.append(Column(f"side{at}", side.name, measure.kind))
        values.append(list(numbers[at]))
    if (other := _compared(sides)) is not None:
        pairs = list(zip(numbers[0], numbers[other], strict=True))
        columns += [
            Column("difference", _difference_title(measure), _plain(measure.kind)),
            Column("change", pgettext("difference", "Change"), Kind.CHANGE),
        ]
        values += [[difference(*pair) for pair in pairs], [change_percent(*pair) for pair in pairs]]
        if table.name in RANKED and sides[other].table(table.name):
            columns.append(Column("state", _("Compared with before"), Kind.TEXT))
            values.append([_state(row, other) for row in rows])
    title = _("%(table)s, compared: %(measure)s") % {"table": table.title, "measure": measure.title}
    return Table(f"{table.name}{SUFFIX}", title, tuple(columns), tuple(zip(*values, strict=True)))


def rows_text(name: str, rows: Sequence[JoinedRow], sides: Sequence[Side]) -> str:
    """Return how many rows only the first or only the compared side has; "" when there is none."""
    at = _compared(sides)
    if name not in RANKED or at is None or sides[at].table(name) is None:
        return ""
    new = sum(row.rows[0] is not None and row.rows[at] is None for row in rows)
    gone = sum(row.rows[0] is None and row.rows[at] is not None for row in rows)
    texts = []
    if new:
        texts.append(ngettext("%(count)d row is new.", "%(count)d rows are new.", new) % {"count": new})
    if gone:
        texts.append(ngettext("%(count)d row is gone.", "%(count)d rows are gone.", gone) % {"count": gone})
    return " ".join(texts)


def _compared(sides: Sequence[Side]) -> int | None:
    return next((at for at, side in enumerate(sides) if side.is_compared), None)


def _first_column(table: Table) -> Column:
    if table.name == "trend":
        return Column("name", _("Period"), Kind.LINE)
    return Column("name", _("Name") if table.name in RANKED else _("Range"), Kind.TEXT)


def _difference_title(measure: Measure) -> str:
    return _("Difference, percentage points") if measure.is_percent else _("Difference")


def _plain(kind: Kind) -> Kind:
    """Return how a difference is shown: that of two shares is no share."""
    return Kind.NUMBER if kind in (Kind.PERCENT, Kind.CHANGE) else kind


def _state(row: JoinedRow, at: int) -> Value:
    if row.rows[0] is not None and row.rows[at] is None:
        return _("new")
    if row.rows[0] is None and row.rows[at] is not None:
        return _("gone")
    return None
