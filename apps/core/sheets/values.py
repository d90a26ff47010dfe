"""The values and columns of a sheet, and what both file formats leave out of texts."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import TypeVar

FilledValue = str | int | float | bool | datetime
Value = FilledValue | None
V = TypeVar("V")

# A spreadsheet program may read a text as a formula if it starts with one of these or its full-width form.
FORMULA_BEGINNINGS = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")
# Control characters, halves of surrogate pairs and non-characters: XML 1.0, section 2.2 (Char).
_NOT_IN_XML = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")
MAX_CELL_TEXT = 32_767  # what a cell of Excel holds, in UTF-16 units
# Excel keeps this many digits of a number.
_MAX_EXACT_NUMBER = 10**15


class CellFormat(StrEnum):
    """How a spreadsheet program shows the values of a column."""

    TEXT = "text"
    NUMBER = "number"  # with thousands separators; two decimals only for values that have decimals
    MONEY = "money"  # with thousands separators and two decimals
    PERCENT = "percent"  # values are in per cent: 12.34 is shown as 12.34%
    CHANGE = "change"  # as PERCENT, with a sign
    INSTANT = "instant"  # a date with its time


@dataclass(frozen=True, slots=True)
class SheetColumn:
    """A column: its title, how its values are shown, and its width in characters.

    Without a width, the title and the first rows decide. A value of another type than the format expects,
    such as a text among numbers, is written as what it is.
    """

    title: str
    format: CellFormat = CellFormat.TEXT
    width: float | None = None


def clean_text(text: str) -> str:
    """Return a text without the characters that no file can hold."""
    return _NOT_IN_XML.sub("", text)


def exact(value: V) -> V | str:
    """Return a value that a spreadsheet program does not round: a long whole number as a text."""
    return str(value) if isinstance(value, int) and abs(value) >= _MAX_EXACT_NUMBER else value
