from __future__ import annotations

from collections import Counter
from dataclasses import replace
from datetime import datetime
from typing import Any

import pytest

from apps.core.errors import InvalidInput
from apps.core.periods import Period, PeriodError, parse_period
from apps.core.storage.mongo import collection_of
from apps.mengla.choices import Action
from apps.mengla.models import Collection, Record
from apps.mengla.monitoring import cell_collections
from apps.mengla.monitoring import coverage as service
from apps.mengla.monitoring.cell_collections import last_collections
from apps.mengla.monitoring.coverage import Cell, CellState, Coverage, Mark, Totals, coverage
from apps.mengla.runs.collect import Selection, fill_plan
from apps.mengla.runs.planning import preview_plan
from tests.factories.categories import Node, make_tree, store_tree
from tests.mengla.support import (
    change_records,
    claim,
    enqueue,
    fail,
    hot,
    make_stale,
    store,
    store_empty,
    trend,
)

pytestmark = [pytest.mark.django_db, pytest.mark.mongo, pytest.mark.redis]

PRESENT = Cell(CellState.PRESENT, is_gap=False)
STALE = Cell(CellState.PRESENT, is_stale=True, is_gap=False)
EMPTY = Cell(CellState.EMPTY, is_gap=False)
MISSING = Cell()
FAILED = Cell(is_failed=True)
QUEUED = Cell(is_queued=True)
IN_FLIGHT = Cell(is_dispatched=True)


@pytest.fixture(autouse=True)
def _tree(sample_tree: list[Node]) -> None:
    """Level 1: 1000 and 2000; below them 1001, 1002, 2001 and 2002."""


def cover(start: str, end: str, *actions: Action, cat_ids: tuple[str, ...] = ("1001",)) -> Coverage:
    selection = Selection(cat_ids=cat_ids, actions=actions)
    return coverage(start=parse_period(start), end=parse_period(end), selection=selection)


def row(found: Coverage, action: Action = Action.HOT, cat_id: str = "1001") -> list[Cell]:
    return next(cells for a, c, cells in found.rows() if (a, c) == (action, cat_id))


def test_every_state_of_a_cell() -> None:
    store(hot("202501"))
    store(hot("202502"))
    make_stale(hot("202502"))
    store_empty(hot("202503"))
    store(hot("202506"))
    enqueue(hot("202505"))
    enqueue(hot("202506"))
    found = cover("202501", "202506", Action.HOT)
    assert row(found) == [
        PRESENT,
        STALE,
        EMPTY,
        MISSING,
        QUEUED,
        replace(PRESENT, is_queued=True),
    ]
    assert found.totals() == Totals(present=3, empty=1, missing=2, stale=1, in_flight=2, gaps=1, queued=2)
    assert found.totals().all == 6
    assert found.cell("hot", "1001", "202503") == EMPTY
    assert found.cell("hot", "1001", "202504") == MISSING


def test_what_waits_is_told_from_what_the_service_works_on() -> None:
    enqueue(hot("202501"))
    claim()
    enqueue(hot("202502"))
    found = cover("202501", "202502", Action.HOT)
    assert row(found) == [IN_FLIGHT, QUEUED]
    assert (found.queued_collections, found.dispatched_collections) == (1, 1)
    totals = found.totals()
    assert (totals.queued, totals.dispatched, totals.in_flight, totals.gaps) == (1, 1, 2, 0)


class TestFailed:
    """A cell has failed if its newest collection did, and nothing fresh is stored."""

    def test_a_missing_and_a_stale_one(self) -> None:
        fail(hot("202501"))
        store(hot("202502"))
        make_stale(hot("202502"))
        fail(hot("202502"))
        found = cover("202501", "202503", Action.HOT)
        assert row(found) == [FAILED, replace(STALE, is_failed=True), MISSING]
        assert [cell.mark for cell in row(found)] == [Mark.FAILED, Mark.FAILED, Mark.MISSING]
        assert found.totals() == Totals(present=1, empty=0, missing=2, stale=1, in_flight=0, gaps=2, failed=2)
        assert found.failed_periods() == {"hot": ["202501", "202502"]}

    def test_a_provisional_one_that_is_due(self) -> None:
        store(hot("202501"))
        early = datetime(2025, 1, 20)
        change_records(hot("202501"), collected_at=early, fresh_until=early)
        fail(hot("202501"))
        (cell,) = row(cover("202501", "202501", Action.HOT))
        assert (cell.is_due, cell.is_failed, cell.is_gap) == (True, True, True)

    def test_what_is_fresh_or_under_way_again_has_not(self) -> None:
        store(hot("202501"))
        fail(hot("202501"))  # such as a forced one
        fail(hot("202502"))
        enqueue(hot("202502"))
        assert row(cover("202501", "202502", Action.HOT)) == [PRESENT, QUEUED]

    def test_only_the_newest_collection_counts(self) -> None:
        fail(hot("202501"))
        store(hot("202501"))
        make_stale(hot("202501"))
        fail(hot("202502"))
        enqueue(hot("202502"))
        collection_of(Collection).update_many(
            {"active_key": {"$ne": None}}, {"$set": {"status": "CANCELLED", "active_key": None}}
        )
        assert row(cover("202501", "202502", Action.HOT)) == [STALE, MISSING]

    def test_a_trend_fails_with_each_of_its_periods(self) -> None:
        store(trend("202503", "202503"))
        fail(trend("202501", "202504"))
        store(trend("202504", "202504"))
        make_stale(trend("202504", "202504"))
        fail(trend("202506", "202506", extra={"a": 1}))
        found = cover("202501", "202506", Action.INDUSTRY_TREND)
        assert row(found, Action.INDUSTRY_TREND) == [FAILED, FAILED, PRESENT, STALE, MISSING, MISSING]


