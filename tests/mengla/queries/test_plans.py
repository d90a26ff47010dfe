"""Plans are pure: what they ask, how much, in which order, and that they survive being stored."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apps.core.periods import Granularity, Period, parse_period
from apps.mengla.choices import Action, Priority
from apps.mengla.queries.plans import ALL_ACTIONS, Plan, SkipPolicy, Span, first_of_year, years_of


def plan(start: str, end: str, *, trend_start: str | None = None, **changes: object) -> Plan:
    span = Span(parse_period(start), parse_period(end), parse_period(trend_start or start))
    options: dict[str, object] = {
        "task_id": "backfill",
        "spans": (span,),
        "cat_ids": ("1", "2"),
        "actions": ALL_ACTIONS,
        "skip": SkipPolicy.FRESH,
        "priority": Priority.BACKFILL,
        "period": f"{start}~{end}",
    }
    return Plan(**options | changes)  # type: ignore[arg-type]


def asked(given_plan: Plan) -> list[str]:
    return [query.identity for query in given_plan.queries()]


def test_a_plan_asks_every_action_of_every_category_the_newest_period_first_and_trends_last() -> None:
    two_months = plan("202505", "202506", actions=(Action.HOT, Action.INDUSTRY_TREND))
    assert asked(two_months) == [
        "hot:1:month:202506",
        "hot:2:month:202506",
        "hot:1:month:202505",
        "hot:2:month:202505",
        "industryTrendRange:1:month:202505~202506",
        "industryTrendRange:2:month:202505~202506",
    ]


def test_the_trend_of_a_scheduled_period_is_its_year_so_far() -> None:
    march = plan("20250314", "20250314", trend_start="20250101", actions=(Action.INDUSTRY_TREND,))
    assert asked(march)[0] == "industryTrendRange:1:day:20250101~20250314"


def test_trends_are_cut_at_the_turn_of_the_year() -> None:
    across = plan("202411", "202602", cat_ids=("",), actions=(Action.INDUSTRY_TREND,))
    assert asked(across) == [
        "industryTrendRange:all:month:202601~202602",
        "industryTrendRange:all:month:202501~202512",
        "industryTrendRange:all:month:202411~202412",
    ]


@pytest.mark.parametrize(
    ("period", "first"),
    [("20240229", "20240101"), ("202512", "202501"), ("2025Q4", "2025Q1"), ("2025", "2025")],
)
def test_the_first_period_of_a_year(period: str, first: str) -> None:
    assert first_of_year(parse_period(period)).key == first


@given(
    granularity=st.sampled_from(list(Granularity)),
    offset=st.integers(0, 60),
    length=st.integers(1, 60),
    cat_ids=st.lists(st.sampled_from(["", "1", "22", "333"]), min_size=1, max_size=3, unique=True),
    actions=st.lists(st.sampled_from(list(Action)), min_size=1, unique=True),
)
def test_the_count_is_the_number_of_questions_and_each_is_asked_once(
    granularity: Granularity, offset: int, length: int, cat_ids: list[str], actions: list[Action]
) -> None:
    start = first_of_year(parse_period(_first_key(granularity))).shift(offset)
    end = start.shift(min(length - 1, 2090 - start.first_day.year))
    given_plan = plan(start.key, end.key, cat_ids=tuple(cat_ids), actions=tuple(actions))
    identities = asked(given_plan)
    assert len(identities) == given_plan.count() == len(set(identities))
    run = {"task_id": "backfill", "period": given_plan.period, "parameters": given_plan.to_json()}
    assert Plan.of_run(run) == given_plan
    assert asked(Plan.of_run(run)) == identities


@given(start=st.integers(0, 900), length=st.integers(0, 900))
def test_years_tile_the_range(start: int, length: int) -> None:
    first = Period(Granularity.DAY, "20230101").shift(start)
    last = first.shift(length)
    parts = years_of(first, last)
    assert parts[0][0] == first
    assert parts[-1][1] == last
    for (_, end), (next_start, _) in itertools.pairwise(parts):
        assert end.next() == next_start
    assert all(one.first_day.year == other.first_day.year for one, other in parts)


@pytest.mark.parametrize("last", ["20991231", "209912", "2099Q4", "2099"])
def test_the_last_period_there_is_can_be_planned(last: str) -> None:
    period = parse_period(last)
    assert years_of(period, period) == [(period, period)]
    parts = years_of(period.previous(), period)
    assert (parts[0][0], parts[-1][1]) == (period.previous(), period)


def _first_key(granularity: Granularity) -> str:
    return {
        Granularity.DAY: "20200101",
        Granularity.MONTH: "202001",
        Granularity.QUARTER: "2020Q1",
        Granularity.YEAR: "2020",
    }[granularity]
