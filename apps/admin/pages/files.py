"""Tables as files for spreadsheet programs; no text of them runs as a formula.

A workbook marks its texts as texts, so they are written as they are. A CSV file has no types: spreadsheet
programs guess, and read a text such as 1-5 or 2025-01 as a date.
"""

from __future__ import annotations

import csv as csv_format
import io
import re
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from django.http import HttpResponse
from django.utils.translation import gettext as _

from apps.mengla.monitoring.figure_tables import Table, Value

if TYPE_CHECKING:
    from openpyxl.worksheet._write_only import WriteOnlyWorksheet

FORMATS = ("csv", "xlsx")
# A spreadsheet program may read a text as a formula if it starts with one of these or its full-width form.
_FORMULA_BEGINNINGS = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")
# A text that spreadsheet programs read as a number is no formula: 1,234.5 or -12.5 % or 1e-5.
_NUMBER = re.compile(r"(?=\D*\d)[+-]?(\d{1,3}([, ]\d{3})+|\d+)?([.,]\d+)?([eE][+-]?\d{1,3})?\s?%?", re.ASCII)
# Control characters, halves of surrogate pairs and non-characters: XML 1.0, section 2.2 (Char).
_NOT_IN_XML = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")
_XLSX_TYPE = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
_MAX_SHEET_NAME = 31
# In a workbook this stands for a character, so a text that holds it is escaped: ECMA-376, ST_Xstring.
_ESCAPE = re.compile(r"_(?=x[0-9A-Fa-f]{4}_)")
# Limits of Excel: the text of a cell, the text in a formula, and the digits that a number keeps.
_MAX_CELL_TEXT = 32_767
_MAX_FORMULA_TEXT = 255
_MAX_EXACT_NUMBER = 10**15
_TEXT_FORMAT = "@"


def csv(name: str, table: Table, *, is_text_kept: bool = False) -> HttpResponse:
    """Return one table as CSV in UTF-8, with the byte order mark that spreadsheet programs need.

    With ``is_text_kept`` a text is written as ``="text"``, which spreadsheet programs keep as it is and other
    programs must unwrap. Numbers stay numbers in both forms.
    """
    write = _kept_text if is_text_kept else safe_value
    text = io.StringIO()
    writer = csv_format.writer(text)
    writer.writerow([write(column.title) for column in table.columns])
    writer.writerows([write(value) for value in row] for row in table.rows)
    return _download(text.getvalue().encode("utf-8-sig"), f"{name}.csv", "text/csv; charset=utf-8")


def xlsx(name: str, tables: Sequence[Table], *, about: Iterable[tuple[str, str]]) -> HttpResponse:
    """Return all tables as a workbook: a sheet for each, and one about the source of the figures."""
    from openpyxl import Workbook  # slow to import, and rarely needed

    book = Workbook(write_only=True)
    cut = 0
    for table in tables:
        sheet = book.create_sheet(table.name[:_MAX_SHEET_NAME])
        for row in ([column.title for column in table.columns], *table.rows):
            sheet.append([_cell(sheet, value) for value in row])
            cut += sum(isinstance(value, str) and len(value) > _MAX_CELL_TEXT for value in row)
    sheet = book.create_sheet(_("About")[:_MAX_SHEET_NAME])
    for facts in about:
        sheet.append([_cell(sheet, fact) for fact in facts])
    if cut:
        note = _("%(count)d, to the %(limit)d characters that a cell can hold; a CSV file has the full text")
        facts = (_("Cut texts"), note % {"count": cut, "limit": _MAX_CELL_TEXT})
        sheet.append([_cell(sheet, fact) for fact in facts])
    content = io.BytesIO()
    book.save(content)
    return _download(content.getvalue(), f"{name}.xlsx", _XLSX_TYPE)


def safe_value(value: Value) -> Value:
    """Return a value that no program runs: a text that looks like a formula is prefixed with a quote."""
    if not isinstance(value, str):
        return value
    clean = _NOT_IN_XML.sub("", value)
    looks_like_formula = clean.lstrip().startswith(_FORMULA_BEGINNINGS) or clean.startswith(
        _FORMULA_BEGINNINGS
    )
    return f"'{clean}" if looks_like_formula and not _NUMBER.fullmatch(clean) else clean


def _exact(value: Value) -> Value:
    """Return a value that a spreadsheet program does not round: a long whole number as a text."""
    return str(value) if isinstance(value, int) and abs(value) >= _MAX_EXACT_NUMBER else value


def _kept_text(value: Value) -> Value:
    """Return a text as a formula that is this text; a longer text than a formula can hold is no date."""
    value = _exact(value)
    if not isinstance(value, str) or len(value) > _MAX_FORMULA_TEXT:
        return safe_value(value)
    doubled = _NOT_IN_XML.sub("", value).replace('"', '""')
    return f'="{doubled}"' if doubled else ""


def _cell(sheet: WriteOnlyWorksheet, value: Value) -> Any:
    """Return the cell of a value: a text is stored as text, and stays one when its cell is edited."""
    from openpyxl.cell import WriteOnlyCell

    value = _exact(value)
    if not isinstance(value, str):
        return value
    cell = WriteOnlyCell(sheet)
    cell.value = _ESCAPE.sub("_x005F_", _NOT_IN_XML.sub("", value)[:_MAX_CELL_TEXT])
    cell.data_type = "s"
    cell.number_format = _TEXT_FORMAT
    cell.quotePrefix = cell.value.startswith(_FORMULA_BEGINNINGS)
    return cell


def _download(content: bytes, name: str, content_type: str) -> HttpResponse:
    response = HttpResponse(content, content_type=content_type)
    response.headers["Content-Disposition"] = f'attachment; filename="{name}"'
    return response
