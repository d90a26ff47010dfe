"""`manage.py coverage`: show which figures are stored, as a matrix."""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Mapping, Sequence
from typing import Any

from django.core.management.base import CommandParser
from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop

from apps.categories.selectors import CategoryNames
from apps.core.errors import InvalidInput
from apps.core.management.base import CollectorCommand, ExitCode
from apps.core.management.tables import printable, text_width
from apps.core.periods import Period
from apps.mengla.management.arguments import (
    add_range,
    add_selection,
    read_range,
    read_selection,
)
from apps.mengla.monitoring.coverage import Cell, Coverage, Mark, count_cells, coverage
from apps.mengla.queries.data_query import ALL_CATEGORIES

# One for each Mark, in their order.
_MARKS = "█▒VDE·×+»"
_PLAIN_MARKS = "PpVDE.x+>"
_PLACES = {mark: place for place, mark in enumerate(Mark)}
_BLOCK_PERIODS = 62  # columns that fit beside the names


class Command(CollectorCommand):
    """Prints one row for each data set and category, one column for each period."""

    help = gettext_noop(
        "Show which figures are stored: a row for each data set and category, a column for each period."
    )
    examples = ("coverage --granularity month --from 2025-01 --to 2025-05 --category 4200 all --action hot",)
    argument_errors = (InvalidInput,)
    operation_timeout_seconds = 300

    def add_arguments(self, parser: CommandParser) -> None:
        """Add the range and the selection."""
        add_range(parser)
        add_selection(parser)
        super().add_arguments(parser)

    def run(self, **options: Any) -> tuple[Mapping[str, Any], str, ExitCode]:
        """Read the coverage and draw it."""
        start, end = read_range(options)
        found = coverage(start=start, end=end, selection=read_selection(options))
        text = "" if options["is_json"] else _drawn(found, _marks())
        return _described(found), text, ExitCode.DONE


def _described(found: Coverage) -> dict[str, Any]:
    names = CategoryNames(found.cat_ids)
    return {
        "granularity": found.granularity.value,
        "periods": [period.key for period in found.periods],
        "rows": [
            {
                "action": action.value,
                "catId": cat_id,
                "category_name": names.own(cat_id) or None,
                "states": [cell.state.value for cell in cells],
                "stale": [cell.is_stale for cell in cells],
                "provisional": [cell.is_provisional for cell in cells],
                "due": [cell.is_due for cell in cells],
                "in_flight": [cell.is_under_way for cell in cells],
                "failed": [cell.is_failed for cell in cells],
                "queued": [cell.is_queued for cell in cells],
                "dispatched": [cell.is_dispatched for cell in cells],
            }
            for action, cat_id, cells in found.rows()
        ],
        "totals": dataclasses.asdict(found.totals()),
    }


def _drawn(found: Coverage, marks: str) -> str:
    names = CategoryNames(found.cat_ids)
    rows = [
        (printable(f"{action.value} {names.text(cat_id) if cat_id else ALL_CATEGORIES}"), cells)
        for action, cat_id, cells in found.rows()
    ]
    width = max((text_width(name) for name, _cells in rows), default=0)
    lines: list[str] = []
    for first in range(0, len(found.periods), _BLOCK_PERIODS):
        block = slice(first, first + _BLOCK_PERIODS)
        lines += [f"{'':{width}}  {line}" for line in _stacked(found.periods[block])]
        lines += [_row(name, cells[block], width, marks) for name, cells in rows]
        lines.append("")
    return "\n".join([*lines, _legend(marks), _totals_line(found)])


def _row(name: str, cells: Sequence[Cell], width: int, marks: str) -> str:
    totals = count_cells(cells)
    drawing = "".join(_mark(cell, marks) for cell in cells)
    return f"{name}{' ' * (width - text_width(name))}  {drawing}  {totals.present}/{totals.all}"


def _legend(marks: str) -> str:
    meanings = (
        _("present"),
        _("present but stale"),
        _("provisional"),
        _("provisional and due"),
        _("empty"),
        _("missing"),
        _("failed"),
        _("queued"),
        _("in flight"),
    )
    return ", ".join(f"{mark} {meaning}" for mark, meaning in zip(marks, meanings, strict=True))


def _totals_line(found: Coverage) -> str:
    totals = found.totals()
    text = _(
        "%(all)d in total: %(present)d present, %(empty)d empty, %(missing)d missing; "
        "%(stale)d stale, %(provisional)d provisional (%(due)d due); "
        "%(failed)d failed, %(queued)d queued, %(dispatched)d in flight. A fill would collect %(gaps)d."
    )
    return text % (dataclasses.asdict(totals) | {"all": totals.all})


def _stacked(periods: Sequence[Period]) -> list[str]:
    """Return the lines of a header that writes each period from top to bottom, one character wide."""
    return ["".join(letters) for letters in zip(*(period.key for period in periods), strict=True)]


def _mark(cell: Cell, marks: str) -> str:
    return marks[_PLACES[cell.mark]]


def _marks() -> str:
    try:
        _MARKS.encode(sys.stdout.encoding or "ascii")
    except (UnicodeEncodeError, LookupError):
        return _PLAIN_MARKS
    return _MARKS
