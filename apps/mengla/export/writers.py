"""Writes an export in each of its formats; none of them keeps the rows."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from typing import IO, Any

import orjson
from django.utils.translation import gettext as _

from apps.core.api.envelope import dump_json
from apps.core.errors import InvalidInput
from apps.core.sheets.csv_text import BYTE_ORDER_MARK, safe_value
from apps.core.sheets.values import CellFormat, SheetColumn, Value
from apps.core.sheets.workbook import Sheet, WorkbookWriter
from apps.core.time_texts import period_text
from apps.mengla.choices import Action
from apps.mengla.export.columns import JSON_OPTIONS, ColumnType, ExportColumn, json_text
from apps.mengla.export.query import ExportFormat
from apps.mengla.export.summary import PeriodList
from apps.mengla.export.table import ExportTable
from apps.mengla.monitoring.figure_tables import Kind

_BUFFERED_CHARACTERS = 1 << 14
_NDJSON = JSON_OPTIONS | orjson.OPT_APPEND_NEWLINE
_CELL_FORMATS = {
    Kind.NUMBER: CellFormat.NUMBER,
    Kind.MONEY: CellFormat.MONEY,
    Kind.PERCENT: CellFormat.PERCENT,
    Kind.CHANGE: CellFormat.CHANGE,
}
_AS_THEY_ARE = (int, float, type(None))


def write_export(
    table: ExportTable, form: ExportFormat, sink: IO[bytes], *, has_titles: bool = False
) -> None:
    """Write the rows and what is said about them to ``sink``, which need not be able to seek.

    :param has_titles: an XLSX file has titles in the reader's language in place of the names of the columns.
    :raises InvalidInput: when the format needs a package that is not installed.
    """
    if form is ExportFormat.XLSX:
        _write_xlsx(table, sink, has_titles=has_titles)
    else:
        _WRITERS[form](table, sink)


def check_format(form: ExportFormat) -> None:
    """Refuse a format that needs a package that is not installed.

    :raises InvalidInput: with what to install.
    """
    if form is not ExportFormat.PARQUET:
        return
    try:
        import pyarrow  # noqa: F401 - loaded before anything is read
    except ImportError as error:
        message = _("Parquet needs the package pyarrow: pip install --require-hashes -r locked/parquet.txt")
        raise InvalidInput(message, fields={"format": [message]}) from error


def _write_ndjson(table: ExportTable, sink: IO[bytes]) -> None:
    """Write one JSON object a line; the last line has ``"end": true`` and names what is missing."""
    keys = tuple(column.key for column in table.columns)
    for base, rows in table.records():
        lines = [orjson.dumps(dict(zip(keys, base + row, strict=True)), str, _NDJSON) for row in rows]
        table.summary.rows += len(lines)
        sink.write(b"".join(lines))
    sink.write(dump_json({"end": True, **table.summary.to_json()}) + b"\n")


def _write_csv(table: ExportTable, sink: IO[bytes]) -> None:
    """Write comma-separated values in UTF-8, with the byte order mark that spreadsheet programs need."""
    text = io.StringIO()
    writer = csv.writer(text)
    sink.write(BYTE_ORDER_MARK)
    writer.writerow([column.key for column in table.columns])
    for base, rows in table.records():
        first = [csv_value(value) for value in base]
        lines = [[*first, *map(csv_value, row)] for row in rows]
        table.summary.rows += len(lines)
        writer.writerows(lines)
        if text.tell() > _BUFFERED_CHARACTERS:
            sink.write(text.getvalue().encode())
            text.seek(0)
            text.truncate()
    sink.write(text.getvalue().encode())


def csv_value(value: Any) -> Any:
    """Return what stands for a value in a CSV file: numbers as they are, texts that no program runs."""
    kind = type(value)
    if kind in _AS_THEY_ARE:
        return value
    if kind is bool:
        return "true" if value else "false"
    return safe_value(value if kind is str else json_text(value))


def _write_xlsx(table: ExportTable, sink: IO[bytes], *, has_titles: bool) -> None:
    """Write a workbook with the rows, the periods without figures, and facts about the export."""
    columns = [_sheet_column(column, has_titles=has_titles) for column in table.columns]
    query, summary = table.query, table.summary
    with WorkbookWriter(sink) as book:  # type: ignore[arg-type]
        are_texts = [column.type is ColumnType.TEXT for column in table.columns]
        cells = (list(map(_cell, row, are_texts)) for row in table.rows())
        book.add(Sheet(query.action.value, columns, cells))
        lists = ((_("Missing"), summary.missing), (_("Empty"), summary.empty))
        periods = [row for state, some in lists for row in _period_rows(state, some)]
        book.add(Sheet(_("Missing"), [SheetColumn(one) for one in _period_titles()], periods))
        facts: list[tuple[Value, ...]] = [
            (_("Data set"), str(Action(query.action).label)),
            (_("Period"), period_text(query.start, query.end)),
            (_("Rows"), summary.rows),
            (_("Records"), summary.records),
            (_("Missing"), summary.missing.count),
            (_("Empty"), summary.empty.count),
            (_("Provisional"), summary.provisional.count),
            *book.notes,
        ]
        book.add(Sheet(_("About"), [SheetColumn(""), SheetColumn("")], facts, has_titles=False))


def _period_titles() -> Sequence[str]:
    return (_("Category id"), _("From"), _("To"), _("State"))


def _period_rows(state: str, periods: PeriodList) -> Iterator[tuple[str, str, str, str]]:
    for cat_id, first, last in periods.ranges():
        yield cat_id, first, last, state


def _sheet_column(column: ExportColumn, *, has_titles: bool) -> SheetColumn:
    title = str(column.title) if has_titles else column.key
    is_instant = column.type is ColumnType.INSTANT
    return SheetColumn(
        title, CellFormat.INSTANT if is_instant else _CELL_FORMATS.get(column.kind, CellFormat.TEXT)
    )


def _cell(value: Any, is_text: bool) -> Value:
    """Return what a cell holds; ids are texts in every sheet, also those that the service sent as numbers."""
    if value is None or isinstance(value, str | datetime):
        return value
    if not is_text and isinstance(value, bool | int | float):
        return value
    return json_text(value)


def _write_parquet(table: ExportTable, sink: IO[bytes]) -> None:
    check_format(ExportFormat.PARQUET)
    from apps.mengla.export.parquet import write_parquet

    write_parquet(table, sink)


_WRITERS: dict[ExportFormat, Callable[[ExportTable, IO[bytes]], None]] = {
    ExportFormat.NDJSON: _write_ndjson,
    ExportFormat.CSV: _write_csv,
    ExportFormat.PARQUET: _write_parquet,
}
