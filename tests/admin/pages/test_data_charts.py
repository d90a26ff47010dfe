"""The charts of the data page: the measure, the rows, brands over time, and links down to categories."""

from __future__ import annotations

import re
from typing import Any

import pytest
from django.test import Client

from apps.mengla.queries.data_query import DataQuery
from tests.admin.pages.test_data import HOT, PAGE, TREND, charts, table, text, view_query
from tests.mengla.support import collections, figures_of, hot, points, store, trend

pytestmark = [
    pytest.mark.django_db,
    pytest.mark.mongo,
    pytest.mark.redis,
    pytest.mark.usefixtures("sample_tree"),
]
VIEW = HOT | {"action": "industryViewV2"}


def store_rows(rows: list[dict[str, Any]], query: DataQuery | None = None) -> None:
    """Have a ranking stored that has these rows."""
    store(query or hot(), {"hotList": {"code": 0, "data": {"list": rows}}})


def rows_of(count: int) -> list[dict[str, Any]]:
    """Rows whose turnover rises while their sales fall."""
    return [
        {"catNameCn": f"row {number}", "monthSales": 1000 - number, "monthGmv": number / 2, "saleRatio": 0.5}
        for number in range(count)
    ]


def options(page: str, name: str) -> dict[str, str]:
    """The choices of a select by their values; the key of the chosen one is ``*``, too."""
    (select,) = re.findall(rf'<select name="[a-z]+" id="{name}">(.*?)</select>', page, re.DOTALL)
    pairs = re.findall(r'<option value="([^"]*)"( selected)?>(.*?)</option>', select)
    found = {value: label for value, _, label in pairs}
    return found | {"*": "".join(value for value, chosen, _ in pairs if chosen)}


def problem(site: Client, given: dict[str, Any]) -> str:
    response = site.get(PAGE, given)
    assert response.status_code == 400
    (found,) = re.findall(r'role="alert">(.*?)</p>', response.content.decode(), re.DOTALL)
    return str(found)


def periods_of_brands() -> list[DataQuery]:
    """Twelve months of distributions, the last of which is the one that the tests look at."""
    last = view_query().start
    return [view_query().narrowed(one, one) for one in (last.shift(-ago) for ago in range(11, -1, -1))]


def store_brands(query: DataQuery, **shares: float | None) -> None:
    rows = [{"catNameCn": name, "brandGmvRate": share} for name, share in shares.items()]
    store(query, {"industryViewV2List": {"code": 0, "data": {"industryBrandRateDtoList": rows}}})


# --- The measure ----------------------------------------------------------------------------------


def test_every_numeric_measure_can_be_drawn(site: Client) -> None:
    store(hot())
    page = text(site.get(PAGE, HOT))
    measures = options(page, "measure-ranking")
    assert measures[""] == "Sales"
    assert {"monthSales", "monthGmv", "monthSalesDynamics", "saleRatio", "brandGmvRating"} <= set(measures)
    assert not {"rank", "catTag", "catId1", "catNameCn"} & set(measures)
    wanted = sorted(figures_of(hot())["list"], key=lambda row: -row["monthGmv"])[:20]
    page = text(site.get(PAGE, HOT | {"measure": "monthGmv"}))
    drawn = charts(page)["ranking"]
    assert drawn["series"][0]["values"] == [row["monthGmv"] for row in wanted]
    assert drawn["titles"] == [row["catNameCn"] for row in wanted]
    assert options(page, "measure-ranking")["*"] == "monthGmv"


@pytest.mark.parametrize(
    ("measure", "title", "sign"),
    [
        ("monthSales", "Sales, number", ""),
        ("monthGmvRmb", "Turnover, ¥", " ¥"),
        ("saleRatio", "Share of items sold, %", " %"),
        ("monthGmvDynamics", "Change in turnover, %", " %"),
    ],
)
def test_axes_have_units(site: Client, measure: str, title: str, sign: str) -> None:
    store(hot())
    drawn = charts(text(site.get(PAGE, HOT | {"measure": measure})))["ranking"]
    assert drawn["axes"] == {"y": {"title": title, "sign": sign}}
    assert drawn["series"][0]["sign"] == sign


