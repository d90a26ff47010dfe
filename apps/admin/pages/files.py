"""Tables as files for spreadsheet programs, which must not take a text for a formula."""

from __future__ import annotations

import csv as csv_format
import io
import re
from collections.abc import Iterable, Sequence

from django.http import HttpResponse
from django.utils.translation import gettext as _

from apps.mengla.monitoring.figure_tables import Table, Value

FORMATS = ("csv", "xlsx")
# What a spreadsheet program may take for the beginning of a formula, also in its full-width spelling.
_FORMULA_BEGINNINGS = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")
# As openpyxl.cell.cell.ILLEGAL_CHARACTERS_RE, without loading all of openpyxl for a CSV file.
_NOT_IN_XML = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f]")
_XLSX_TYPE = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
_MAX_SHEET_NAME = 31


def csv(name: str, table: Table) -> HttpResponse:
    """Answer one table as CSV in UTF-8, with the mark that spreadsheet programs know it by."""
    text = io.StringIO()
    writer = csv_format.writer(text)
    writer.writerow([safe_value(column.title) for column in table.columns])
    writer.writerows([safe_value(value) for value in row] for row in table.rows)
    return _download(text.getvalue().encode("utf-8-sig"), f"{name}.csv", "text/csv; charset=utf-8")


def xlsx(name: str, tables: Sequence[Table], *, about: Iterable[tuple[str, str]]) -> HttpResponse:
    """Answer all tables as a workbook, one sheet each, and one that says where the figures are from."""
    from openpyxl import Workbook  # takes long to load, and few ask for it

    book = Workbook(write_only=True)
    for table in tables:
        sheet = book.create_sheet(table.name[:_MAX_SHEET_NAME])
        sheet.append([safe_value(column.title) for column in table.columns])
        for row in table.rows:
            sheet.append([safe_value(value) for value in row])
    sheet = book.create_sheet(_("About")[:_MAX_SHEET_NAME])
    for title, value in about:
        sheet.append([safe_value(title), safe_value(value)])
    content = io.BytesIO()
    book.save(content)
    return _download(content.getvalue(), f"{name}.xlsx", _XLSX_TYPE)


def safe_value(value: Value) -> Value:
    """Return a value that no program runs: a text that looks like a formula gets a quote before it."""
    if not isinstance(value, str):
        return value
    clean = _NOT_IN_XML.sub("", value)
    return f"'{clean}" if clean.lstrip(" ").startswith(_FORMULA_BEGINNINGS) else clean


def _download(content: bytes, name: str, content_type: str) -> HttpResponse:
    response = HttpResponse(content, content_type=content_type)
    response.headers["Content-Disposition"] = f'attachment; filename="{name}"'
    return response
