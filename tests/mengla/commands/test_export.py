"""`manage.py export`: the file, its place, what is told beside it, and how it ends."""

from __future__ import annotations

import io
import json
import os
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any

import openpyxl
import pytest
from django.core.management import call_command

from apps.mengla.choices import Action
from apps.mengla.export import records, table
from tests.mengla.commands.support import Ended, run
from tests.mengla.export.support import csv_rows_of, put, put_rankings

pytestmark = [pytest.mark.django_db, pytest.mark.mongo, pytest.mark.redis]
RANGE = ("--action", "hot", "--from", "2025-01", "--to", "2025-03")


@pytest.fixture(autouse=True)
def _stored(_tree: None) -> None:
    put_rankings(["1001", "2001"], "202501", "202502", rows=2)
    put(Action.HOT, "1001", "202503", None)


def export(*arguments: str) -> Ended:
    return run("export", *arguments)


def test_a_file_is_written_and_what_is_missing_is_told(tmp_path: Path) -> None:
    path = tmp_path / "hot.csv"
    path.write_text("older")
    ended = export(*RANGE, "--category", "类目1001", "2001", "--output", str(path))
    assert (ended.code, ended.out) == (0, "8 rows of 5 records.\n")
    assert "Missing: 1 (2001: 2025-03)" in ended.err and "Empty: 1 (1001: 2025-03)" in ended.err
    rows = csv_rows_of(path.read_bytes())
    assert [row["catId"] for row in rows] == ["1001"] * 4 + ["2001"] * 4
    assert [one.name for one in tmp_path.iterdir()] == ["hot.csv"]
    assert path.stat().st_mode & 0o444


def test_the_ending_names_the_format_unless_there_is_an_option(tmp_path: Path) -> None:
    book = tmp_path / "hot.xlsx"
    assert export(*RANGE, "--category", "1001", "--output", str(book)).code == 0
    assert openpyxl.load_workbook(book).sheetnames == ["hot", "Missing", "About"]
    other = tmp_path / "rows.txt"
    assert export(*RANGE, "--category", "1001", "--output", str(other)).code == 0
    assert json.loads(other.read_text().splitlines()[-1])["end"] is True
    assert export(*RANGE, "--category", "1001", "--format", "csv", "--output", str(other)).code == 0
    assert len(csv_rows_of(other.read_bytes())) == 4


@pytest.mark.parametrize("form", ["csv", "xlsx"])
def test_it_shows_how_far_it_is_while_it_reads(tmp_path: Path, form: str) -> None:
    ended = export(*RANGE, "--category", "1001", "--output", str(tmp_path / f"hot.{form}"))
    assert ended.err.splitlines()[:2] == ["Export: 0/3  0 rows", "Export: 3/3  4 rows"]


def test_the_result_as_json(tmp_path: Path) -> None:
    path = tmp_path / "hot.ndjson"
    result = export(*RANGE, "--category", "1001", "2001", "--output", str(path), "--json").result
    assert result["missing"] == [{"catId": "2001", "periods": ["2025-03"]}]
    assert (result["rows"], result["records"], result["output"], result["format"]) == (
        8,
        5,
        str(path),
        "ndjson",
    )


def test_strict_ends_with_1_when_something_is_missing(tmp_path: Path) -> None:
    path = str(tmp_path / "hot.csv")
    assert export(*RANGE, "--category", "1001", "--output", path, "--strict").code == 0  # only empty
    assert export(*RANGE, "--category", "2001", "--output", path, "--strict").code == 1


def export_to(descriptor: int, *arguments: str) -> tuple[int, str]:
    """Run the command with this file as its standard output; returns its exit code and what it told."""
    code = 0
    out, err = os.fdopen(os.dup(descriptor), "w"), io.StringIO()
    with out, redirect_stdout(out), redirect_stderr(err):
        try:
            call_command("export", *RANGE, *arguments)
        except SystemExit as ended:
            code = int(ended.code or 0)
    return code, err.getvalue()


@pytest.mark.parametrize("form", ["ndjson", "xlsx"])
def test_without_a_file_it_is_on_standard_output_and_nothing_else(form: str, tmp_path: Path) -> None:
    path = tmp_path / f"out.{form}"
    with path.open("wb") as file:
        code, told = export_to(file.fileno(), "--category", "2001", "--format", form)
    assert code == 0
    assert "4 rows of 2 records." in told and "Missing: 1" in told
    if form == "ndjson":
        lines = [json.loads(line) for line in path.read_text().splitlines()]
        assert len(lines) == 5 and lines[-1]["end"] is True
    else:
        assert "hot" in openpyxl.load_workbook(path).sheetnames


def test_a_reader_of_the_pipe_that_ends_early() -> None:
    reading, writing = os.pipe()
    os.close(reading)
    code, told = export_to(writing, "--category", "2001")
    os.close(writing)
    assert code == 1
    assert "could not be written (Broken pipe)" in told


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("--action", "cold"), "cold"),
        (("--category", "nothing"), "nothing"),
        (("--category", "1001", "类目1001"), "twice"),
        (("--from", "2025-04"), "to"),
        (("--to", "2099-01"), "has not begun"),
        (("--format", "json"), "json"),
        (("--output", "/nowhere/at/all.csv"), "cannot be written"),
        (("--output", "/dev/null"), "is not a file"),
        (("--output", "/tmp"), "is not a file"),
        (("--json",), "--output"),
    ],
)
def test_wrong_arguments_end_with_2(arguments: tuple[str, ...], told: str) -> None:
    given = dict(zip(RANGE[::2], RANGE[1::2], strict=True))
    if arguments[0] in given:
        given[arguments[0]] = arguments[1]
        arguments = ()
    ended = export(*(one for pair in given.items() for one in pair), *arguments)
    assert ended.code == 2
    assert told in ended.err + ended.out


def test_an_export_that_fails_leaves_the_older_file(tmp_path: Path, monkeypatch: Any) -> None:
    path = tmp_path / "hot.csv"
    path.write_text("older")
    monkeypatch.setattr(table, "MAX_ROWS", 3)
    ended = export(*RANGE, "--category", "1001", "--output", str(path))
    assert ended.code == 2 and "has 4 rows" in ended.err
    monkeypatch.undo()

    def fail(*_args: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(records, "decode", fail)
    ended = export(*RANGE, "--category", "1001", "--output", str(path))
    assert (ended.code, path.read_text()) == (1, "older")
    assert "No space left on device" in ended.err
    assert [one.name for one in tmp_path.iterdir()] == ["hot.csv"]