def test_a_trend_has_an_axis_for_each_unit(site: Client) -> None:
    store(trend("202501", "202506"))
    drawn = charts(text(site.get(PAGE, TREND)))["trend"]
    assert drawn["axes"]["y"]["title"] == "Sales, number"
    assert drawn["axes"]["y2"] == {"title": "Turnover, ₽", "sign": " ₽"}
    assert [one.get("axis") for one in drawn["series"]] == [None, "y2"]
    drawn = charts(text(site.get(PAGE, TREND | {"measure": "currentDayPrice"})))["trend"]
    assert [one["name"] for one in drawn["series"]] == ["Price, ₽"]
    assert list(drawn["axes"]) == ["y"]


def test_a_sorted_trend_is_drawn_in_the_order_of_its_periods(site: Client) -> None:
    store(trend("202501", "202503"), points(p202501=5, p202502=9, p202503=1))
    asked = TREND | {"to": "2025-03", "table": "trend", "sort": "-monthSales"}
    drawn = charts(text(site.get(PAGE, asked)))["trend"]
    assert drawn["labels"] == ["2025-01", "2025-02", "2025-03"]
    assert drawn["series"][0]["values"] == [5, 9, 1]


def test_the_ranges_show_one_measure_or_all_shares(site: Client) -> None:
    store(view_query())
    page = text(site.get(PAGE, VIEW))
    assert len(charts(page)["prices"]["series"]) == 3
    assert charts(page)["prices"]["axes"]["y"] == {"title": "Share, %", "sign": " %"}
    drawn = charts(text(site.get(PAGE, VIEW | {"measure": "gmv"})))
    figures = figures_of(view_query())["industryPriceRangeDtoList"]
    assert [one["values"] for one in drawn["prices"]["series"]] == [[one["gmv"] for one in figures]]
    assert drawn["brands"]["axes"]["y"]["sign"] == " %"  # which have no such measure


def test_a_measure_that_only_the_figures_have(site: Client) -> None:
    store_rows([{"catNameCn": "a", "monthSales": 1, "novelty": 7.5}, {"catNameCn": "b", "novelty": 9}])
    page = text(site.get(PAGE, HOT | {"measure": "novelty"}))
    assert charts(page)["ranking"]["series"][0]["values"] == [9, 7.5]


@pytest.mark.parametrize("measure", ["nonsense", "catNameCn", "rank", "\x00", "x" * 9000, "<b>"])
def test_an_unknown_measure_is_told_with_those_there_are(site: Client, measure: str) -> None:
    store(hot())
    told = problem(site, HOT | {"measure": measure})
    assert told.startswith("Measure: ")
    assert "monthSales" in told or len(measure) > 500
    assert "<b>" not in told
    assert len(collections()) == 1


def test_rows_without_numbers_have_no_chart(site: Client) -> None:
    store_rows([{"catNameCn": "a", "monthSales": "many"}, {"catNameCn": "b", "monthSales": None}])
    page = text(site.get(PAGE, HOT))
    assert charts(page) == {}
    assert len(table(page, "ranking")) == 3


@pytest.mark.parametrize("value", ["Infinity", "1e999", True, [5], {"a": 1}])
def test_numbers_that_nobody_can_draw(site: Client, value: Any) -> None:
    store_rows([{"catNameCn": "a", "monthSales": 5}, {"catNameCn": "b", "monthSales": value}])
    store_rows([{"catNameCn": "a", "monthSales": 0}], hot("202505"))
    page = text(site.get(PAGE, HOT | {"compare": "previous"}))
    assert charts(page)["ranking"]["series"][0]["values"] == [5, None]
    assert [cells[1:5] for cells in table(page, "ranking-comparison")[1:]] == [
        ["5", "0", "5", "–"],
        ["–", "–", "–", "–"],
    ]


