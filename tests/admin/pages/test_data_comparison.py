"""The data page compares figures: with other periods and further categories, from what is stored."""

from __future__ import annotations

import io
import re
from datetime import timedelta
from html import unescape
from typing import Any

import pytest
from django.test import Client
from openpyxl import load_workbook

from apps.core.caching.tiers import clear_all
from apps.core.storage.mongo import utc_now
from tests.admin.pages.test_data import HOT, PAGE, TREND, charts, table, text, view_query
from tests.admin.pages.test_data_charts import VIEW, problem, store_rows
from tests.mengla.support import (
    change_records,
    collections,
    figures_of,
    hot,
    make_stale,
    points,
    store,
    store_empty,
    trend,
)

pytestmark = [
    pytest.mark.django_db,
    pytest.mark.mongo,
    pytest.mark.redis,
    pytest.mark.usefixtures("sample_tree"),
]
PREVIOUS, YEAR = {"compare": "previous"}, {"compare": "year"}


def row(name: str, sales: Any, *ids: Any) -> dict[str, Any]:
    return {"catNameCn": name, "monthSales": sales, **{f"catId{at}": one for at, one in enumerate(ids, 1)}}


def sides(page: str) -> list[str]:
    """What the page says about each of the figures that it compares."""
    (found,) = re.findall(r"<ul[^>]*data-sides>(.*?)</ul>", page, re.DOTALL)
    items = re.findall(r"<li>(.*?)</li>", found, re.DOTALL)
    return [" ".join(re.sub(r"<[^>]+>", " ", one).split()) for one in items]


# --- Rankings -------------------------------------------------------------------------------------


def test_a_ranking_and_the_period_before(site: Client) -> None:
    store_rows([row("a", 150, 1, 2), row("b", 30, 1, 3), row("new", 7), row("zero", 5, 9)])
    store_rows(
        [row("renamed", 100, "1", "2"), row("b", 40, 1.0, 3), row("gone", 9), row("zero", 0, 9)],
        hot("202505"),
    )
    before = len(collections())
    page = text(site.get(PAGE, HOT | PREVIOUS))
    heads, *rows = table(page, "ranking-comparison")
    assert heads == ["Name", "2025-06", "2025-05", "Difference", "Change", "Compared with before"]
    assert rows == [
        ["a", "150", "100", "50", "▲ up 50 %", "–"],
        ["b", "30", "40", "-10", "▼ down 25 %", "–"],
        ["gone", "–", "9", "–", "–", "gone"],
        ["new", "7", "–", "–", "–", "new"],
        ["zero", "5", "0", "5", "–", "–"],
    ]
    assert "1 row is new. 1 row is gone." in page
    now, other = charts(page)["ranking"]["series"]
    assert (now["name"], now["values"]) == ("2025-06", [150, 30, None, 7, 5])
    assert (other["name"], other["values"], other["is_compared"]) == ("2025-05", [100, 40, 9, None, 0], True)
    assert len(table(page, "ranking")) == 5  # the table of the figures stays what it is
    assert len(collections()) == before


def test_the_year_before_with_another_measure(site: Client) -> None:
    store(hot())
    store(hot("202406"))
    page = text(site.get(PAGE, HOT | YEAR | {"measure": "monthGmv", "top": "all"}))
    assert table(page, "ranking-comparison")[0][1:3] == ["2025-06", "2024-06"]
    by_id = {one["catId3"]: one["monthGmv"] for one in figures_of(hot("202406"))["list"]}
    drawn = charts(page)["ranking"]
    found = {one["catNameCn"]: one["catId3"] for one in figures_of(hot())["list"]}
    for title, value in zip(drawn["titles"], drawn["series"][1]["values"], strict=True):
        if title in found:
            assert value == by_id.get(found[title])


