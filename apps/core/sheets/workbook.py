"""XLSX workbooks, written row by row.

Each row goes into the compressed file as it comes: memory holds a few hundred of them, whatever their number,
and a target that cannot seek, such as an HTTP response, gets the first bytes at once. The libraries for XLSX
write all rows to another file first, and take several times as long: see docs/performance.md.
"""

from __future__ import annotations

import re
import zipfile
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, islice
from types import TracebackType
from typing import BinaryIO, Self

from apps.core.batches import batches
from apps.core.sheets.cells import RowWriter
from apps.core.sheets.package import filtered_cells, package_parts, sheet_foot, sheet_head
from apps.core.sheets.values import SheetColumn, Value, clean_text
from apps.core.sheets.widths import widths_of

XLSX_TYPE = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
# Limits of Excel: the rows of a sheet, with its titles, and the name of a sheet in UTF-16 units.
_MAX_ROWS = 1_048_576
_MAX_NAME = 31
_NOT_IN_NAME = re.compile(r"[\[\]:*?/\\]")
# A part of a ZIP file that may be larger needs a form of header that spreadsheet programs warn of.
_MAX_PART_BYTES = 2_000_000_000
_ROWS_AT_ONCE = 500
_ROWS_FOR_WIDTHS = 200


@dataclass(frozen=True, slots=True)
class Sheet:
    """One sheet of a workbook; ``rows`` are read once, as they are written.

    ``has_titles``: the first row holds the titles in bold, stays in view and filters the rows. A sheet
    without titles is a list of facts.
    """

    name: str
    columns: Sequence[SheetColumn]
    rows: Iterable[Sequence[Value]]
    has_titles: bool = True


def save_workbook(target: BinaryIO, sheets: Iterable[Sheet]) -> None:
    """Write a workbook of these sheets; each is taken when the one before it is written.

    After an exception the target holds no valid file.
    """
    with WorkbookWriter(target) as workbook:
        for sheet in sheets:
            workbook.add(sheet)


class WorkbookWriter:
    """Writes a workbook sheet by sheet, into a target that need not be able to seek.

    As a context manager it ends the file; not after an exception, so that a file that is cut off is none.
    """

    def __init__(self, target: BinaryIO) -> None:
        self._zip = zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED, allowZip64=False)
        self._names: list[str] = []
        self._filtered: list[str] = []
        self.cut_texts = 0
        """How many texts were cut to the length that a cell can hold."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is None:
            self.close()
        else:
            self._zip.fp = None  # or else it would end the file when it is garbage

    def add(self, sheet: Sheet) -> None:
        """Write one sheet; rows beyond what a sheet can hold continue in further ones.

        :raises ValueError: a row has more or fewer values than the sheet has columns
        """
        rows = iter(sheet.rows)
        self._add_part(sheet, rows)
        while following := list(islice(rows, 1)):
            self._add_part(sheet, chain(following, rows))

    def close(self) -> None:
        """Write the parts that name the sheets, and end the file."""
        if not self._names:
            self.add(Sheet("Sheet1", (), ()))
        for name, content in package_parts(self._names, self._filtered).items():
            self._zip.writestr(name, content)
        self._zip.close()

    def _add_part(self, sheet: Sheet, rows: Iterator[Sequence[Value]]) -> None:
        self._names.append(_free_name(sheet.name, self._names))
        has_titles = sheet.has_titles and bool(sheet.columns)
        writer = RowWriter(sheet.columns)
        first_rows = list(islice(rows, min(_ROWS_FOR_WIDTHS, _MAX_ROWS - 1)))
        widths = widths_of(sheet.columns, first_rows, has_titles=sheet.has_titles)
        row_number = written = 0
        with self._zip.open(f"xl/worksheets/sheet{len(self._names)}.xml", "w") as part:
            head = sheet_head(widths, has_titles=has_titles, is_first=len(self._names) == 1)
            part.write(head.encode())
            if has_titles:
                row_number = 1
                part.write(writer.titles([column.title for column in sheet.columns]).encode())
            room = islice(chain(first_rows, rows), _MAX_ROWS - row_number)
            for batch in batches(room, _ROWS_AT_ONCE):
                text = "".join(writer.row(number, row) for number, row in enumerate(batch, row_number + 1))
                written += part.write(text.encode())
                row_number += len(batch)
                if written > _MAX_PART_BYTES:
                    break
            filtered = filtered_cells(len(widths), row_number) if has_titles else ""
            part.write(sheet_foot(filtered).encode())
        self._filtered.append(filtered)
        self.cut_texts += writer.cut_texts


def _free_name(name: str, taken: Sequence[str]) -> str:
    """Return a name that a sheet can have and none has yet."""
    wanted = " ".join(_NOT_IN_NAME.sub(" ", clean_text(name)).split()).strip("'") or "Sheet"
    known = {one.casefold() for one in taken}
    number, free = 1, _shortened(wanted, _MAX_NAME)
    while free.casefold() in known:
        number += 1
        ending = f" ({number})"
        free = _shortened(wanted, _MAX_NAME - len(ending)) + ending
    return free


def _shortened(text: str, units: int) -> str:
    return text.encode("utf-16-le")[: 2 * units].decode("utf-16-le", "ignore").rstrip(" '")
