from __future__ import annotations

import io
import json
from collections import Counter
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from apps.core.errors import InvalidInput
from apps.core.mongo import collection_of
from apps.core.periods import Period, PeriodError, parse_period
from apps.mengla.choices import Action
from apps.mengla.management.commands import coverage as command
from apps.mengla.models import Collection, Record
from apps.mengla.services import coverage as service
from apps.mengla.services.collect import Selection
from apps.mengla.services.coverage import Cell, CellState, Coverage, Totals, coverage
from tests.factories.categories import Node, make_tree, store_tree
from tests.mengla.support import claim, enqueue, hot, make_stale, store, store_empty, trend

pytestmark = [pytest.mark.django_db, pytest.mark.mongo, pytest.mark.redis]

PRESENT = Cell(CellState.PRESENT)
STALE = Cell(CellState.PRESENT, is_stale=True)
EMPTY = Cell(CellState.EMPTY)
MISSING = Cell()
AWAITED = Cell(is_in_flight=True)


@pytest.fixture(autouse=True)
def _tree(sample_tree: list[Node]) -> None:
    """Level 1: 1000 and 2000; below them 1001, 1002, 2001 and 2002."""


def cover(start: str, end: str, *actions: Action, cat_ids: tuple[str, ...] = ("1001",)) -> Coverage:
    selection = Selection(cat_ids=cat_ids, actions=actions)
    return coverage(start=parse_period(start), end=parse_period(end), selection=selection)


def row(found: Coverage, action: Action = Action.HOT, cat_id: str = "1001") -> list[Cell]:
    return next(cells for a, c, cells in found.rows() if (a, c) == (action, cat_id))


def run(*arguments: str, code: int = 0) -> tuple[str, str]:
    out, err = io.StringIO(), io.StringIO()
    try:
        call_command("coverage", *arguments, stdout=out, stderr=err)
    except SystemExit as ended:
        assert ended.code == code
    else:
        assert code == 0
    return out.getvalue(), err.getvalue()


# --- The service -----------------------------------------------------------------------------------


def test_every_state_of_a_cell() -> None:
    store(hot("202501"))
    store(hot("202502"))
    make_stale(hot("202502"))
    store_empty(hot("202503"))
    enqueue(hot("202505"))
    store(hot("202506"))
    enqueue(hot("202506"))
    found = cover("202501", "202506", Action.HOT)
    assert row(found) == [
        PRESENT,
        STALE,
        EMPTY,
        MISSING,
        AWAITED,
        Cell(CellState.PRESENT, is_in_flight=True),
    ]
    assert found.totals() == Totals(present=3, empty=1, missing=2, stale=1, in_flight=2)
    assert found.totals().all == 6
    assert found.cell("hot", "1001", "202503") == EMPTY
    assert found.cell("hot", "1001", "202504") == MISSING


def test_what_is_under_way_is_awaited_like_what_waits() -> None:
    enqueue(hot("202501"))
    claim()
    assert row(cover("202501", "202501", Action.HOT)) == [AWAITED]


def test_a_trend_is_covered_point_by_point() -> None:
    store(trend("202502", "202503"))
    enqueue(trend("202503", "202505"))
    found = cover("202501", "202506", Action.INDUSTRY_TREND)
    assert row(found, Action.INDUSTRY_TREND) == [
        MISSING,
        PRESENT,
        Cell(CellState.PRESENT, is_in_flight=True),
        AWAITED,
        AWAITED,
        MISSING,
    ]


def test_others_figures_are_not_taken_for_these() -> None:
    """Another category, period, granularity or action, and the same with a product."""
    for query in (
        hot("202501", cat_id="1002"),
        hot("202502"),
        hot("2025Q1"),
        hot("202501", product_id="7"),
        trend("202501", "202501", extra={"a": 1}),
        trend("20250101", "20250131"),
        trend("202501", "202501", cat_id="100"),
    ):
        store(query)
        if query.end != parse_period("202502"):
            make_stale(query)
        enqueue(query)
    found = cover("202501", "202501", Action.HOT, Action.INDUSTRY_TREND)
    assert row(found) == row(found, Action.INDUSTRY_TREND) == [MISSING]


def test_all_categories_taken_together_are_a_category_of_their_own() -> None:
    store(hot("202501", cat_id=""))
    store(trend("202501", "202502", cat_id=""))
    found = cover("202501", "202502", cat_ids=("", "1001"))
    assert row(found, cat_id="") == [PRESENT, MISSING]
    assert row(found, Action.INDUSTRY_TREND, "") == [PRESENT, PRESENT]
    assert row(found) == [MISSING, MISSING]


def test_by_default_every_action_and_level_1_category() -> None:
    found = coverage(start=parse_period("2024"), end=parse_period("2024"))
    assert [(action, cat_id) for action, cat_id, _cells in found.rows()] == [
        (action, cat_id) for action in Action for cat_id in ("1000", "2000")
    ]


def test_a_record_past_its_retention_is_missing() -> None:
    store(hot("202501"))
    collection_of(Record).update_many({}, [{"$set": {"expired_at": "$collected_at"}}])
    assert row(cover("202501", "202501", Action.HOT)) == [MISSING]


