"""Workbooks, as another program reads them: types, formats, widths, and rows that no memory holds."""

from __future__ import annotations

import errno
import io
import os
import resource
import signal
import subprocess
import sys
import tempfile
import tracemalloc
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from openpyxl import load_workbook

from apps.core.sheets import workbook
from apps.core.sheets.values import CellFormat, SheetColumn, Value
from apps.core.sheets.workbook import Sheet, WorkbookWriter, save_workbook
from tests.core.sheets.test_csv import DANGEROUS, DATES, NUMBERS
from tests.programs import ROOT

F = CellFormat
NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
ODD_TEXTS = ["<r><t>x</t></r>", "<r> & </r>", "<r>", "a & <b> ]]>", " x ", "_x", "", "{=1+1}"]
ODD_TEXTS += ["https://example.com/", "mailto:a@example.com", "internal:x!A1", "12"]


def saved(*sheets: Sheet) -> bytes:
    content = io.BytesIO()
    save_workbook(content, sheets)
    return content.getvalue()


def sheet_of(columns: Sequence[SheetColumn], *rows: Sequence[Value]) -> Any:
    """The one sheet of a workbook with these rows."""
    return load_workbook(io.BytesIO(saved(Sheet("x", columns, rows)))).active


def test_titles_stay_in_view_and_filter_the_rows() -> None:
    sheet = sheet_of([SheetColumn("Name"), SheetColumn("Sales", F.NUMBER)], ["a", 1], ["b", 2])
    assert (sheet.freeze_panes, sheet.auto_filter.ref) == ("A2", "A1:B3")
    assert [cell.font.bold for cell in sheet[1]] == [True, True]
    assert [cell.font.bold for cell in sheet[2]] == [False, False]
    assert list(sheet.values) == [("Name", "Sales"), ("a", 1), ("b", 2)]


@pytest.mark.parametrize(
    ("form", "value", "held", "number_format"),
    [
        (F.NUMBER, 1234567, 1234567, "#,##0"),
        (F.NUMBER, 87261639.0, 87261639, "#,##0"),
        (F.NUMBER, 1234.5, 1234.5, "#,##0.00"),
        (F.MONEY, 1234, 1234, "#,##0.00"),
        (F.MONEY, 8.1, 8.1, "#,##0.00"),
        (F.PERCENT, 12.34, 0.1234, "0.00%"),
        (F.PERCENT, 28.57, 0.2857, "0.00%"),  # a division says 0.28570000000000001
        (F.PERCENT, 7, 0.07, "0.00%"),
        (F.PERCENT, 1e-7, 1e-9, "0.00%"),
        (F.CHANGE, -14.89, -0.1489, "+0.00%;-0.00%;0.00%"),
        (F.TEXT, "2025-06", "2025-06", "@"),
        (F.TEXT, 5, 5, "General"),
        (F.INSTANT, 5, 5, "General"),
        (F.INSTANT, NOW, NOW.replace(tzinfo=None), "yyyy-mm-dd hh:mm:ss"),
        (F.NUMBER, "n/a", "n/a", "@"),
        (F.PERCENT, True, True, "General"),
        (F.NUMBER, 12345678901234567, "12345678901234567", "@"),  # 15 digits are kept of a number
        (F.NUMBER, float("nan"), "nan", "@"),
        (F.CHANGE, float("-inf"), "-inf", "@"),
        (F.NUMBER, None, None, "General"),
    ],
)
def test_a_value_has_its_type_and_format(form: F, value: Value, held: Any, number_format: str) -> None:
    cell = sheet_of([SheetColumn("x", form), SheetColumn("y")], [value, "end"])["A2"]
    assert (cell.value, type(cell.value), cell.number_format) == (held, type(held), number_format)


@pytest.mark.parametrize("text", [*DANGEROUS, *NUMBERS, *DATES, *ODD_TEXTS])
def test_a_text_stays_as_it_is(text: str) -> None:
    clean = text.replace("\x07", "").replace("\r", "\n")  # XML reads a carriage return as a line break
    title, cell = (row[0] for row in sheet_of([SheetColumn(text, F.NUMBER)], [text]).iter_rows())
    assert (title.value, cell.value, title.data_type, cell.data_type) == (clean, clean, "s", "s")
    assert cell.number_format == "@"
    assert cell.hyperlink is None
    assert cell.quotePrefix == title.quotePrefix == clean.startswith(("=", "+", "-", "@", "\t", "\n", "＝"))


