"""The simulator's figures: complete, plausible, and always the same for the same query."""

from __future__ import annotations

import itertools
import subprocess
import sys
from math import isclose
from typing import Any

import pytest

from apps.core.periods import Granularity, Period, parse_period
from apps.mengla.simulator.data import empty_result, result_of, split_whole
from apps.mengla.simulator.knobs import EMPTY_KINDS, Knobs
from apps.mengla.simulator.plan import make_plan
from apps.mengla.simulator.query import ACTIONS, DATE_TYPES, RANKING_ACTIONS, parse_parameters
from apps.mengla.upstream import payloads
from tests.mengla.simulator.support import TREND

ROW_FIELDS = [
    "catNameCn",
    "catName",
    "catTag",
    "catId1",
    "catId2",
    "catId3",
    "skuNum",
    "saleSkuNum",
    "saleRatio",
    "monthSales",
    "monthSalesRating",
    "monthSalesDynamics",
    "monthGmv",
    "monthGmvRmb",
    "monthGmvRating",
    "monthGmvDynamics",
    "brand",
    "brandGmv",
    "brandGmvRmb",
    "brandGmvRating",
    "topGmv",
    "topGmvRating",
    "topAvgPrice",
    "topAvgPriceRmb",
]
RANGE_FIELDS = ["id", "title", "itemCount", "sales", "gmv", "itemCountRate", "salesRate", "gmvRate"]
BRAND_FIELDS = [
    "catId",
    "catName",
    "catNameCn",
    "brandGmv",
    "brandGmvRate",
    "brandItemCount",
    "brandItemCountRate",
    "brandSales",
    "brandSalesRate",
    "typeId",
]
POINT_FIELDS = [
    "timest",
    "salesSkuCount",
    "salesSkuRatio",
    "monthSales",
    "monthSalesRatio",
    "monthGmv",
    "monthGmvRatio",
    "currentDayPrice",
]
ONE_PERIOD_EACH = {
    Granularity.DAY: "2024-02-29",
    Granularity.MONTH: "2025-06",
    Granularity.QUARTER: "2025-Q2",
    Granularity.YEAR: "2000",
}


def parameters(
    action: str, when: str = "2025-06", *, start: str | None = None, cat_id: str = "17027494", **more: Any
) -> dict[str, Any]:
    product_id = more.pop("product_id", "")
    end = parse_period(when)
    return payloads.build_parameters(
        action=action,
        product_id=product_id,
        cat_id=cat_id,
        start=parse_period(start) if start else end,
        end=end,
        extra=more,
    )


def figures(action: str, when: str = "2025-06", **changes: Any) -> Any:
    """Return what the product reads from the simulator's result."""
    unwrapped = payloads.unwrap(action, result_of(parse_parameters(parameters(action, when, **changes))))
    assert not unwrapped.is_empty
    return unwrapped.data


@pytest.mark.parametrize("cat_id", ["", "17027494", "12345", "9" * 30])
@pytest.mark.parametrize(("action", "granularity"), list(itertools.product(ACTIONS, Granularity)))
def test_product_and_simulator_agree_on_the_protocol(
    action: str, granularity: Granularity, cat_id: str
) -> None:
    when = ONE_PERIOD_EACH[granularity]
    asked = parse_parameters(parameters(action, when, cat_id=cat_id))
    assert (asked.last, asked.granularity) == (parse_period(when), granularity)
    assert DATE_TYPES[asked.date_type] == granularity
    assert figures(action, when, cat_id=cat_id)


@pytest.mark.parametrize("action", RANKING_ACTIONS)
def test_ranking_rows_are_complete_and_add_up(action: str) -> None:
    rows = figures(action)["list"]
    assert 20 <= len(rows) <= 50
    assert len({row["catId3"] for row in rows}) == len({row["catNameCn"] for row in rows}) == len(rows)
    for row in rows:
        assert list(row) == ROW_FIELDS
        assert row["catId1"] == 17027494
        assert any("\u4e00" <= character <= "\u9fff" for character in row["catNameCn"])
        assert any("а" <= character <= "я" for character in row["catName"])
        assert 0 < row["saleSkuNum"] <= row["skuNum"]
        assert isclose(row["saleRatio"], row["saleSkuNum"] / row["skuNum"] * 100, abs_tol=0.01)
        for roubles, yuan in (
            ("monthGmv", "monthGmvRmb"),
            ("brandGmv", "brandGmvRmb"),
            ("topAvgPrice", "topAvgPriceRmb"),
        ):
            assert isclose(row[yuan], row[roubles] * 0.0911, abs_tol=0.01)
        assert 0 < row["brandGmv"] < row["monthGmv"]
        assert 0 < row["topGmv"] < row["monthGmv"]
        assert all(0 <= row[name] <= 100 for name in row if name.endswith("Rating"))
    assert sum(row["monthSalesRating"] for row in rows) < 130


