"""XLSX workbooks, written row by row with XlsxWriter.

Memory holds one row of them, whatever their number. The rows wait in temporary files: an XLSX file is
complete, and its first byte can be sent, only when the last row is written.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import chain, islice
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Self

from apps.core.sheets.scratch import ScratchDirectory
from apps.core.sheets.values import SheetColumn, Value, clean_text
from apps.core.sheets.widths import widths_of

XLSX_TYPE = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
# Limits of Excel: the rows of a sheet, with its titles, and the name of a sheet in UTF-16 units.
_MAX_ROWS = 1_048_576
_MAX_NAME = 31
_NOT_IN_NAME = re.compile(r"[\[\]:*?/\\]")
# A larger part of a ZIP file needs a form of header that spreadsheet programs warn of.
_MAX_PART_BYTES = 2_000_000_000
_OPTIONS = {
    "constant_memory": True,
    "remove_timezone": True,  # an instant is the wall clock of its own time zone
    "strings_to_formulas": False,
    "strings_to_numbers": False,
    "strings_to_urls": False,
}
_ROWS_A_CHECK = 1_000
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
    """Writes a workbook sheet by sheet; the target gets it when the context ends, and not after an exception.

    The target need not be able to seek. The temporary files are gone in either case;
    those of a process that was killed go with the next workbook.
    """

    def __init__(self, target: BinaryIO) -> None:
        from xlsxwriter import Workbook

        from apps.core.sheets.cells import CellWriter  # loaded by the first workbook

        self._target = target
        self._directory = ScratchDirectory("workbook-")
        self._path = Path(self._directory.name, "workbook.xlsx")
        self._book = Workbook(self._path, _OPTIONS | {"tmpdir": self._directory.name})
        self._cells = CellWriter(self._book)

    @property
    def cut_texts(self) -> int:
        """How many texts were cut to the length that a cell can hold."""
        return self._cells.cut_texts

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with ExitStack() as resources:
            resources.enter_context(self._directory)
            for sheet in self._book.worksheets():
                resources.callback(sheet.row_data_fh.close)  # XlsxWriter leaves it open after an exception
            if error is None:
                self._finish()

    def add(self, sheet: Sheet) -> None:
        """Write one sheet; rows beyond what a sheet can hold continue in further ones.

        :raises ValueError: a row has more or fewer values than the sheet has columns
        """
        rows = iter(sheet.rows)
        first_rows = list(islice(rows, _ROWS_FOR_WIDTHS))
        widths = widths_of(sheet.columns, first_rows, has_titles=sheet.has_titles)
        rows = chain(first_rows, rows)
        self._add_part(sheet, widths, rows)
        for row in rows:
            self._add_part(sheet, widths, chain([row], rows))

    def _add_part(self, sheet: Sheet, widths: Sequence[float], rows: Iterator[Sequence[Value]]) -> None:
        from apps.core.sheets.cells import PlainSheet

        name = _free_name(sheet.name, [part.name for part in self._book.worksheets()])
        part = self._book.add_worksheet(name, PlainSheet)
        for place, width in enumerate(widths):
            part.set_column(place, place, width)
        has_titles = sheet.has_titles and bool(sheet.columns)
        if has_titles:
            part.freeze_panes(1, 0)
            self._cells.titles(part, [column.title for column in sheet.columns])
        written = int(has_titles)
        forms = [column.format for column in sheet.columns]
        for row in islice(rows, _MAX_ROWS - written):
            self._cells.row(part, written, forms, row)
            written += 1
            if not written % _ROWS_A_CHECK and part.row_data_fh.tell() > _MAX_PART_BYTES:
                break
        if has_titles:
            part.autofilter(0, 0, written - 1, len(forms) - 1)

    def _finish(self) -> None:
        """Put the sheets together and copy the file to the target.

        :raises OSError: there is no space for it, or the target does not take it
        """
        from xlsxwriter.exceptions import FileCreateError

        try:
            self._book.close()
        except FileCreateError as error:
            raise error.args[0] from None  # the OSError that it stands for
        with self._path.open("rb") as file:
            shutil.copyfileobj(file, self._target)


def _free_name(name: str, taken: Sequence[str]) -> str:
    """Return a name that a sheet can have and none has yet."""
    wanted = " ".join(_NOT_IN_NAME.sub(" ", clean_text(name)).split()).strip("'") or "Sheet"
    known = {"history", *(one.casefold() for one in taken)}  # Excel keeps that name for itself
    number, free = 1, _shortened(wanted, _MAX_NAME)
    while free.casefold() in known:
        number += 1
        ending = f" ({number})"
        free = _shortened(wanted, _MAX_NAME - len(ending)) + ending
    return free


def _shortened(text: str, units: int) -> str:
    return text.encode("utf-16-le")[: 2 * units].decode("utf-16-le", "ignore").rstrip(" '")
