"""CSV for spreadsheet programs and for other programs.

A CSV file has no types: spreadsheet programs guess, and read a text such as 1-5 or 2025-01 as a date.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime

from django.utils.translation import gettext

from apps.core.sheets.values import FORMULA_BEGINNINGS, CellFormat, SheetColumn, Value, clean_text, exact

CSV_TYPE = "text/csv; charset=utf-8"
# Spreadsheet programs need it to read UTF-8.
BYTE_ORDER_MARK = "\ufeff".encode()
# A text that spreadsheet programs read as a number is no formula: 1,234.5 or -12.5 % or 1e-5.
_NUMBER = re.compile(r"(?=\D*\d)[+-]?(\d{1,3}([, ]\d{3})+|\d+)?([.,]\d+)?([eE][+-]?\d{1,3})?\s?%?", re.ASCII)
# A limit of Excel: a text in a formula.
_MAX_FORMULA_TEXT = 255
_PERCENT_FORMATS = (CellFormat.PERCENT, CellFormat.CHANGE)


class _Line:
    """What csv.writer writes into: it keeps the line that was written last."""

    text = ""

    def write(self, text: str) -> int:
        self.text = text
        return len(text)


def csv_lines(
    columns: Sequence[SheetColumn], rows: Iterable[Sequence[Value]], *, is_text_kept: bool = False
) -> Iterator[bytes]:
    """Yield the header and each row as a line of CSV in UTF-8, without a byte order mark.

    Numbers are written as they are. A column in per cent says so in its title, since its numbers cannot.
    With ``is_text_kept`` a text is written as ``="text"``, which spreadsheet programs keep as it is and other
    programs must unwrap.
    """
    write = kept_text if is_text_kept else safe_value
    line = _Line()
    writer = csv.writer(line)
    writer.writerow([write(titled(column)) for column in columns])
    yield line.text.encode()
    for row in rows:
        writer.writerow([write(value) for value in row])
        yield line.text.encode()


def titled(column: SheetColumn) -> str:
    """Return the title of a column in a file whose numbers have no format: with ``, %`` for per cent."""
    if column.format in _PERCENT_FORMATS:
        return gettext("%(title)s, %%") % {"title": column.title}
    return column.title


def safe_value(value: Value) -> Value:
    """Return a value that no program runs: a text that looks like a formula is prefixed with a quote."""
    if isinstance(value, datetime):
        return value.isoformat()
    if not isinstance(value, str):
        return value
    clean = clean_text(value)
    looks_like_formula = clean.lstrip().startswith(FORMULA_BEGINNINGS) or clean.startswith(FORMULA_BEGINNINGS)
    return f"'{clean}" if looks_like_formula and not _NUMBER.fullmatch(clean) else clean


def kept_text(value: Value) -> Value:
    """Return a text as a formula that is this text; a longer text than a formula can hold is no date."""
    value = exact(value)
    if isinstance(value, datetime):
        value = value.isoformat()
    if not isinstance(value, str) or len(value) > _MAX_FORMULA_TEXT:
        return safe_value(value)
    doubled = clean_text(value).replace('"', '""')
    return f'="{doubled}"' if doubled else ""