def test_what_no_file_can_hold_is_left_out_and_cut_texts_are_counted() -> None:
    content = io.BytesIO()
    with WorkbookWriter(content) as book:
        book.add(
            Sheet(
                "x",
                [SheetColumn("x")],
                [["a\x07b\ufffe\ud800"], ["é" * 40_000], ["😀" * 20_000], ["z" * 32_767]],
            )
        )
        assert book.cut_texts == 2
    _title, clean, long, pairs, whole = load_workbook(content).active["A"]
    assert clean.value == "ab"
    assert [len(cell.value) for cell in (long, pairs, whole)] == [32_767, 16_383, 32_767]


def test_a_text_that_looks_like_an_escape_stays_one() -> None:
    sheet = sheet_of([SheetColumn("x")], ["_x0041_ _x41_"], ["_x0041_x0042_"], ["<r>_x0041_</r>"])
    held = [cell.value for cell in sheet["A"][1:]]  # Excel reads _x005F_ as _
    assert held == ["_x005F_x0041_ _x41_", "_x005F_x0041_x005F_x0042_", "<r>_x005F_x0041_</r>"]


def test_widths_come_from_titles_and_first_rows() -> None:
    columns = [SheetColumn(title) for title in ("x", "A title of some length", "销售额份额", "y", "z")]
    columns += [SheetColumn("m", F.MONEY), SheetColumn("i", F.INSTANT), SheetColumn("w", width=33)]
    now = datetime(2026, 1, 2, tzinfo=UTC)
    sheet = sheet_of(columns, ["", "", "", "住宅和花园的名字", "y" * 500, 1234567890.5, now, "long" * 9])
    widths = [int(sheet.column_dimensions[letter].width) for letter in "ABCDEFGH"]  # and a margin below 1
    assert widths == [8, 26, 14, 18, 60, 18, 21, 33]


def test_names_of_sheets_are_what_programs_accept() -> None:
    names = ["a/b[c]:*?\\'", "history", "", "'q'", "A" * 40, "a" * 40, "😀" * 20, "x & <y>", "X & <Y>"]
    book = load_workbook(io.BytesIO(saved(*(Sheet(name, [SheetColumn("x")], []) for name in names))))
    assert book.sheetnames == [
        *(
            "a b c",
            "history (2)",
            "Sheet",
            "q",
            "A" * 31,
            "a" * 27 + " (2)",
            "😀" * 15,
            "x & <y>",
            "X & <Y> (2)",
        )
    ]
    assert [sheet.auto_filter.ref for sheet in book] == ["A1"] * 9


def test_a_list_of_facts_has_no_titles() -> None:
    content = saved(
        Sheet("About", [SheetColumn("")] * 2, [("State", "fresh")], has_titles=False), Sheet("e", (), ())
    )
    about, empty = load_workbook(io.BytesIO(content))
    assert list(about.values) == [("State", "fresh")]
    assert (about.freeze_panes, about.auto_filter.ref, list(empty.values)) == (None, None, [])
    assert load_workbook(io.BytesIO(saved())).sheetnames == ["Sheet1"]


def test_more_rows_than_a_sheet_holds_continue_in_another_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workbook, "_MAX_ROWS", 301)
    numbers = Sheet("x", [SheetColumn("n", F.NUMBER)], [[number] for number in range(700)])
    book = load_workbook(io.BytesIO(saved(numbers, Sheet("y", (), ()))))
    assert book.sheetnames == ["x", "x (2)", "x (3)", "y"]
    parts = [list(book[name].values) for name in book.sheetnames[:3]]
    assert {part[0] for part in parts} == {("n",)}
    assert [value for part in parts for (value,) in part[1:]] == list(range(700))