def test_rows_are_matched_by_ids_else_by_names(site: Client) -> None:
    """The same name with other ids is another row; equal ids are told apart by the names."""
    store_rows([row("a", 5, 1), row("x", 4, 7), row("y", 3, 7), row("plain", 2)])
    store_rows([row("a", 50, 2), row("y", 30, 7), row("x", 40, 7), row("plain", 20, 8)], hot("202505"))
    rows = {tuple(one[:3]) for one in table(text(site.get(PAGE, HOT | PREVIOUS)), "ranking-comparison")[1:]}
    assert rows == {
        ("a", "5", "–"),
        ("a", "–", "50"),
        ("x", "4", "40"),
        ("y", "3", "30"),
        ("plain", "2", "20"),
    }


def test_the_comparison_is_sorted_by_any_of_its_columns(site: Client) -> None:
    store_rows([row("a", 10), row("b", 5), row("c", 1)])
    store_rows([row("a", 10), row("b", 1), row("c", 100)], hot("202505"))
    asked = HOT | PREVIOUS | {"table": "ranking-comparison", "sort": "-difference"}
    rows = table(text(site.get(PAGE, asked)), "ranking-comparison")[1:]
    assert [one[0] for one in rows] == ["b", "a", "c"]


@pytest.mark.parametrize(
    ("granularity", "period", "previous", "year"),
    [
        ("day", "2025-03-01", "2025-02-28", "2024-03-01"),
        ("day", "2024-02-29", "2024-02-28", "2023-02-28"),
        ("month", "2025-01", "2024-12", "2024-01"),
        ("quarter", "2025-Q1", "2024-Q4", "2024-Q1"),
        ("year", "2025", "2024", "2024"),
    ],
)
def test_the_other_period(site: Client, granularity: str, period: str, previous: str, year: str) -> None:
    query = hot(period.replace("-", ""))
    store(query)
    asked = HOT | {"granularity": granularity, "period": period}
    for compare, wanted in (("previous", previous), ("year", year)):
        page = text(site.get(PAGE, asked | {"compare": compare}))
        assert sides(page)[1].startswith(f"{wanted} not stored")


@pytest.mark.parametrize("compare", ["PREVIOUS", "next", "\x00", "x" * 9000])
def test_another_comparison_is_told(site: Client, compare: str) -> None:
    store(hot())
    assert "Compare with: Must be one of: previous, year." in problem(site, HOT | {"compare": compare})


def test_before_the_first_year_there_is_nothing_to_compare(site: Client) -> None:
    store(hot("200001"))
    for compare in (PREVIOUS, YEAR):
        assert "Compare with: " in problem(site, HOT | {"period": "2000-01"} | compare)


# --- What is known about the other figures ---------------------------------------------------------


def test_what_is_not_stored_can_be_collected_from_a_link(site: Client, viewer: Client) -> None:
    store(hot())
    page = text(site.get(PAGE, HOT | PREVIOUS))
    assert sides(page) == ["2025-06", "2025-05 not stored Collect and show 2025-05"]
    assert "category=1001&amp;granularity=month&amp;period=202505" in page
    assert charts(page)["ranking"]["series"][1]["values"] == [None] * 20
    assert len(collections()) == 1
    assert sides(text(viewer.get(PAGE, HOT | PREVIOUS)))[1] == "2025-05 not stored Show 2025-05"


def test_stale_provisional_and_empty_figures_are_marked(site: Client) -> None:
    store(hot())
    store(hot("202505"))
    store_empty(hot("202406"))
    make_stale(hot("202505"))
    change_records(hot(), collected_at=utc_now() - timedelta(days=900))
    clear_all()
    page = text(site.get(PAGE, HOT | PREVIOUS))
    assert "provisional" in sides(page)[0]
    assert sides(page)[1].startswith("2025-05 stale")
    assert sides(text(site.get(PAGE, HOT | YEAR)))[1].startswith("2024-06 empty")


# --- Distributions and trends ---------------------------------------------------------------------