def test_rankings_pick_by_their_own_measure() -> None:
    hot, chance, high = (figures(action)["list"] for action in ("hot", "chance", "high"))
    assert [row["monthSales"] for row in hot] == sorted((row["monthSales"] for row in hot), reverse=True)
    assert chance[0]["monthSalesDynamics"] == max(row["monthSalesDynamics"] for row in chance)
    assert [row["catId3"] for row in high] != [row["catId3"] for row in hot]


def test_change_is_the_change_from_the_period_before() -> None:
    june = {row["catId3"]: row for row in figures("hot", "2025-06")["list"]}
    may = {row["catId3"]: row for row in figures("hot", "2025-05")["list"]}
    both = june.keys() & may.keys()
    assert len(both) >= 10
    for cat_id in both:
        change = (june[cat_id]["monthSales"] / may[cat_id]["monthSales"] - 1) * 100
        assert isclose(june[cat_id]["monthSalesDynamics"], change, abs_tol=0.01)


def test_distribution_is_complete_and_each_rate_adds_up_to_100() -> None:
    view = figures("industryViewV2")
    assert list(view) == list(payloads.VIEW_LISTS)
    (point,) = figures("industryTrendRange")
    for name in payloads.VIEW_LISTS[:3]:
        assert [item["id"] for item in view[name]] == list(range(1, len(view[name]) + 1))
        for item in view[name]:
            assert list(item) == RANGE_FIELDS
        for rate in ("itemCountRate", "salesRate", "gmvRate"):
            assert isclose(sum(item[rate] for item in view[name]), 100)
        assert sum(item["sales"] for item in view[name]) == point["monthSales"]
        assert sum(item["itemCount"] for item in view[name]) == point["salesSkuCount"]
    for item in view[payloads.VIEW_LISTS[3]]:
        assert list(item) == BRAND_FIELDS
        assert 0 < item["brandSalesRate"] < item["brandGmvRate"] < 100


@pytest.mark.parametrize(
    ("total", "weights"), [(10, [1, 1, 1]), (0, [1, 2]), (7, [0.0, 5, 1e-9]), (10**15, [3, 1])]
)
def test_whole_is_split_without_loss(total: int, weights: list[float]) -> None:
    parts = split_whole(total, weights)
    assert sum(parts) == total
    assert all(part >= 0 for part in parts)


@pytest.mark.parametrize(
    ("start", "end", "count"),
    [
        ("2025-01", "2025-06", 6),
        ("2024-12-30", "2025-01-02", 4),
        ("2024-Q4", "2025-Q2", 3),
        ("2000", "2099", 100),
    ],
)
def test_trend_has_one_complete_point_per_period(start: str, end: str, count: int) -> None:
    points = figures("industryTrendRange", end, start=start)
    assert (points[0]["timest"], points[-1]["timest"], len(points)) == (start, end, count)
    assert len({point["timest"] for point in points}) == count
    for point in points:
        assert list(point) == POINT_FIELDS
        assert point["monthSales"] > 0
        assert isclose(point["monthGmv"], point["monthSales"] * point["currentDayPrice"], rel_tol=1e-9)
        assert 0 < point["salesSkuRatio"] <= 100


def test_overlapping_trends_agree_point_by_point() -> None:
    long = {point["timest"]: point for point in figures("industryTrendRange", "2025-12", start="2025-01")}
    for start, end in (("2025-03", "2025-05"), ("2024-06", "2025-03"), ("2025-06", "2025-06")):
        for point in figures("industryTrendRange", end, start=start):
            assert long.get(point["timest"], point) == point


def test_market_grows_and_has_seasons() -> None:
    years = figures("industryTrendRange", "2025", start="2015")
    assert years[-1]["monthSales"] > 2 * years[0]["monthSales"]
    months = [point["monthSales"] for point in figures("industryTrendRange", "2025-12", start="2025-01")]
    assert max(months) > 1.2 * min(months)


