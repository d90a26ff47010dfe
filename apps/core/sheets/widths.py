"""How wide the columns of a sheet are: wide enough for their titles and first rows, within bounds."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from unicodedata import east_asian_width

from apps.core.sheets.values import CellFormat, SheetColumn, Value

LEAST, MOST = 8, 60  # characters
_MARGIN = 2
_FILTER_BUTTON = 2
_INSTANT = 19  # 2026-01-02 03:04:05


def widths_of(
    columns: Sequence[SheetColumn], rows: Sequence[Sequence[Value]], *, has_titles: bool = True
) -> list[float]:
    """Return the width of each column in characters; ``rows`` are some of the first ones.

    :raises ValueError: a row has more or fewer values than there are columns
    """
    least = [
        max(LEAST, _MARGIN + _FILTER_BUTTON + text_width(column.title)) if has_titles else LEAST
        for column in columns
    ]
    for row in rows:
        for place, (column, value) in enumerate(zip(columns, row, strict=True)):
            least[place] = max(least[place], _MARGIN + _width(column.format, value))
    return [column.width or min(MOST, width) for column, width in zip(columns, least, strict=True)]


def text_width(text: str) -> int:
    """Return how many characters wide the longest line of a text is; a Chinese character counts double."""
    if text.isascii():
        return max(map(len, text.splitlines()), default=0)
    return max((_line_width(line) for line in text.splitlines()), default=0)


def _line_width(line: str) -> int:
    return sum(2 if east_asian_width(one) in "WF" else 1 for one in line)


def _width(form: CellFormat, value: Value) -> int:
    if value is None:
        return 0
    if isinstance(value, str):
        return text_width(value[:MOST])
    if isinstance(value, datetime):
        return _INSTANT
    if isinstance(value, bool) or form in (CellFormat.TEXT, CellFormat.INSTANT):
        return len(str(value))
    decimals = 0 if isinstance(value, int) and form is CellFormat.NUMBER else 2
    sign = form in (CellFormat.PERCENT, CellFormat.CHANGE)
    return len(f"{value:,.{decimals}f}") + sign