# --- The rows -------------------------------------------------------------------------------------


def test_the_chart_says_which_rows_it_shows(site: Client) -> None:
    store_rows(rows_of(57))
    for top, shown in (("", 20), ("20", 20), ("50", 50), ("all", 57)):
        page = text(site.get(PAGE, HOT | {"top": top}))
        assert f"{shown} of 57 rows, by Sales" in page
        assert len(charts(page)["ranking"]["labels"]) == shown
    assert options(page, "top-ranking")["*"] == "all"
    page = text(site.get(PAGE, HOT | {"measure": "monthGmv"}))
    assert "20 of 57 rows, by Turnover, ₽" in page
    assert charts(page)["ranking"]["labels"][0] == "row 56"


def test_bars_follow_the_table_that_is_sorted(site: Client) -> None:
    store_rows(rows_of(30))
    page = text(site.get(PAGE, HOT | {"table": "ranking", "sort": "monthGmv", "measure": "monthGmv"}))
    assert charts(page)["ranking"]["labels"][:2] == ["row 0", "row 1"]
    assert "20 of 30 rows, sorted as the table: Turnover, ₽, ascending" in page
    assert 'sort=-monthGmv"' in page


def test_few_rows_need_no_choice(site: Client) -> None:
    store_rows(rows_of(12))
    page = text(site.get(PAGE, HOT))
    assert "12 of 12 rows, by Sales" in page
    assert 'id="top-ranking"' not in page


def test_two_thousand_rows(site: Client) -> None:
    store_rows(rows_of(2000))
    page = text(site.get(PAGE, HOT | {"top": "all"}))
    assert len(charts(page)["ranking"]["labels"]) == 2000
    assert "2,000 of 2,000 rows, by Sales" in page


def test_rows_without_the_measure_come_last(site: Client) -> None:
    store_rows([{"catNameCn": "a"}, {"catNameCn": "b", "monthSales": 0}, {"catNameCn": "c", "monthSales": 2}])
    drawn = charts(text(site.get(PAGE, HOT)))["ranking"]
    assert drawn["labels"] == ["c", "b", "a"]
    assert drawn["series"][0]["values"] == [2, 0, None]


@pytest.mark.parametrize("top", ["10", "0", "-1", "ALL", "all ", "x" * 9000])
def test_another_number_of_rows_is_told(site: Client, top: str) -> None:
    store(hot())
    assert "Rows in the chart: Must be one of: 20, 50, all." in problem(site, HOT | {"top": top})


def test_all_faults_are_told_at_once(site: Client) -> None:
    given = HOT | {"top": "7", "compare": "x", "also": ["77", "88"], "brand": "a"}
    told = problem(site, given)
    for label in ("Rows in the chart:", "Compare with:", "Further categories:", "Brand:"):
        assert label in told
    assert "77, 88" in told
    assert collections() == []


# --- Names and links ------------------------------------------------------------------------------


def test_rows_lead_down_to_their_category(site: Client) -> None:
    store_rows(
        [
            {"catNameCn": "上级>甲", "catId1": 1000, "catId2": "1002", "catId3": None, "monthSales": 9},
            {"catNameCn": "乙", "catId1": "2000", "catId2": 0, "monthSales": 8},
            {"catNameCn": "丙", "catId1": 1000, "catId2": 1001, "monthSales": 7},  # is shown now
            {"catNameCn": "丁", "catId1": 1000, "catId2": 999_999, "monthSales": 6},  # foreign
            {"catNameCn": "戊", "catId1": [1], "catId2": "$ne", "catId3": True, "monthSales": 5},
        ]
    )
    page = text(site.get(PAGE, HOT))
    found = re.findall(
        r'class="cp-down" href="\?*[^"]*category=(\d+)[^"]*period=202506"[^>]*>(甲|乙|丙|丁|戊)<', page
    )
    assert found == [("1002", "甲"), ("2000", "乙")]
    assert 'title="上级&gt;甲"' in page
    row = table(page, "ranking")[1]
    assert any("(1000)" in cell for cell in row)  # the name of a level, with its id