@pytest.mark.parametrize("action", ACTIONS)
def test_different_questions_have_different_figures(action: str) -> None:
    answers = [
        figures(action),
        figures(action, cat_id=""),
        figures(action, cat_id="17028733"),
        figures(action, "2025-07"),
        figures(action, "2024-06"),
        figures(action, "2025-Q2"),
        figures(action, "2025"),
        figures(action, "2025-06-30"),
        figures(action, product_id="1"),
        figures(action, product_id="2"),
        figures(action, color="red"),
        figures(action, color="blue"),
    ]
    for one, other in itertools.combinations(answers, 2):
        assert one != other
        if action == "industryTrendRange":
            assert one[0] | {"timest": ""} != other[0] | {"timest": ""}


def test_same_question_has_the_same_figures_in_every_process() -> None:
    program = (
        "import hashlib, json\n"
        "from apps.mengla.simulator.query import parse_parameters\n"
        "from apps.mengla.simulator.data import result_of\n"
        f"for p in {[parameters(action, color=['a', {'b': 1}]) for action in ACTIONS]!r}:\n"
        "    print(hashlib.sha256(json.dumps(result_of(parse_parameters(p))).encode()).hexdigest())\n"
    )
    outputs = {
        subprocess.run(
            [sys.executable, "-c", program],
            env={"PYTHONHASHSEED": seed},
            capture_output=True,
            check=True,
            text=True,
        ).stdout
        for seed in ("1", "2")
    }
    assert len(outputs) == 1


@pytest.mark.parametrize("action", ACTIONS)
def test_echo_is_only_there_when_asked_for(action: str) -> None:
    asked = parse_parameters(parameters(action, product_id="p", color="red"))
    plain, echoed = result_of(asked), result_of(asked, echo=True)
    assert "_asked" not in str(plain)
    data = payloads.unwrap(action, echoed).data
    lists: list[list[Any]]
    if action == "industryViewV2":
        assert data["_asked"]["catId"] == "17027494"
        lists = [data[name] for name in payloads.VIEW_LISTS]
    else:
        lists = [data if action == "industryTrendRange" else data["list"]]
    for item in itertools.chain(*lists):
        echo = item.pop("_asked")
        assert (echo["module"], echo["product_id"], echo["extra"]) == (action, "p", {"color": "red"})
        assert (echo["timest"], echo["dateType"]) == ("2025-06", "MONTH")


@pytest.mark.parametrize("knobs", [Knobs(flat_wrap=depth) for depth in (1, 2, 5)] + [Knobs(bare_lists=True)])
@pytest.mark.parametrize("action", ACTIONS)
def test_wrapped_and_bare_results_hold_the_same_figures(action: str, knobs: Knobs) -> None:
    asked = parse_parameters(parameters(action))
    body = payloads.orjson.loads(make_plan(knobs, 0, 1).result(asked, "e1").body)
    assert set(body) == {"executionId", "status", "resultData", "simulated"}
    assert payloads.unwrap(action, payloads.parse_webhook(body).result).data == figures(action)


@pytest.mark.parametrize("kind", [kind for kind in EMPTY_KINDS if kind != "any"])
@pytest.mark.parametrize("action", ACTIONS)
def test_every_kind_of_empty_result_is_read_as_empty(action: str, kind: str) -> None:
    asked = parse_parameters(parameters(action))
    reason = payloads.unwrap(action, empty_result(asked, kind)).empty_reason
    expected = {"missing_key": "missing_key", "code": "error_code", "null": "null_data"}.get(kind)
    by_action = {"industryViewV2": "all_lists_empty", "industryTrendRange": "no_points"}
    assert str(reason) in {expected, by_action.get(action, "empty_list")}
    if expected and not (kind == "null" and action in by_action):
        assert str(reason) == expected


def test_rates_choose_among_all_kinds() -> None:
    plans = [make_plan(Knobs(garbage_rate=0.5, empty_rate=0.5, jitter_seconds=2), 7, n) for n in range(400)]
    assert {plan.garbage_kind for plan in plans} == {None, "html", "list", "string"}
    assert {plan.empty_kind for plan in plans} == {None, "missing_key", "code", "null", "empty_list"}
    assert 150 < sum(plan.garbage_kind is None for plan in plans) < 250
    run_seconds = [plan.run_seconds for plan in plans]
    assert 0.5 <= min(run_seconds) < 0.7
    assert 2.3 < max(run_seconds) < 2.5
    assert plans[5] == make_plan(plans[5].knobs, 7, 5)
    assert plans != [make_plan(plans[0].knobs, 8, n) for n in range(400)]


def test_trend_of_the_usual_request_is_read_back_as_periods() -> None:
    asked = parse_parameters({"product_id": "", "catId": "", "dateType": "MONTH", **TREND})
    assert (asked.first, asked.last) == (
        Period(Granularity.MONTH, "202501"),
        Period(Granularity.MONTH, "202506"),
    )
