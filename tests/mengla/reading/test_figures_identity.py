"""Each query gets its own figures and never those of another one, however it is spelled."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from rest_framework.test import APIClient

from apps.mengla.queries.data_query import DataQuery
from apps.mengla.simulator.server import Simulator
from tests.conftest import bearer_client
from tests.mengla.support import (
    answer,
    begin_attempt,
    collections,
    figures_of,
    hot,
    json_text,
    points,
    ranking,
    store,
    trend,
)

pytestmark = [
    pytest.mark.django_db,
    pytest.mark.mongo,
    pytest.mark.redis,
    pytest.mark.usefixtures("sample_tree"),
]
CollectAll = Callable[[], int]
TREND = "industryTrendRange"


@pytest.fixture
def ask(reader: APIClient) -> Callable[..., Any]:
    def get(**parameters: Any) -> Any:
        return reader.get("/api/mengla/", {"primaryCatId": "1001", **parameters})

    return get


def trend_parameters(start: str, end: str, **changes: str) -> dict[str, str]:
    return {"action": TREND, "timest": end, "starRange": start, "endRange": end, **changes}


def assert_figures(response: Any, query: DataQuery) -> None:
    """Exactly the figures of this question, which the simulator makes different for every other."""
    assert response.status_code == 200, response.json()
    assert "X-MengLa-Trend-Partial" not in response.headers
    expected = figures_of(query)
    if not query.is_trend:
        expected = {**expected, "secondaryCategories": []}
    assert response.json()["data"] == expected


def test_two_ranges_asked_at_once_get_their_own_points(
    service: Simulator, collect_all: CollectAll, reader_token: str, sample_tree: Any
) -> None:
    ranges = [("2025-01", "2025-06"), ("2025-03", "2025-09"), ("2024-11", "2025-01"), ("2025-06", "2025-06")]

    def ask_together(pair: tuple[str, str]) -> Any:
        client = bearer_client(reader_token)
        return client.get("/api/mengla/", {"primaryCatId": "1001", **trend_parameters(*pair)})

    with ThreadPoolExecutor(8) as pool:
        responses = list(pool.map(ask_together, ranges * 2))
    assert {response.status_code for response in responses} == {202}
    assert len(collections()) == len(ranges)
    collect_all()
    for _ in range(2):
        for pair, response in zip(ranges, map(ask_together, ranges), strict=True):
            assert_figures(response, trend(*(bound.replace("-", "") for bound in pair)))


@pytest.mark.parametrize(
    "spellings",
    [
        [
            trend_parameters("2025-06-01", "2025-06-10"),
            trend_parameters("20250601", "20250610"),
            trend_parameters("2025-06-01", "20250610", dateType="DAY"),
        ],
        [
            trend_parameters("2025-01", "2025-06"),
            trend_parameters("202501", "202506"),
            trend_parameters("2025-01-01", "2025-06-30", dateType="month", timest="2025-06"),
            {"action": TREND, "timest": "2025-06", "starRange": "2025-01"},
        ],
        [
            {"action": "hot", "timest": "2025-Q2"},
            {"action": "hot", "timest": "2025q2", "dateType": "QUARTERLY_FOR_YEAR"},
            {"action": "hot", "timest": "2025Q2", "starRange": "2025-04-01", "endRange": "2025-06-30"},
        ],
    ],
    ids=["days", "months", "quarter"],
)
def test_spellings_of_one_question_are_one_question(
    service: Simulator, collect_all: CollectAll, ask: Callable[..., Any], spellings: list[dict[str, str]]
) -> None:
    ids = {ask(**spelling).json()["data"]["collection"]["id"] for spelling in spellings}
    assert len(ids) == 1
    assert collect_all() == 1
    answers = [ask(**spelling) for spelling in spellings]
    assert len({answer.content for answer in answers}) == 1
    assert {answer.status_code for answer in answers} == {200}


def test_a_part_of_a_stored_range_is_that_part(ask: Callable[..., Any]) -> None:
    store(trend("202501", "202512"))
    for start, end in [("2025-03", "2025-05"), ("2025-01", "2025-01"), ("2025-12", "2025-12")]:
        assert_figures(
            ask(**trend_parameters(start, end)), trend(start.replace("-", ""), end.replace("-", ""))
        )
    assert len(collections()) == 1


def test_an_overlapping_range_is_completed_with_its_own_points(
    service: Simulator, collect_all: CollectAll, ask: Callable[..., Any]
) -> None:
    store(trend("202501", "202504"))
    parameters = trend_parameters("2025-03", "2025-06")
    first = ask(**parameters)
    assert first.status_code == 200
    assert first.headers["X-MengLa-Trend-Partial"] == "4,2"
    assert [point["timest"] for point in first.json()["data"]] == ["2025-03", "2025-04"]
    assert collect_all() == 1
    assert service.stats()["recent_keys"] == [f"{TREND}:1001:MONTH:2025-05~2025-06"]
    assert_figures(ask(**parameters), trend("202503", "202506"))


def test_stored_points_of_two_days_by_their_names_alone(ask: Callable[..., Any]) -> None:
    query = trend("20250601", "20250602")
    answer(begin_attempt(query), points(p20250601=111, p20250602=222))
    for timest, sales in (("2025-06-01", 111), ("2025-06-02", 222), ("20250601", 111)):
        (point,) = ask(action=TREND, timest=timest).json()["data"]
        assert point["monthSales"] == sales


def test_days_by_their_names_alone(
    service: Simulator, collect_all: CollectAll, ask: Callable[..., Any]
) -> None:
    for timest in ("2025-06-01", "2025-06-02"):
        assert ask(action=TREND, timest=timest).status_code == 202
    collect_all()
    for timest in ("20250601", "20250602"):
        assert_figures(ask(action=TREND, timest=timest), trend(timest, timest))


@pytest.mark.parametrize(
    ("parameters", "status"),
    [
        (trend_parameters("2025-01-01", "2025-06-30", dateType="MONTH", timest="2025-06"), 202),
        (trend_parameters("2025-01-01", "2025-06-30", dateType="MONTH"), 400),
        (trend_parameters("2025-01-02", "2025-06-30", dateType="MONTH", timest="2025-06"), 400),
        (trend_parameters("2025-01-01", "2025-06-29", dateType="MONTH", timest="2025-06"), 400),
        (trend_parameters("2024-02-01", "2024-02-29", dateType="MONTH", timest="2024-02"), 202),
        (trend_parameters("2025-02-01", "2025-02-29", dateType="MONTH", timest="2025-02"), 400),
    ],
)
def test_a_month_trend_in_days_is_the_right_months_or_an_error(
    service: Simulator,
    collect_all: CollectAll,
    ask: Callable[..., Any],
    parameters: dict[str, str],
    status: int,
) -> None:
    assert ask(**parameters).status_code == status
    if status == 202:
        collect_all()
        keys = [parameters[name].replace("-", "")[:6] for name in ("starRange", "endRange")]
        assert_figures(ask(**parameters), trend(*keys))
    else:
        assert collections() == []


def test_the_same_key_for_another_product_or_with_other_parameters(
    service: Simulator, collect_all: CollectAll, ask: Callable[..., Any]
) -> None:
    variants: list[dict[str, Any]] = [
        {},
        {"product_id": "1"},
        {"product_id": "2"},
        {"extra": {"brand": "x"}},
        {"extra": {"brand": "y"}},
        {"product_id": "1", "extra": {"brand": "x"}},
    ]

    def parameters(variant: dict[str, Any]) -> dict[str, str]:
        asked = {"action": "hot", "timest": "2025-06", **variant}
        return asked | ({"extra": json_text(variant["extra"])} if "extra" in variant else {})

    for variant in variants:
        assert ask(**parameters(variant)).status_code == 202
    assert collect_all() == len(variants)
    for variant in variants * 2:
        assert_figures(ask(**parameters(variant)), hot(**variant))


def test_no_two_questions_share_an_answer(
    service: Simulator, collect_all: CollectAll, ask: Callable[..., Any], settings: Any
) -> None:
    settings.MAX_INFLIGHT_REQUESTS = 4
    service.set_knobs(concurrency=4)
    questions = [
        {"action": action, "primaryCatId": cat_id, "timest": timest}
        for action, cat_id, timest in itertools.product(
            ("high", "hot", "chance", "industryViewV2", TREND),
            ("1001", "all"),
            ("2025-06-01", "2025-06", "2025-Q2", "2025"),
        )
    ]
    for question in questions:
        ask(**question)
    assert collect_all() == len(questions)
    bodies = [ask(**question).content for question in questions]
    assert len(set(bodies)) == len(questions)


def test_a_late_answer_of_one_range_does_not_become_anothers(ask: Callable[..., Any]) -> None:
    wide, narrow = begin_attempt(trend("202501", "202506")), begin_attempt(trend("202501", "202502"))
    answer(narrow, points(p202501=1, p202502=2, p202503=3, p202506=6))
    response = ask(**trend_parameters("2025-01", "2025-06"))
    assert response.headers["X-MengLa-Trend-Partial"] == "6,2"
    answer(wide, points(**{f"p20250{month}": 10 * month for month in range(1, 7)}))
    response = ask(**trend_parameters("2025-01", "2025-06"))
    assert [point["monthSales"] for point in response.json()["data"]] == [10, 20, 30, 40, 50, 60]


def test_an_answer_for_one_category_is_not_anothers(ask: Callable[..., Any]) -> None:
    store(hot(cat_id="1001"), ranking("of 1001"))
    assert ask(action="hot", timest="2025-06", primaryCatId="1002").status_code == 202
    assert ask(action="hot", timest="2025-06", primaryCatId="all").status_code == 202