def test_a_row_without_ids_leads_down_by_its_name(site: Client, sample_tree: list[dict[str, Any]]) -> None:
    child = next(one for one in sample_tree[1]["children"])
    store_rows([{"catNameCn": child["catNameCn"], "catName": "x", "monthSales": 1}])
    assert f"category={child['catId']}&amp;" in text(site.get(PAGE, HOT))


def test_equal_short_names_keep_their_parents(site: Client) -> None:
    names = ["厨房>锅", "户外>锅", "户外>刀"]
    store_rows([{"catNameCn": name, "monthSales": 9 - at} for at, name in enumerate(names)])
    drawn = charts(text(site.get(PAGE, HOT)))["ranking"]
    assert drawn["labels"] == ["厨房>锅", "户外>锅", "刀"]
    assert drawn["titles"] == names


def test_names_with_markup_stay_texts(site: Client) -> None:
    name = '"><script>alert(1)</script><img src=x onerror=alert(2)>'
    store_brands(view_query(), **{name: 5})
    page = text(site.get(PAGE, VIEW | {"brand": name}))
    assert "<script>alert" not in page
    assert "<img src=x" not in page
    assert charts(page)["brands"]["titles"] == [name]
    assert charts(page)["brand-periods"]["series"][0]["values"][-1] == 5


# --- Brands over time -----------------------------------------------------------------------------


def test_brands_over_twelve_periods_with_their_gaps(site: Client) -> None:
    queries = periods_of_brands()
    for at, query in enumerate(queries):
        if at not in (3, 4):
            store_brands(query, Alpha=at, **({"Beta": 50 - at} if at != 7 else {}))
    before = len(collections())
    page = text(site.get(PAGE, VIEW | {"brand": ["Alpha", "Beta"]}))
    drawn = charts(page)["brand-periods"]
    assert drawn["labels"] == [query.start.dashed for query in queries]
    alpha = [None if at in (3, 4) else at for at in range(12)]
    beta = [None if at in (3, 4, 7) else 50 - at for at in range(12)]
    assert [(one["name"], one["values"]) for one in drawn["series"]] == [("Alpha", alpha), ("Beta", beta)]
    rows = table(page, "brand-periods")
    assert rows[0] == ["Period", "Alpha", "Beta"]
    assert rows[4] == [queries[3].start.dashed, "–", "–"]
    assert rows[12] == ["2025-06", "11 %", "39 %"]
    for at in (3, 4):
        assert f"<strong>{queries[at].start.dashed}</strong> <span" in page
    assert page.count(">not stored<") == 2
    assert len(re.findall(r'name="brand" form="brand-choice" value="[^"]*"[^>]* checked', page)) == 2
    assert len(collections()) == before  # nothing is collected for it


def test_a_brand_of_an_earlier_period_counts(site: Client) -> None:
    first, *_, last = periods_of_brands()
    store_brands(first, Gone=5)
    store_brands(last, Alpha=6)
    drawn = charts(text(site.get(PAGE, VIEW | {"brand": "Gone"})))["brand-periods"]
    assert drawn["series"][0]["values"] == [5, *[None] * 11]


@pytest.mark.parametrize(
    ("brands", "told"),
    [
        (["Nobody", "Alpha", "x" * 400], "no such brand: Nobody, xxx"),
        (["alpha"], "no such brand: alpha"),
        (["\x00"], "no such brand"),
        ([str(number) for number in range(7)], "At most 6 are allowed."),
        (["x" * 9000], "too long"),
    ],
)
def test_brands_that_cannot_be_shown(site: Client, brands: list[str], told: str) -> None:
    store_brands(view_query(), Alpha=6)
    assert told in problem(site, VIEW | {"brand": brands})


def test_only_distributions_have_brands(site: Client) -> None:
    store(hot())
    assert "Only the data set “Distribution” has brands." in problem(site, HOT | {"brand": "a"})
