"""`manage.py coverage`: the matrix for people and for machines, and the ranges it takes."""

from __future__ import annotations

import io

import pytest

from apps.mengla.management.commands import coverage as command
from tests.mengla.commands.support import Ended, run
from tests.mengla.support import claim, enqueue, fail, hot, make_stale, store, store_empty

pytestmark = [pytest.mark.django_db, pytest.mark.mongo, pytest.mark.redis]


def cover(*arguments: str) -> Ended:
    return run("coverage", *arguments)


def test_the_matrix(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(command, "_marks", lambda: command._MARKS)
    store(hot("202501"))
    store(hot("202502"))
    make_stale(hot("202502"))
    store_empty(hot("202503"))
    fail(hot("202504"))
    enqueue(hot("202505"))
    claim()
    enqueue(hot("202506"))
    arguments = ("--from", "2025-01", "--to", "2025-06", "--category", "1001", "all", "--action", "hot")
    assert cover(*arguments).out.splitlines() == [
        "                     222222",
        "                     000000",
        "                     222222",
        "                     555555",
        "                     000000",
        "                     123456",
        "hot 类目1001 (1001)  █▒E×»+  2/6",
        "hot all              ······  0/6",
        "",
        "█ present, ▒ present but stale, V provisional, D provisional and due, E empty, · missing, "
        "× failed, + queued, » in flight",
        "12 in total: 2 present, 1 empty, 9 missing; 1 stale, 0 provisional (0 due); "
        "1 failed, 1 queued, 1 in flight. A fill would collect 7.",
    ]


def test_a_terminal_without_the_signs_gets_letters(monkeypatch: pytest.MonkeyPatch) -> None:
    class Ascii(io.StringIO):
        encoding = "ascii"

    monkeypatch.setattr("sys.stdout", Ascii())
    assert command._marks() == command._PLAIN_MARKS


def test_many_periods_are_drawn_in_blocks() -> None:
    arguments = ("--from", "2025-01-01", "--to", "2025-04-30", "--category", "1001", "--action", "hot")
    lines = cover(*arguments).out.splitlines()
    assert [line.rsplit("  ", 1)[-1] for line in lines if line.startswith("hot 类目1001")] == ["0/62", "0/58"]


def test_the_matrix_as_json() -> None:
    store(hot("202501"))
    make_stale(hot("202501"))
    enqueue(hot("202502"))
    ended = cover("--from", "2025-01", "--to", "2025-02", "--category", "1001", "--action", "hot", "--json")
    assert (ended.code, ended.err) == (0, "")
    assert ended.result == {
        "granularity": "month",
        "periods": ["202501", "202502"],
        "rows": [
            {
                "action": "hot",
                "catId": "1001",
                "category_name": "类目1001",
                "states": ["present", "missing"],
                "stale": [True, False],
                "provisional": [False, False],
                "due": [False, False],
                "in_flight": [False, True],
                "failed": [False, False],
                "queued": [False, True],
                "dispatched": [False, False],
            }
        ],
        "totals": {
            "present": 1,
            "empty": 0,
            "missing": 1,
            "stale": 1,
            "in_flight": 1,
            "provisional": 0,
            "due": 0,
            "gaps": 0,
            "failed": 0,
            "queued": 1,
            "dispatched": 0,
        },
    }


@pytest.mark.parametrize(
    ("given", "periods"),
    [
        (("--from", "2025-01", "--to", "202503"), ["202501", "202502", "202503"]),
        (
            ("--from", "2025-01-01", "--to", "2025-03-31", "--granularity", "month"),
            ["202501", "202502", "202503"],
        ),
        (("--from", "2025-01-01", "--to", "2025-06-30", "--granularity", "QUARTER"), ["2025Q1", "2025Q2"]),
        (("--from", "2023", "--to", "2024"), ["2023", "2024"]),
        (("--from", "20250131", "--to", "2025-02-01"), ["20250131", "20250201"]),
    ],
)
def test_the_forms_of_a_range(given: tuple[str, ...], periods: list[str]) -> None:
    assert cover(*given, "--json").result["periods"] == periods


@pytest.mark.parametrize(
    "given",
    [
        ("--from", "2025-01-02", "--to", "2025-03-31", "--granularity", "month"),
        ("--from", "2025-01", "--to", "2025-03-30", "--granularity", "month"),
        ("--from", "2025-01", "--to", "2025-03-31"),
        ("--from", "2025-06", "--to", "2025-01"),
        ("--from", "1900", "--to", "2100"),
        ("--from", "день", "--to", "2025-01"),
        ("--from", "2025-01\x00", "--to", "2025-01"),
        ("--from", "-1", "--to", "2025-01"),
        ("--from", "", "--to", ""),
        ("--from", "9" * 100_000, "--to", "2025-01"),
        ("--from", "2000-01-01", "--to", "2099-12-31"),
        ("--from", "2025-01", "--to", "2025-01", "--category", "77"),
    ],
)
def test_a_range_that_is_none_is_a_bad_argument(given: tuple[str, ...]) -> None:
    ended = cover(*given)
    assert (ended.code, ended.out) == (2, "")
    assert 0 < len(ended.err.splitlines()[-1]) < 400


@pytest.mark.parametrize(
    "given",
    [
        (),
        ("--from", "2025-01"),
        ("--from", "2025-01", "--to", "2025-01", "--granularity", "week"),
        ("--from", "2025-01", "--to", "2025-01", "--category", "x" * 1000),
        ("--from", "2025-01", "--to", "2025-01", "--category", "-1"),
        ("--from", "2025-01", "--to", "2025-01", "--category", "\udcff"),
        ("--from", "2025-01", "--to", "2025-01", "--category"),
        ("--from", "2025-01", "--to", "2025-01", "--action", "HOT"),
        ("--from", "2025-01", "--to", "2025-01", "--action", "hot,high"),
    ],
)
def test_what_argparse_refuses(given: tuple[str, ...]) -> None:
    ended = cover(*given)
    assert (ended.code, ended.out) == (2, "")
    assert 0 < len(ended.err.splitlines()[-1]) < 400


def test_a_bad_range_is_told_as_json() -> None:
    ended = cover("--from", "2025-06", "--to", "2025-01", "--json")
    assert (ended.code, ended.err) == (2, "")
    assert ended.result["error"] == "VALIDATION_ERROR"
    assert ended.result["message"] == "The range starts at 2025-06, after its end 2025-01."
