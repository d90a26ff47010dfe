"""CSV: no text runs as a formula, numbers stay exact, and a text stays a text when this is wanted."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest

from apps.core.sheets.csv_text import csv_lines
from apps.core.sheets.values import CellFormat, SheetColumn, Value

DANGEROUS = ["=1+1", "+1+1", "-1-1", "@SUM(A1)", "\t=1", "\r=1", "\n=1", "  =1", "＝1", "=cmd|' /C calc'!A0"]
DANGEROUS += ["-", "+", "--1", "-1+cmd|' /C calc'!A0", "-12.5;=1", "-1.2.3", "+7 999 1", "\x07=1", "-١"]
NUMBERS = ["-12.5", "+3", "-1,234.5", "-12,5", "-12.5%", "-1e-5", "-.5", "+12 345"]
DATES = ["1-5", "2025-01", "MAR1", "1/2", "10:30", "00123", "1e5", "TRUE", 'say "1-5"', "9" * 17]


def cells_of(title: str, *values: Value, is_text_kept: bool = False) -> list[str]:
    """The cells of a file of one column, the title first."""
    lines = b"".join(
        csv_lines([SheetColumn(title)], [[value] for value in values], is_text_kept=is_text_kept)
    )
    return [row[0] if row else "" for row in csv.reader(io.StringIO(lines.decode(), newline=""))]


@pytest.mark.parametrize("text", DANGEROUS)
def test_no_text_becomes_a_formula(text: str) -> None:
    safe = "'" + text.replace("\x07", "")
    assert cells_of(text, text, -5) == [safe, safe, "-5"]


@pytest.mark.parametrize("number", NUMBERS)
def test_a_number_is_no_formula(number: str) -> None:
    assert cells_of("x", number) == ["x", number]


@pytest.mark.parametrize("text", DATES)
def test_a_text_stays_a_text(text: str) -> None:
    doubled = text.replace('"', '""')
    assert cells_of(text, text, 5, is_text_kept=True) == [f'="{doubled}"', f'="{doubled}"', "5"]
    assert cells_of("x", text) == ["x", text]  # for programs, as it is


@pytest.mark.parametrize("text", ['=1+1"', '"&CMD()&"', "=" + "x" * 300])
def test_a_kept_text_runs_nothing(text: str) -> None:
    doubled = text.replace('"', '""')
    wanted = f'="{doubled}"' if len(text) <= 255 else f"'{text}"
    assert cells_of("x", text, is_text_kept=True)[1] == wanted


def test_values_are_exact() -> None:
    instant = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
    values: list[Value] = [12345678901234567, 0.1, True, None, "", instant, "y" * 90_000]
    written = ["12345678901234567", "0.1", "True", "", "", "2026-01-02T03:04:05+00:00", "y" * 90_000]
    assert cells_of("x", *values) == ["x", *written]


def test_a_column_in_per_cent_says_so_and_keeps_its_numbers() -> None:
    columns = [SheetColumn("Share", CellFormat.PERCENT), SheetColumn("Change", CellFormat.CHANGE)]
    columns.append(SheetColumn("Sales", CellFormat.NUMBER))
    assert b"".join(csv_lines(columns, [[12.34, -5, 7]])) == b'"Share, %","Change, %",Sales\r\n12.34,-5,7\r\n'


def test_rows_are_taken_one_at_a_time() -> None:
    taken = []

    def rows() -> Iterator[list[Value]]:
        for number in range(1000):
            taken.append(number)
            yield [number]

    lines = csv_lines([SheetColumn("x")], rows())
    assert [next(lines) for _ in range(3)] == [b"x\r\n", b"0\r\n", b"1\r\n"]
    assert len(taken) == 2
