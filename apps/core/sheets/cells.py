"""Cells of a workbook, as XlsxWriter writes them. It takes long to load: import this only to write one."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal
from math import isfinite

from xlsxwriter import Workbook
from xlsxwriter.format import Format
from xlsxwriter.worksheet import Worksheet

from apps.core.sheets.values import FORMULA_BEGINNINGS, CellFormat, FilledValue, Value, clean_text, exact

_NUMBER_FORMATS = {
    CellFormat.NUMBER: "#,##0",
    CellFormat.MONEY: "#,##0.00",
    CellFormat.PERCENT: "0.00%",
    CellFormat.CHANGE: "+0.00%;-0.00%;0.00%",
}
_PERCENTS = (CellFormat.PERCENT, CellFormat.CHANGE)
# In a workbook _x0041_ stands for a character, so a text that holds it is escaped: ECMA-376, ST_Xstring.
_ESCAPE = re.compile(r"_(?=x[0-9A-Fa-f]{4}_)")
_LINE_BREAK = re.compile(r"\r\n?")
_CUT = -2  # what XlsxWriter returns for a text longer than a cell


class PlainSheet(Worksheet):  # type: ignore[misc]  # XlsxWriter has no types
    """A sheet whose texts are plain: XlsxWriter takes a text such as ``<r>...</r>`` as XML of its own."""

    def _xml_rich_inline_string(self, string: str, attributes: Sequence[tuple[str, object]]) -> None:
        self._xml_inline_string(string, False, attributes)

    @staticmethod
    def _escape_control_characters(data: object) -> object:
        """Escape also the second one of ``_x0041_x0041_``, which XlsxWriter does not."""
        return _ESCAPE.sub("_x005F_", data) if isinstance(data, str) else data


class CellWriter:
    """Writes rows into the sheets of one workbook; ``cut_texts`` counts the texts too long for a cell."""

    def __init__(self, book: Workbook) -> None:
        self._numbers = {one: book.add_format({"num_format": code}) for one, code in _NUMBER_FORMATS.items()}
        self._instant = book.add_format({"num_format": "yyyy-mm-dd hh:mm:ss"})
        self._text = _text_formats(book, {"num_format": "@"})
        self._title = _text_formats(book, {"bold": True})
        self.cut_texts = 0

    def titles(self, sheet: Worksheet, titles: Sequence[str]) -> None:
        """Write the first row: titles in bold."""
        for column, title in enumerate(titles):
            self._write_text(sheet, 0, column, title, self._title)

    def row(self, sheet: Worksheet, place: int, forms: Sequence[CellFormat], values: Sequence[Value]) -> None:
        """Write a row; ``place`` counts from 0. A value of None leaves its cell empty.

        :raises ValueError: there are more or fewer values than formats
        """
        for column, (form, value) in enumerate(zip(forms, values, strict=True)):
            if value is not None:
                self._write(sheet, place, column, form, value)

    def _write(self, sheet: Worksheet, row: int, column: int, form: CellFormat, value: FilledValue) -> None:
        value = exact(value)
        if isinstance(value, bool):
            sheet.write_boolean(row, column, value)
        elif isinstance(value, datetime):
            sheet.write_datetime(row, column, value, self._instant)
        elif isinstance(value, str) or not isfinite(value):
            self._write_text(sheet, row, column, str(value), self._text)
        elif form in _PERCENTS:
            # Exactly: 28.57 is 0.2857, where a division may say 0.28570000000000001.
            sheet.write_number(row, column, Decimal(repr(value)).scaleb(-2), self._numbers[form])
        else:
            has_decimals = isinstance(value, float) and not value.is_integer()
            shown = CellFormat.MONEY if form is CellFormat.NUMBER and has_decimals else form
            sheet.write_number(row, column, value, self._numbers.get(shown))

    def _write_text(
        self, sheet: Worksheet, row: int, column: int, text: str, formats: tuple[Format, Format]
    ) -> None:
        """Write a text, which stays a text when its cell is edited."""
        clean = text if text.isprintable() else _LINE_BREAK.sub("\n", clean_text(text))
        plain, quoted = formats
        form = quoted if clean.startswith(FORMULA_BEGINNINGS) else plain
        self.cut_texts += sheet.write_string(row, column, clean, form) == _CUT


def _text_formats(book: Workbook, properties: dict[str, object]) -> tuple[Format, Format]:
    """Return a format for texts, and the one of texts that could be read as formulas."""
    return book.add_format(properties), book.add_format(properties | {"quote_prefix": True})