def test_what_a_fill_would_collect_is_what_it_collects() -> None:
    """The same figures count as gaps here, in the preview of a fill, and for the fill."""
    store(hot("202501"))
    store_empty(hot("202502"))
    store_empty(hot("202503"))
    store(hot("202504"))
    for month in ("202503", "202504"):
        make_stale(hot(month))
    fail(hot("202505"))
    selection = Selection(cat_ids=("1001",), actions=(Action.HOT,))
    plan = fill_plan(parse_period("202501"), parse_period("202506"), selection=selection)
    found = cover("202501", "202506", Action.HOT)
    assert found.totals().gaps == preview_plan(plan).to_collect == 3


def test_the_last_collections_of_a_cell() -> None:
    failed = fail(hot("202501"))
    stored = store(hot("202501"))
    store(hot("202501", cat_id="1002"))
    found = last_collections(hot("202501"), limit=5)
    assert [one["_id"] for one in found] == [stored["_id"], failed["_id"]]
    assert last_collections(hot("202501"), limit=1) == found[:1]
    wide, narrow = store(trend("202501", "202506")), fail(trend("202503", "202503"))
    store(trend("202504", "202504"))
    store(trend("202503", "202503", extra={"a": 1}))
    found = last_collections(trend("202503", "202503"), limit=5)
    assert [one["_id"] for one in found] == [narrow["_id"], wide["_id"]]


def test_a_trend_is_covered_point_by_point() -> None:
    store(trend("202502", "202503"))
    enqueue(trend("202503", "202505"))
    found = cover("202501", "202506", Action.INDUSTRY_TREND)
    assert row(found, Action.INDUSTRY_TREND) == [
        MISSING,
        PRESENT,
        replace(PRESENT, is_queued=True),
        QUEUED,
        QUEUED,
        MISSING,
    ]
    assert found.totals().queued == 3
    assert found.queued_collections == 1


def test_others_figures_are_not_taken_for_these() -> None:
    """Another category, period, granularity or action, and the same with a product."""
    queries = (
        hot("202501", cat_id="1002"),
        hot("202502"),
        hot("2025Q1"),
        hot("202501", product_id="7"),
        trend("202501", "202501", extra={"a": 1}),
        trend("20250101", "20250131"),
        trend("202501", "202501", cat_id="100"),
    )
    for query in queries:
        store(query)
        if query.end != parse_period("202502"):
            make_stale(query)
    for query in queries:
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
    monkeypatch.setattr(service, "_BATCH_CELLS", 50)
    monkeypatch.setattr(cell_collections, "_BATCH_TRENDS", 2)
    queries = (hot("20250101"), hot("20250331"), trend("20250215", "20250216", cat_id="2002"))
    for query in queries:
        store(query)
    for query in queries:
        enqueue(query)
    asked: Counter[str] = Counter()
    find = type(collection_of(Record)).find

    def counted(self: Any, *arguments: Any, **options: Any) -> Any:
        asked[self.name] += 1
        return find(self, *arguments, **options)

    monkeypatch.setattr(type(collection_of(Record)), "find", counted)
    cat_ids = ("1001", "1002", "2001", "2002")
    found = cover("20250101", "20250331", Action.HOT, Action.INDUSTRY_TREND, cat_ids=cat_ids)
    assert found.totals() == Totals(present=4, empty=0, missing=716, stale=0, in_flight=4, gaps=716, queued=4)
    # 720 cells by 50, half of them of best sellers; 4 categories of trends by 2, twice
    assert asked == {Record._meta.db_table: 15, Collection._meta.db_table: 8 + 4}


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
