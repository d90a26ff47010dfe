"""The names that follow from a question: two questions share one only if their answers are the same."""

from __future__ import annotations

import itertools
from typing import Any

from apps.core.periods import parse_period
from apps.mengla.choices import Action
from apps.mengla.queries.data_query import DataQuery


def make(
    action: Action = Action.HOT, start: str = "202506", end: str | None = None, **changes: Any
) -> DataQuery:
    return DataQuery(
        action, changes.pop("cat_id", "1001"), parse_period(start), parse_period(end or start), **changes
    )


def trend(start: str, end: str, **changes: Any) -> DataQuery:
    return make(Action.INDUSTRY_TREND, start, end, **changes)


DIFFERENT = [
    make(),
    make(Action.HIGH),
    make(cat_id=""),
    make(cat_id="1002"),
    make(start="202507"),
    make(start="2025"),
    make(start="2025Q2"),
    make(start="20250601"),
    make(product_id="1"),
    make(product_id="2"),
    make(extra={"a": 1}),
    make(extra={"a": "1"}),
    make(extra={"product_id": "1"}),
    make(product_id="1", extra={"a": 1}),
    trend("202506", "202506"),
    trend("202501", "202506"),
    trend("202501", "202507"),
    trend("20250601", "20250630"),
    trend("202501", "202506", product_id="1"),
]


def test_different_questions_have_different_identities() -> None:
    for first, second in itertools.combinations(DIFFERENT, 2):
        assert first.identity != second.identity, (first, second)


def test_different_questions_share_no_record_but_points_of_one_trend() -> None:
    for first, second in itertools.combinations(DIFFERENT, 2):
        is_same_trend = first.is_trend and second.is_trend and first.variant == second.variant
        shared = set(first.record_ids) & set(second.record_ids)
        assert not shared or is_same_trend, (first, second)


def test_the_order_of_extra_says_nothing() -> None:
    assert make(extra={"a": 1, "b": 2}).identity == make(extra={"b": 2, "a": 1}).identity


def test_a_record_is_named_by_what_it_holds() -> None:
    assert make().record_ids == [make().identity] == ["hot:1001:month:202506"]
    assert make(cat_id="", start="2025Q2").identity == "hot:all:quarter:2025Q2"
    assert make(product_id="1").identity == f"hot:1001:month:202506:{make(product_id='1').variant}"


def test_a_trend_has_one_record_for_each_point() -> None:
    query = trend("202411", "202502")
    assert query.record_ids == [
        f"industryTrendRange:1001:month:{key}" for key in ("202411", "202412", "202501", "202502")
    ]
    assert query.period_count == 4


def test_one_write_outdates_every_range_of_a_trend_and_nothing_else() -> None:
    assert trend("202501", "202506").cache_group == trend("202504", "202509").cache_group
    groups = {query.cache_group for query in DIFFERENT}
    trends = [query for query in DIFFERENT if query.is_trend]
    assert len(groups) == len(DIFFERENT) - len(trends) + 3  # months, days, and the product's


def test_a_part_of_a_trend_is_the_same_question_otherwise() -> None:
    query = trend("202501", "202506", product_id="1", extra={"a": 1})
    part = query.narrowed(parse_period("202503"), parse_period("202504"))
    assert part.identity == f"industryTrendRange:1001:month:202503~202504:{query.variant}"
    assert set(part.record_ids) < set(query.record_ids)


def test_no_name_is_longer_than_its_field() -> None:
    longest = trend("20200101", "20250101", cat_id="9" * 16, product_id="p" * 64)
    assert len(longest.identity) <= 220
    assert max(map(len, longest.record_ids)) <= 200