def test_a_distribution_and_the_period_before(site: Client) -> None:
    other = view_query().narrowed(hot("202505").start, hot("202505").start)
    store(view_query())
    store(other)
    page = text(site.get(PAGE, VIEW | PREVIOUS | {"measure": "gmvRate"}))
    for name, key in (("sales", "industrySalesRangeDtoList"), ("prices", "industryPriceRangeDtoList")):
        drawn = charts(page)[name]
        for one, query in zip(drawn["series"], (view_query(), other), strict=True):
            assert one["values"] == [figures["gmvRate"] for figures in figures_of(query)[key]]
        heads = table(page, f"{name}-comparison")[0]
        assert heads == ["Range", "2025-06", "2025-05", "Difference, percentage points", "Change"]
        ranges = [figures["title"] for figures in figures_of(view_query())[key]]
        assert ranges[-1].startswith(">")  # which is no parent's name before it
        compared = table(page, f"{name}-comparison")[1:]
        assert drawn["labels"] == ranges == [unescape(one) for one, *_numbers in compared]
    assert "brands-comparison" in page


def test_a_trend_and_the_range_before_it(site: Client) -> None:
    store(trend("202501", "202503"), points(p202501=10, p202502=20, p202503=30))
    store(trend("202410", "202411"), points(p202410=8, p202411=0))
    asked = TREND | {"to": "2025-03"} | PREVIOUS
    page = text(site.get(PAGE, asked))
    assert table(page, "trend-comparison") == [
        ["Period", "2025-01 to 2025-03", "Compared period", "2024-10 to 2024-12", "Difference", "Change"],
        ["2025-01", "10", "2024-10", "8", "2", "▲ up 25 %"],
        ["2025-02", "20", "2024-11", "0", "20", "–"],
        ["2025-03", "30", "2024-12", "–", "–", "–"],
    ]
    now, other = charts(page)["trend"]["series"]
    assert (now["values"], other["values"]) == ([10, 20, 30], [8, 0, None])
    assert other["is_compared"] is True
    assert other["periods"] == ["2024-10", "2024-11", "2024-12"]
    assert "2 of 3 periods have figures" in sides(page)[1]


def test_days_are_compared_with_the_same_days_of_a_leap_year(site: Client) -> None:
    store(trend("20240228", "20240301"), points(p20240228=1, p20240229=2, p20240301=3))
    store(trend("20230228", "20230301"), points(p20230228=10, p20230301=30))
    asked = TREND | {"granularity": "day", "from": "2024-02-28", "to": "2024-03-01"} | YEAR
    rows = table(text(site.get(PAGE, asked)), "trend-comparison")[1:]
    assert [one[:4] for one in rows] == [
        ["2024-02-28", "1", "2023-02-28", "10"],
        ["2024-02-29", "2", "–", "–"],
        ["2024-03-01", "3", "2023-03-01", "30"],
    ]


# --- Further categories ---------------------------------------------------------------------------


def test_several_categories_in_one_trend(site: Client) -> None:
    for cat_id, factor in (("1001", 1), ("1002", 10)):
        store(trend("202501", "202502", cat_id=cat_id), points(p202501=factor, p202502=2 * factor))
    before = len(collections())
    asked = TREND | {"to": "2025-02", "also": ["1002", "2001", "all", "1001", "1002", ""]}
    page = text(site.get(PAGE, asked))
    drawn = charts(page)["trend"]
    assert [one["values"] for one in drawn["series"]] == [[1, 2], [10, 20], [None] * 2, [None] * 2]
    assert len({one["name"] for one in drawn["series"]}) == 4
    assert len({one["tone"] for one in drawn["series"]}) == 4
    assert sides(page)[3].startswith("All categories not stored")
    assert table(page, "trend-comparison")[1][1:] == ["1", "10", "–", "–"]
    assert len(collections()) == before


def test_the_rows_of_several_categories_are_side_by_side(site: Client) -> None:
    store_rows([row("a", 5, 1), row("both", 9, 2)])
    store_rows([row("both", 7, 2), row("c", 6, 3)], hot(cat_id="1002"))
    page = text(site.get(PAGE, HOT | {"also": "1002"}))
    drawn = charts(page)["ranking"]
    assert drawn["labels"] == ["both", "c", "a"]
    assert [one["values"] for one in drawn["series"]] == [[9, None, 5], [7, 6, None]]
    assert "3 of 3 rows" in page