def test_many_cells_take_few_questions(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(service, "_BATCH_RECORDS", 50)
    monkeypatch.setattr(service, "_BATCH_TRENDS", 2)
    for query in (hot("20250101"), hot("20250331"), trend("20250215", "20250216", cat_id="2002")):
        store(query)
        enqueue(query)
    asked: Counter[str] = Counter()
    find = type(collection_of(Record)).find

    def counted(self: Any, *arguments: Any, **options: Any) -> Any:
        asked[self.name] += 1
        return find(self, *arguments, **options)

    monkeypatch.setattr(type(collection_of(Record)), "find", counted)
    cat_ids = ("1001", "1002", "2001", "2002")
    found = cover("20250101", "20250331", Action.HOT, Action.INDUSTRY_TREND, cat_ids=cat_ids)
    assert found.totals() == Totals(present=4, empty=0, missing=716, stale=0, in_flight=4)
    # 720 cells by 50; then 360 of best sellers by 50, and 4 categories of trends by 2
    assert asked == {Record._meta.db_table: 15, Collection._meta.db_table: 10}


def test_every_question_uses_an_index() -> None:
    enqueue(hot())
    enqueue(trend("202501", "202506"))
    database = collection_of(Record).database
    database.command("profile", 2)
    try:
        cover("202501", "202506")
    finally:
        database.command("profile", 0)
    plans = [
        one["planSummary"]
        for one in database["system.profile"].find({"op": "query", "ns": {"$regex": "mengla_"}})
    ]
    database["system.profile"].drop()
    assert len(plans) >= 3
    assert all(plan.startswith(("IXSCAN", "IDHACK")) for plan in plans), plans


@pytest.mark.parametrize(
    ("start", "end", "cat_ids", "error"),
    [
        ("202506", "202501", ("1001",), PeriodError),
        ("202501", "2025Q2", ("1001",), PeriodError),
        ("202501", "202501", ("1001", "77", "88"), InvalidInput),
    ],
)
def test_what_makes_no_matrix(start: str, end: str, cat_ids: tuple[str, ...], error: type[Exception]) -> None:
    with pytest.raises(error):
        cover(start, end, cat_ids=cat_ids)


def test_unknown_categories_are_named() -> None:
    with pytest.raises(InvalidInput, match=r"77, 88"):
        cover("202501", "202501", cat_ids=("77", "1001", "88"))


def test_too_many_cells_are_refused_before_anything_is_looked_up(monkeypatch: pytest.MonkeyPatch) -> None:
    store_tree(make_tree(level1_count=30, child_count=0))
    monkeypatch.setattr(service, "period_range", None)
    with pytest.raises(InvalidInput, match="5478750 cells"):
        coverage(start=Period(parse_period("20000101").granularity, "20000101"), end=parse_period("20991231"))


# --- The command -----------------------------------------------------------------------------------


def test_the_matrix(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(command, "_marks", lambda: command._MARKS)
    store(hot("202501"))
    store(hot("202502"))
    make_stale(hot("202502"))
    store_empty(hot("202503"))
    enqueue(hot("202505"))
    arguments = ("--from", "2025-01", "--to", "2025-05", "--category", "1001", "all", "--action", "hot")
    assert run(*arguments)[0].splitlines() == [
        "          22222",
        "          00000",
        "          22222",
        "          55555",
        "          00000",
        "          12345",
        "hot 1001  █▒E·+  2/5",
        "hot all   ·····  0/5",
        "",
        "█ present, ▒ present but due for renewal, E empty, · missing, + missing and being collected",
        "10 in all: 2 present, 1 empty, 7 missing; 1 due for renewal, 1 being collected.",
    ]


def test_a_terminal_without_the_signs_gets_letters(monkeypatch: pytest.MonkeyPatch) -> None:
    class Ascii(io.StringIO):
        encoding = "ascii"

    monkeypatch.setattr("sys.stdout", Ascii())
    assert command._marks() == command._PLAIN_MARKS


def test_many_periods_are_drawn_in_blocks() -> None:
    arguments = ("--from", "2025-01-01", "--to", "2025-04-30", "--category", "1001", "--action", "hot")
    lines = run(*arguments)[0].splitlines()
    assert [line.rsplit("  ", 1)[-1] for line in lines if line.startswith("hot 1001")] == ["0/62", "0/58"]


def test_the_matrix_as_json() -> None:
    store(hot("202501"))
    make_stale(hot("202501"))
    enqueue(hot("202502"))
    out, _err = run(
        *("--from", "2025-01", "--to", "2025-02", "--category", "1001", "--action", "hot", "--json")
    )
    assert json.loads(out) == {
        "granularity": "month",
        "periods": ["202501", "202502"],
        "rows": [
            {
                "action": "hot",
                "catId": "1001",
                "states": ["present", "missing"],
                "stale": [True, False],
                "in_flight": [False, True],
            }
        ],
        "totals": {"present": 1, "empty": 0, "missing": 1, "stale": 1, "in_flight": 1},
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
    assert json.loads(run(*given, "--json")[0])["periods"] == periods


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
    try:
        out, err = run(*given, code=2)
    except CommandError:  # argparse itself refuses, which is exit code 2 on the command line
        return
    assert out == ""
    assert 0 < len(err) < 400


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
    with pytest.raises(CommandError):
        run(*given)
