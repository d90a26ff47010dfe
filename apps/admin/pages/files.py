"""Tables as files for spreadsheet programs; no text of them runs as a formula."""

from __future__ import annotations

import csv as csv_format
import io
import re
from collections.abc import Iterable, Sequence

from django.http import HttpResponse
from django.utils.translation import gettext as _

from apps.mengla.monitoring.figure_tables import Table, Value

FORMATS = ("csv", "xlsx")
# A spreadsheet program may read a text as a formula if it starts with one of these or its full-width form.
_FORMULA_BEGINNINGS = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")
# A copy of openpyxl.cell.cell.ILLEGAL_CHARACTERS_RE, so that a CSV file does not load openpyxl.
_NOT_IN_XML = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f]")
_XLSX_TYPE = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
_MAX_SHEET_NAME = 31


def csv(name: str, table: Table) -> HttpResponse:
    """Return one table as CSV in UTF-8, with the byte order mark that spreadsheet programs need."""
    text = io.StringIO()
    writer = csv_format.writer(text)
    writer.writerow([safe_value(column.title) for column in table.columns])
    writer.writerows([safe_value(value) for value in row] for row in table.rows)
    return _download(text.getvalue().encode("utf-8-sig"), f"{name}.csv", "text/csv; charset=utf-8")


def xlsx(name: str, tables: Sequence[Table], *, about: Iterable[tuple[str, str]]) -> HttpResponse:
    """Return all tables as a workbook: a sheet for each, and one about the source of the figures."""
    from openpyxl import Workbook  # slow to import, and rarely needed

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
    """Return a value that no program runs: a text that looks like a formula is prefixed with a quote."""
    if not isinstance(value, str):
        return value
    clean = _NOT_IN_XML.sub("", value)
    return f"'{clean}" if clean.lstrip(" ").startswith(_FORMULA_BEGINNINGS) else clean


def _download(content: bytes, name: str, content_type: str) -> HttpResponse:
    response = HttpResponse(content, content_type=content_type)
    response.headers["Content-Disposition"] = f'attachment; filename="{name}"'
    return response