def test_of_several_categories_the_first_rows_of_each_are_drawn(site: Client) -> None:
    store_rows([row(f"small {number}", number, 100 + number) for number in range(30)])
    store_rows(
        [row(f"large {number}", 1000 + number, 200 + number) for number in range(30)], hot(cat_id="1002")
    )
    page = text(site.get(PAGE, HOT | {"also": "1002"}))
    drawn = charts(page)["ranking"]
    assert drawn["labels"][:2] == ["large 29", "large 28"]
    assert [len([one for one in series["values"] if one is not None]) for series in drawn["series"]] == [
        20,
        20,
    ]
    assert "40 of 60 rows, by Sales" in page
    store_rows([row("gone", 5, 300)], hot("202505"))
    page = text(site.get(PAGE, HOT | PREVIOUS | {"also": "1002", "top": "all"}))
    assert "61 of 61 rows, by Sales" in page  # with that of the period before


def test_categories_and_a_comparison_together(site: Client) -> None:
    store_rows([row("a", 5)])
    store_rows([row("a", 4)], hot("202505"))
    store_rows([row("a", 3)], hot(cat_id="1002"))
    page = text(site.get(PAGE, HOT | PREVIOUS | {"also": "1002"}))
    heads, cells = table(page, "ranking-comparison")
    assert cells[1:5] == ["5", "3", "4", "1"]
    assert heads[3].endswith(", 2025-05")


def test_categories_can_be_named(site: Client, sample_tree: list[dict[str, Any]]) -> None:
    store(hot())
    name = sample_tree[1]["children"][0]["catNameCn"]
    assert "2001" in text(site.get(PAGE, HOT | {"also": name}))


@pytest.mark.parametrize(
    ("also", "told"),
    [
        (["77", "1002", "88"], "There is no such category: 77, 88."),
        (["$ne", "\x00"], "There is no such category"),
        (["x" * 9000], "There is no such category"),
        ([str(number) for number in range(1, 7)], "At most 5 are allowed."),
    ],
)
def test_categories_that_cannot_be_shown(site: Client, also: list[str], told: str) -> None:
    store(hot())
    assert f"Further categories: {told}" in problem(site, HOT | {"also": also})
    assert len(collections()) == 1


def test_a_comparison_is_in_the_files(site: Client) -> None:
    store_rows([row("上级>甲", 150, 1), row("b", 3, 2)])
    store_rows([row("上级>甲", 100, 1), row("b", 6, 2)], hot("202505"))
    page = text(site.get(PAGE, HOT | PREVIOUS))
    (address,) = re.findall(r'href="([^"]*table=ranking-comparison&amp;format=csv)"', page)
    lines = site.get(unescape(address)).content.decode("utf-8-sig").splitlines()
    assert lines[0] == 'Name,2025-06,2025-05,Difference,"Change, %",Compared with before'
    assert [line.split(",")[:5] for line in lines[1:]] == [
        ["上级>甲", "150", "100", "50", "50.0"],
        ["b", "3", "6", "-3", "-50.0"],
    ]
    (address,) = re.findall(r'href="([^"]*format=xlsx)"', page)
    book = load_workbook(io.BytesIO(site.get(unescape(address)).content))
    assert next(book.worksheets[1].values)[:4] == ("Name", "2025-06", "2025-05", "Difference")
    assert 'title="上级&gt;甲">甲' in page


def test_every_link_and_form_keeps_the_choices(site: Client) -> None:
    store(hot())
    page = text(site.get(PAGE, HOT | PREVIOUS | {"also": "1002", "measure": "monthGmv", "top": "50"}))
    (earlier,) = re.findall(r'rel="prev" href="([^"]*)"', page)
    assert {"measure=monthGmv", "compare=previous", "top=50", "also=1002"} <= set(
        unescape(earlier).split("&")
    )
    for name, value in (("also", "1002"), ("compare", "previous")):
        assert f'<input type="hidden" name="{name}" value="{value}">' in page
