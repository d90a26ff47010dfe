"""Cells of a workbook as XML, with the styles that they name: ECMA-376, part 1, sections 18.3 and 18.8."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal
from math import isfinite
from xml.sax.saxutils import escape

from apps.core.sheets.values import (
    FORMULA_BEGINNINGS,
    CellFormat,
    FilledValue,
    SheetColumn,
    Value,
    clean_text,
    exact,
)

# Limits of Excel.
MAX_CELL_TEXT = 32_767  # in UTF-16 units
_FIRST_DAY = datetime(1899, 12, 30)
_DAY_SECONDS = 86_400
# In a workbook _x0041_ stands for a character, so a text that holds it is escaped: ECMA-376, ST_Xstring.
_ESCAPE = re.compile(r"_(?=x[0-9A-Fa-f]{4}_)")
_SPECIAL = re.compile(r"[&<>]")
_NUMBER_FORMATS = {
    CellFormat.TEXT: "@",
    CellFormat.NUMBER: "#,##0",
    CellFormat.MONEY: "#,##0.00",
    CellFormat.PERCENT: "0.00%",
    CellFormat.CHANGE: "+0.00%;-0.00%;0.00%",
    CellFormat.INSTANT: "yyyy-mm-dd hh:mm:ss",
}
# Places in the list of styles: see styles_xml().
_PLAIN, _TITLE, _QUOTED_TITLE, _QUOTED = 0, 1, 2, 3
_STYLES = {one: place for place, one in enumerate(_NUMBER_FORMATS, start=4)}
_NOT_FOR_NUMBERS = (_STYLES[CellFormat.TEXT], _STYLES[CellFormat.INSTANT])
_FIRST_FORMAT_ID = 164  # the ids below are the formats that every spreadsheet program knows
MAIN = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
XML = '<?xml version="1.0" encoding="UTF-8" standalone="yes"?>\n'


def column_letters(count: int) -> list[str]:
    """Return the names of the first columns: A, B, ... Z, AA, ..."""
    letters = []
    for number in range(1, count + 1):
        name, rest = "", number
        while rest:
            rest, place = divmod(rest - 1, 26)
            name = chr(65 + place) + name
        letters.append(name)
    return letters


class RowWriter:
    """Writes the rows of one sheet as XML; ``cut_texts`` counts the texts that were too long for a cell."""

    def __init__(self, columns: Sequence[SheetColumn]) -> None:
        self._letters = column_letters(len(columns))
        self._styles = [_STYLES[column.format] for column in columns]
        self._is_percent = [column.format in (CellFormat.PERCENT, CellFormat.CHANGE) for column in columns]
        self.cut_texts = 0

    def titles(self, titles: Sequence[str]) -> str:
        """Return the first row: titles in bold."""
        cells = [
            self._text(f"{letter}1", title, _TITLE, _QUOTED_TITLE)
            for letter, title in zip(self._letters, titles, strict=True)
        ]
        return f'<row r="1">{"".join(cells)}</row>'

    def row(self, number: int, values: Sequence[Value]) -> str:
        """Return a row; ``number`` counts from 1. A value of None leaves its cell empty.

        :raises ValueError: the row has more or fewer values than the sheet has columns
        """
        cells = [
            self._cell(f"{letter}{number}", value, style, is_percent)
            for letter, value, style, is_percent in zip(
                self._letters, values, self._styles, self._is_percent, strict=True
            )
            if value is not None
        ]
        return f'<row r="{number}">{"".join(cells)}</row>'

    def _cell(self, place: str, value: FilledValue, style: int, is_percent: bool) -> str:
        if isinstance(value, bool):
            return f'<c r="{place}" t="b"><v>{value:d}</v></c>'
        value = exact(value)
        if isinstance(value, datetime):
            return f'<c r="{place}" s="{_STYLES[CellFormat.INSTANT]}"><v>{_days(value)!r}</v></c>'
        if isinstance(value, str):
            return self._text(place, value, _STYLES[CellFormat.TEXT], _QUOTED)
        if not isfinite(value):
            return self._text(place, str(value), _STYLES[CellFormat.TEXT], _QUOTED)
        if is_percent:
            # Exactly: 28.57 is 0.2857, where a division says 0.28570000000000001.
            return f'<c r="{place}" s="{style}"><v>{Decimal(repr(value)).scaleb(-2)}</v></c>'
        if style == _STYLES[CellFormat.NUMBER] and not isinstance(value, int) and not value.is_integer():
            style = _STYLES[CellFormat.MONEY]
        elif style in _NOT_FOR_NUMBERS:
            style = _PLAIN
        return f'<c r="{place}" s="{style}"><v>{value!r}</v></c>'

    def _text(self, place: str, text: str, style: int, quoted_style: int) -> str:
        """Return the cell of a text, which stays a text when its cell is edited."""
        clean = clean_text(text) if not text.isprintable() else text
        if len(clean) > MAX_CELL_TEXT // 2:
            clean = self._cut(clean)
        if clean.startswith(FORMULA_BEGINNINGS):
            style = quoted_style
        if _SPECIAL.search(clean):
            clean = escape(clean)
        if "_x" in clean:
            clean = _ESCAPE.sub("_x005F_", clean)
        space = ' xml:space="preserve"' if clean != clean.strip() else ""
        return f'<c r="{place}" s="{style}" t="inlineStr"><is><t{space}>{clean}</t></is></c>'

    def _cut(self, text: str) -> str:
        units = text.encode("utf-16-le")
        if len(units) <= 2 * MAX_CELL_TEXT:
            return text
        self.cut_texts += 1
        return units[: 2 * MAX_CELL_TEXT].decode("utf-16-le", "ignore")


def styles_xml() -> str:
    """Return the part of a workbook that lists its fonts, number formats and styles."""
    formats = list(enumerate(_NUMBER_FORMATS.values(), start=_FIRST_FORMAT_ID))
    listed = "".join(f'<numFmt numFmtId="{one}" formatCode="{escape(code)}"/>' for one, code in formats)
    text = _FIRST_FORMAT_ID
    styles = [
        _style(0),
        _style(0, is_bold=True),
        _style(0, is_bold=True, is_quoted=True),
        _style(text, is_quoted=True),
        *(_style(one) for one, _code in formats),
    ]
    font = '<sz val="11"/><name val="Calibri"/><family val="2"/>'
    return (
        f'{XML}<styleSheet xmlns="{MAIN}"><numFmts count="{len(formats)}">{listed}</numFmts>'
        f'<fonts count="2"><font>{font}</font><font><b/>{font}</font></fonts>'
        '<fills count="2"><fill><patternFill patternType="none"/></fill>'
        '<fill><patternFill patternType="gray125"/></fill></fills>'
        '<borders count="1"><border><left/><right/><top/><bottom/><diagonal/></border></borders>'
        '<cellStyleXfs count="1"><xf numFmtId="0" fontId="0" fillId="0" borderId="0"/></cellStyleXfs>'
        f'<cellXfs count="{len(styles)}">{"".join(styles)}</cellXfs>'
        '<cellStyles count="1"><cellStyle name="Normal" xfId="0" builtinId="0"/></cellStyles>'
        '<dxfs count="0"/><tableStyles count="0"/></styleSheet>'
    )


def _style(number_format: int, *, is_bold: bool = False, is_quoted: bool = False) -> str:
    quoted = ' quotePrefix="1"' if is_quoted else ""
    applied = ' applyNumberFormat="1"' if number_format else ""
    bold = ' applyFont="1"' if is_bold else ""
    return (
        f'<xf numFmtId="{number_format}" fontId="{is_bold:d}" fillId="0" borderId="0" xfId="0"'
        f"{quoted}{applied}{bold}/>"
    )


def _days(instant: datetime) -> float:
    """Return the wall clock of an instant in its own time zone as days, as a cell holds it."""
    return (instant.replace(tzinfo=None) - _FIRST_DAY).total_seconds() / _DAY_SECONDS
