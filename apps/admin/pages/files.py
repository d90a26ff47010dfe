"""The tables of the data page as files: CSV holds one of them, XLSX all."""

from __future__ import annotations

import io
from collections.abc import Iterable, Sequence

from django.http import HttpResponse
from django.utils.translation import gettext as _

from apps.core.sheets.csv_text import BYTE_ORDER_MARK, CSV_TYPE, csv_lines
from apps.core.sheets.downloads import attachment
from apps.core.sheets.values import MAX_CELL_TEXT, SheetColumn
from apps.core.sheets.workbook import XLSX_TYPE, Sheet, WorkbookWriter
from apps.mengla.monitoring.figure_tables import Table

FORMATS = ("csv", "xlsx")


def csv(name: str, table: Table, *, readers_name: str = "", is_text_kept: bool = False) -> HttpResponse:
    """Return one table as CSV in UTF-8, with the byte order mark that spreadsheet programs need.

    With ``is_text_kept`` a text is written as ``="text"``, which spreadsheet programs keep as it is and other
    programs must unwrap. Numbers stay numbers in both forms.
    """
    lines = csv_lines(_columns_of(table), table.rows, is_text_kept=is_text_kept)
    content = BYTE_ORDER_MARK + b"".join(lines)
    return _download(content, CSV_TYPE, attachment(name, ending="csv", readers_name=readers_name))


def xlsx(
    name: str, tables: Sequence[Table], *, about: Iterable[tuple[str, str]], readers_name: str = ""
) -> HttpResponse:
    """Return all tables as a workbook: a sheet for each, and one about the source of the figures."""
    content = io.BytesIO()
    with WorkbookWriter(content) as book:
        for table in tables:
            book.add(Sheet(table.title, _columns_of(table), table.rows))
        facts = [*about, *_cut_texts(book.cut_texts)]
        book.add(Sheet(_("About"), (SheetColumn(""), SheetColumn("")), facts, has_titles=False))
    return _download(
        content.getvalue(), XLSX_TYPE, attachment(name, ending="xlsx", readers_name=readers_name)
    )


def _cut_texts(count: int) -> list[tuple[str, str]]:
    if not count:
        return []
    note = _("%(count)d, to the %(limit)d characters that a cell can hold; a CSV file has the full text")
    return [(_("Cut texts"), note % {"count": count, "limit": MAX_CELL_TEXT})]


def _columns_of(table: Table) -> list[SheetColumn]:
    return [column.for_sheet for column in table.columns]


def _download(content: bytes, content_type: str, disposition: str) -> HttpResponse:
    response = HttpResponse(content, content_type=content_type)
    response.headers["Content-Disposition"] = disposition
    return response