def test_more_bytes_than_a_sheet_may_have_continue_in_another_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workbook, "_MAX_PART_BYTES", 10_000)
    monkeypatch.setattr(workbook, "_ROWS_A_CHECK", 100)
    book = load_workbook(io.BytesIO(saved(Sheet("x", [SheetColumn("x")], [["y" * 90]] * 250))))
    assert [sheet.max_row for sheet in book] == [100, 100, 53]


class Pipe(io.RawIOBase):
    """A target that cannot seek, and keeps nothing but the length."""

    length = 0

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        self.length += len(data)
        return len(data)


def peak_of(count: int) -> tuple[int, int]:
    """The peak of memory and the length of a workbook with so many rows."""
    columns = [SheetColumn("name"), SheetColumn("sales", F.NUMBER), SheetColumn("share", F.PERCENT)]
    target = Pipe()
    tracemalloc.start()
    save_workbook(target, [Sheet("x", columns, ([f"row {n}", n, n / 7] for n in range(count)))])
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return peak, target.length


def test_memory_does_not_grow_with_the_rows() -> None:
    few, short = peak_of(1_500)
    many, long = peak_of(6_000)
    assert long > 3.5 * short
    assert many < 1.2 * few


@pytest.fixture
def directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The directory of temporary files, with nothing of others in it."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


def test_the_temporary_files_are_gone_when_the_target_has_all(directory: Path) -> None:
    target, seen = Pipe(), []
    rows = ([number] for number in range(10) if not seen.append(len(list(directory.iterdir()))))
    save_workbook(target, [Sheet("x", [SheetColumn("x")], rows)])
    assert target.length > 1_000
    assert (max(seen), list(directory.iterdir())) == (1, [])


def test_a_file_that_is_cut_off_is_none(directory: Path) -> None:
    def rows() -> Iterator[list[Value]]:
        yield [1]
        raise RuntimeError("the database is gone")

    content = io.BytesIO()
    with pytest.raises(RuntimeError):
        save_workbook(content, [Sheet("w", (), ()), Sheet("x", [SheetColumn("x")], rows())])
    with pytest.raises(ValueError, match="argument"):
        save_workbook(content, [Sheet("x", [SheetColumn("x")], [[1, 2]])])
    assert content.getvalue() == b""
    assert list(directory.iterdir()) == []


KILLED = """
import io, os, signal, sys, tempfile
tempfile.tempdir = sys.argv[1]
from apps.core.sheets.workbook import Sheet, WorkbookWriter
book = WorkbookWriter(io.BytesIO())
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_what_a_killed_process_has_left_goes_with_the_next_workbook(directory: Path) -> None:
    killed = subprocess.run([sys.executable, "-c", KILLED, str(directory)], cwd=ROOT, check=False)
    assert killed.returncode == -signal.SIGKILL
    (left_over,) = directory.iterdir()
    with WorkbookWriter(io.BytesIO()):
        (written,) = set(directory.iterdir()) - {left_over}  # it is too young to be judged
        for one in (left_over, written):
            os.utime(one, (0, 0))
        saved()
        assert list(directory.iterdir()) == [written]


def test_a_target_that_takes_nothing_says_why(directory: Path) -> None:
    class Broken(Pipe):
        def write(self, data: Any) -> int:
            raise BrokenPipeError(errno.EPIPE, "gone")

    with pytest.raises(BrokenPipeError):
        save_workbook(Broken(), [])
    assert list(directory.iterdir()) == []


@pytest.mark.parametrize("rows", [1, 20_000], ids=["when it is put together", "among the rows"])
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # files that XlsxWriter leaves
def test_a_lack_of_space_is_told_as_the_system_tells_it(directory: Path, rows: int) -> None:
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    content = io.BytesIO()
    resource.setrlimit(resource.RLIMIT_FSIZE, (2_000, limits[1]))
    try:
        with pytest.raises(OSError, match="large") as caught:
            save_workbook(content, [Sheet("x", [SheetColumn("x")], [["x"]] * rows)])
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert caught.value.errno == errno.EFBIG
    assert (content.getvalue(), list(directory.iterdir())) == (b"", [])
