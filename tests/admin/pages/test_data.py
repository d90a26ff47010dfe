"""The data page: figures as tables, charts and files, by the same way as readers get them."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Callable
from typing import Any
from urllib.parse import unquote

import pytest
from django.test import Client
from openpyxl import load_workbook

from apps.core.caching.tiers import clear_all, get_cache
from apps.core.periods import parse_period
from apps.core.storage.counters import STATS, read_days
from apps.mengla.choices import Action, CollectionError, Priority
from apps.mengla.queries.data_query import DataQuery
from apps.mengla.queue import jobs
from apps.mengla.words import REPLY_UNREADABLE
from tests.admin.conftest import JSON
from tests.mengla.support import (
    answer,
    claim,
    collections,
    figures_of,
    hot,
    make_stale,
    points,
    ranking,
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
PAGE = "/admin/data/"
STATE, EXPORT = f"{PAGE}state/", f"{PAGE}export/"
HOT = {"action": "hot", "category": "1001", "granularity": "month", "period": "2025-06"}
TREND = {"action": "industryTrendRange", "category": "1001", "from": "2025-01", "to": "2025-06"}


def view_query() -> DataQuery:
    """The distribution of one month."""
    period = parse_period("202506")
    return DataQuery(Action.INDUSTRY_VIEW, "1001", period, period)


def text(response: Any) -> str:
    assert response.status_code == 200, response.content[:500]
    return str(response.content.decode())


def table(page: str, name: str) -> list[list[str]]:
    """The cells of a table of the page, row by row; the first row are its heads."""
    (found,) = re.findall(rf'<table[^>]*data-table="{name}">(.*?)</table>', page, re.DOTALL)
    rows = re.findall(r"<tr>(.*?)</tr>", found, re.DOTALL)
    cells = [re.findall(r"<t[hd][^>]*>(.*?)</t[hd]>", row, re.DOTALL) for row in rows]
    return [[re.sub(r"<[^>]+>", "", cell).strip() for cell in row] for row in cells]


def own(name: str) -> str:
    """The name of a category without those of its parents."""
    return name.rpartition(">")[2]


def charts(page: str) -> Any:
    (found,) = re.findall(r'<script id="charts" type="application/json">(.*?)</script>', page)
    return json.loads(found)


# --- Tables and charts -----------------------------------------------------------------------------


def test_a_ranking(site: Client) -> None:
    store(hot())
    page = text(site.get(PAGE, HOT))
    heads, *rows = table(page, "ranking")
    wanted = figures_of(hot())["list"]
    assert heads[:5] == ["Rank", "Chinese name", "Russian name", "Sales", "Change in sales"]
    assert len(rows) == len(wanted)
    for rank, (row, figures) in enumerate(zip(rows, wanted, strict=True), start=1):
        assert row[:4] == [
            str(rank),
            own(figures["catNameCn"]),
            own(figures["catName"]),
            f"{figures['monthSales']:,}",
        ]
        arrow = "▲" if figures["monthSalesDynamics"] > 0 else "▼"
        assert f"{figures['monthGmv']:,.2f}" in row
        assert row[4].startswith(arrow) or figures["monthSalesDynamics"] == 0
    drawn = charts(page)["ranking"]
    assert drawn["titles"] == [row["catNameCn"] for row in wanted[:20]]
    assert drawn["labels"] == [own(row["catNameCn"]) for row in wanted[:20]]
    assert drawn["series"][0]["values"] == [row["monthSales"] for row in wanted[:20]]


def test_a_ranking_is_sorted_by_any_column(site: Client) -> None:
    store(hot())
    numbers = [row["monthGmv"] for row in figures_of(hot())["list"]]
    for sort, wanted in (("-monthGmv", sorted(numbers, reverse=True)), ("monthGmv", sorted(numbers))):
        page = text(site.get(PAGE, HOT | {"table": "ranking", "sort": sort}))
        heads, *rows = table(page, "ranking")
        column = [title.rstrip(" ▲▼") for title in heads].index("Turnover, ₽")
        assert [float(row[column].replace(",", "")) for row in rows] == wanted
        assert f'aria-sort="{"descending" if sort[0] == "-" else "ascending"}"' in page
    plain = table(text(site.get(PAGE, HOT)), "ranking")
    for sort in ("nothing", "x" * 5000, "", "-", "\x00"):
        assert table(text(site.get(PAGE, HOT | {"table": "ranking", "sort": sort})), "ranking") == plain


def test_the_distributions_and_the_share_of_brands(site: Client) -> None:
    store(view_query())
    page = text(site.get(PAGE, HOT | {"action": "industryViewV2"}))
    figures = figures_of(view_query())
    for name, key in (
        ("sales", "industrySalesRangeDtoList"),
        ("turnover", "industryGmvRangeDtoList"),
        ("prices", "industryPriceRangeDtoList"),
    ):
        rows = table(page, name)[1:]
        assert [row[0] for row in rows] == [_escaped(one["title"]) for one in figures[key]]
        drawn = charts(page)[name]
        assert drawn["series"][0]["values"] == [one["itemCountRate"] for one in figures[key]]
    brands = charts(page)["brands"]
    shares = sorted((one["brandGmvRate"] for one in figures["industryBrandRateDtoList"]), reverse=True)
    assert brands["series"][0]["values"] == shares
    assert {charts(page)[name]["is_percent"] for name in ("sales", "turnover", "prices", "brands")} == {True}
    assert len(table(page, "brands")) == 1 + len(figures["industryBrandRateDtoList"])


def _escaped(title: str) -> str:
    return title.replace(">", "&gt;")


def test_the_gaps_of_a_trend_are_seen(site: Client) -> None:
    store(trend("202501", "202502"), points(p202501=5, p202502=6))
    store(trend("202505", "202505"), points(p202505=9))
    page = text(site.get(PAGE, TREND))
    rows = table(page, "trend")[1:]
    assert [row[0] for row in rows] == [f"2025-{month:02}" for month in range(1, 7)]
    assert [row[1] for row in rows] == ["5", "6", "–", "–", "9", "–"]
    assert charts(page)["trend"]["series"][0]["values"] == [5, 6, None, None, 9, None]
    assert "3 of 6 periods have figures" in page


@pytest.mark.parametrize(
    ("result", "shown"),
    [
        ({"hotList": {"code": 0, "data": {"list": [{"novelty": {"a": [1]}}]}}}, "{&quot;a&quot;: [1]}"),
        ({"hotList": {"code": 0, "data": {"list": [{"catName": "x"}], "pages": {"n": 7}}}}, "Further fields"),
        ({"hotList": {"code": 0, "data": {"list": [{"monthSales": "many", "x": True}]}}}, "many"),
        (
            {"hotList": {"code": 0, "data": {"list": [{"monthSales": [1, 2]}, {"monthSales": None}]}}},
            "[1, 2]",
        ),
    ],
)
def test_unknown_shapes_are_shown_as_they_are(site: Client, result: Any, shown: str) -> None:
    store(hot(), result)
    assert shown in text(site.get(PAGE, HOT))


@pytest.mark.parametrize("data", ["text", 5, [1, 2], {"list": "x"}, {"list": []}, {}, [{"a": 1}], True, [[]]])
@pytest.mark.parametrize("action", ["hot", "industryViewV2", "industryTrendRange"])
def test_no_shape_at_all_breaks_the_tables(action: str, data: Any) -> None:
    from apps.admin.pages.data.charts import Sorted, drawings_of
    from apps.admin.pages.data.figures.options import Options
    from apps.admin.pages.data.figures.sides import Side
    from apps.admin.pages.data.form import read_asked
    from apps.mengla.monitoring.figure_tables import tables_of

    query = read_asked({"action": action, "category": "1001", "granularity": "month"}).query
    tables = tables_of(query, data)
    side = Side(query, "x", None, tables=tables)
    assert drawings_of([side, side], Options(), Sorted()) is not None
    for one in tables:
        assert all(len(row) == len(one.columns) for row in one.rows)


def test_names_are_escaped(site: Client) -> None:
    store(hot(), {"hotList": {"code": 0, "data": {"list": [{"catName": "<script>alert(1)</script>"}]}}})
    page = text(site.get(PAGE, HOT))
    assert "<script>alert(1)</script>" not in page
    assert "&lt;script&gt;alert(1)" in page


# --- Freshness -------------------------------------------------------------------------------------


def test_the_freshness_and_the_source(site: Client) -> None:
    store(hot())
    clear_all()
    for source in ("MongoDB (L3)", "memory of the web process (L1)"):
        page = text(site.get(PAGE, HOT))
        assert source in page
        assert 'cp-badge is-fresh">fresh' in page
    make_stale(hot())
    clear_all()
    assert ">stale<" in text(site.get(PAGE, HOT))
    (renewal,) = collections(active_key={"$ne": None})
    assert (renewal["priority"], renewal["requested_by"]) == (Priority.READER, "chief")


def test_it_is_counted_like_any_reader(site: Client) -> None:
    store(hot())
    clear_all()
    site.get(PAGE, HOT)
    (today,) = read_days(STATS, days=1) or []
    assert today.counts["read:hot:l3:fresh"] == 1


def test_an_empty_answer_says_why(site: Client) -> None:
    store_empty(hot())
    page = text(site.get(PAGE, HOT))
    assert "The list is empty" in page
    assert "data-table" not in page


# --- What is not there -----------------------------------------------------------------------------


def test_a_miss_is_collected_and_shown_when_it_has_come(site: Client) -> None:
    page = text(site.get(PAGE, HOT))
    (collection,) = collections()
    assert (collection["identity"], collection["requested_by"]) == ("hot:1001:month:202506", "chief")
    assert "are being collected" in page
    assert "collector/data.js" in page
    (awaited,) = re.findall(r'<script id="awaited" type="application/json">(.*?)</script>', page)
    facts = json.loads(awaited)
    assert 'http-equiv="refresh"' in page  # without JavaScript
    assert site.get(facts["state"], **JSON).json() == {
        "status": "PENDING",
        "status_name": "Queued",
        "is_final": False,
        "position": 0,
    }
    attempt = claim()
    answer(attempt, {"hotList": {"code": 0, "data": {"list": [{"catName": "arrived"}]}}})
    assert site.get(facts["state"], **JSON).json()["is_final"] is True
    assert "arrived" in text(site.get(facts["next"]))


def test_a_failure_is_told_in_the_readers_language(site: Client) -> None:
    text(site.get(PAGE, HOT))
    attempt = claim()
    jobs.fail_attempt(
        attempt["_id"],
        attempt_token=attempt["attempt_token"],
        error=CollectionError.SERVICE_ERROR,
        message=REPLY_UNREADABLE(),
        is_permanent=True,
    )
    site.defaults["HTTP_ACCEPT_LANGUAGE"] = "zh-CN"
    page = text(site.get(PAGE, HOT | {"collection": str(attempt["_id"])}))
    assert "采集服务返回错误：无法读取采集服务返回的内容。" in page


def test_a_failure_is_told_and_not_repeated_by_itself(site: Client) -> None:
    text(site.get(PAGE, HOT))
    attempt = claim()
    jobs.fail_attempt(
        attempt["_id"],
        attempt_token=attempt["attempt_token"],
        error=CollectionError.EXECUTION_FAILED,
        message="browser crashed",
        is_permanent=True,
    )
    asked = HOT | {"collection": str(attempt["_id"])}
    for _ in range(3):
        page = text(site.get(PAGE, asked))
        assert "browser crashed" in page
        assert "refresh" not in page
    assert len(collections()) == 1
    text(site.get(PAGE, HOT))  # "Collect again"
    assert len(collections()) == 2
    # Of another question it says nothing.
    assert "browser crashed" not in text(site.get(PAGE, asked | {"period": "2025-05"}))


def test_without_a_question_nothing_is_collected(site: Client) -> None:
    store(hot())
    before = len(collections())
    page = text(site.get(PAGE))
    assert "Recently stored" in page
    assert "period=202506" in page
    assert len(collections()) == before


# --- Files -----------------------------------------------------------------------------------------


def test_a_csv(site: Client) -> None:
    store(hot())
    response = site.get(EXPORT, HOT | {"format": "csv", "table": "ranking", "sort": "monthSales"})
    assert response.headers["Content-Type"] == "text/csv; charset=utf-8"
    named, own = response.headers["Content-Disposition"].split("; ")[1:]
    assert named == 'filename="mengla-hot-1001-202506-ranking.csv"'
    assert unquote(own).startswith("filename*=UTF-8''Best sellers, 类目1001")
    assert unquote(own).endswith("2025-06.csv")
    rows = list(csv.DictReader(io.StringIO(response.content.decode("utf-8-sig"))))
    wanted = sorted(figures_of(hot())["list"], key=lambda row: row["monthSales"])
    assert [int(row["Sales"]) for row in rows] == [row["monthSales"] for row in wanted]
    assert rows[0]["Chinese name"] == wanted[0]["catNameCn"]
    assert float(rows[0]["Change in sales, %"]) == wanted[0]["monthSalesDynamics"]


def test_an_xlsx(site: Client) -> None:
    store(view_query())
    response = site.get(EXPORT, HOT | {"action": "industryViewV2", "format": "xlsx"})
    book = load_workbook(io.BytesIO(response.content))
    assert book.sheetnames == ["By sales", "By turnover", "By price", "Brand share", "About"]
    figures = figures_of(view_query())["industrySalesRangeDtoList"]
    heads, *rows = book["By sales"].iter_rows()
    assert [row[1].value for row in rows] == [one["itemCount"] for one in figures]
    share = [cell.value for cell in heads].index("Share of items")
    assert [row[share].value for row in rows] == [
        pytest.approx(one["itemCountRate"] / 100) for one in figures
    ]
    assert {row[share].number_format for row in rows} == {"0.00%"}
    for sheet in book.worksheets[:-1]:
        assert (sheet.freeze_panes, sheet.auto_filter.ref) == ("A2", sheet.dimensions)
        assert all(8 <= one.width <= 60 for one in sheet.column_dimensions.values())
    assert book["About"].column_dimensions["B"].width > 20
    about = dict(book["About"].values)
    assert about["State"] == "fresh"
    assert about["Empty reason"] in (None, "")
    assert about["Category"] == "类目1000 › 类目1001 (1001)"
    assert "2025-06" in about["Figures"]


def file_of(site: Client, rows: list[dict[str, Any]], **options: str) -> list[list[str]]:
    """The lines of the CSV file of a ranking with these rows."""
    store(hot(), {"hotList": {"code": 0, "data": {"list": rows}}})
    told = site.get(EXPORT, HOT | {"format": "csv"} | options).content.decode("utf-8-sig")
    return list(csv.reader(io.StringIO(told, newline="")))


def sheet_of(site: Client) -> Any:
    return load_workbook(io.BytesIO(site.get(EXPORT, HOT | {"format": "xlsx"}).content))


def test_no_text_of_a_file_becomes_a_formula(site: Client) -> None:
    heads, cells = file_of(site, [{"catName": "=1+1", "monthSales": -5, "=2": "-12.5"}])
    assert (heads[-1], cells[heads.index("Russian name")]) == ("'=2", "'=1+1")
    assert (cells[heads.index("Sales")], cells[-1]) == ("-5", "-12.5")
    cells = [cell for row in sheet_of(site).worksheets[0].iter_rows() for cell in row]
    assert {cell.data_type for cell in cells} == {"s", "n"}
    assert [cell.quotePrefix for cell in cells if cell.value in ("=1+1", "=2")] == [True, True]


def test_a_text_of_a_file_stays_a_text_when_this_is_wanted(site: Client) -> None:
    heads, cells = file_of(site, [{"catName": "1-5", "monthSales": 5}], text="1")
    assert cells[heads.index('="Russian name"')] == '="1-5"'
    assert cells[heads.index('="Sales"')] == "5"


def test_periods_of_a_trend_stay_texts(site: Client) -> None:
    store(trend("202501", "202502"), points(p202501=5, p202502=6))
    asked = TREND | {"from": "2025-01", "to": "2025-02", "format": "csv"}
    lines = site.get(EXPORT, asked | {"text": "1"}).content.decode("utf-8-sig").splitlines()
    assert [line.split(",")[0] for line in lines[1:]] == ['"=""2025-01"""', '"=""2025-02"""']
    assert lines[0].startswith('"=""Period"""')
    lines = site.get(EXPORT, asked).content.decode("utf-8-sig").splitlines()
    assert [line.split(",")[0] for line in lines[1:]] == ["2025-01", "2025-02"]


@pytest.mark.parametrize(
    ("given", "problem"),
    [
        ({"start": "2025-06"}, "start"),
        ({"primaryCatId": "1001"}, "primaryCatId"),
        ({"action": ["hot", "high"]}, "more than once"),
        ({"text": "true"}, "Use 1, or omit this parameter."),
        ({"text": ["1", "0"]}, "more than once"),
        ({"Format": "csv"}, "Format"),
    ],
)
def test_names_and_values_that_mean_nothing_are_refused(
    site: Client, given: dict[str, Any], problem: str
) -> None:
    store(hot())
    before = len(collections())
    paths = (EXPORT,) if "text" in given else (PAGE, EXPORT, "/admin/coverage/")
    for path in paths:
        response = site.get(path, ({} if path.endswith("coverage/") else HOT) | given)
        assert response.status_code == 400, path
        assert problem in response.content.decode()
    assert len(collections()) == before


def test_a_file_has_every_column_and_row(site: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    """The page shows the first columns and rows, and says how many more there are."""
    monkeypatch.setattr("apps.admin.pages.data.views._MAX_ROWS", 20)
    row = {f"unknown{number}": number for number in range(63)} | {"long" * 30: "x"}
    heads, *lines = file_of(site, [row | {"monthSales": number} for number in range(120)])
    assert (len(heads), len(lines)) == (66, 120)  # with the rank and the sales
    assert heads[-1] == "long" * 30
    assert lines[0][heads.index("unknown62")] == "62"
    assert len(next(sheet_of(site).worksheets[0].values)) == 66
    page = text(site.get(PAGE, HOT))
    assert len(table(page, "ranking")) == 21
    assert len(table(page, "ranking")[0]) == 60
    assert "6 more columns are only in the files." in page
    assert "100 more rows are only in the files." in page


def test_a_file_has_whole_values(site: Client) -> None:
    exact, nested = 12345678901234567, {"a": ["x" * 600]}
    heads, cells = file_of(site, [{"catName": "y" * 900, "monthSales": exact, "nested": nested}])
    assert cells[heads.index("Russian name")] == "y" * 900
    assert cells[heads.index("Sales")] == str(exact)
    assert json.loads(cells[heads.index("nested")]) == nested
    values = [value for row in sheet_of(site).worksheets[0].values for value in row]
    assert "y" * 900 in values
    assert str(exact) in values  # a spreadsheet program keeps 15 digits of a number


def test_fields_of_an_unknown_shape_are_all_in_the_file(site: Client) -> None:
    store(hot(), {"hotList": {"code": 0, "data": {"list": [{"a": 1}], **{f"f{n}": n for n in range(250)}}}})
    told = site.get(EXPORT, HOT | {"format": "csv", "table": "raw"}).content.decode("utf-8-sig")
    assert len(told.splitlines()) == 251


def test_what_no_file_can_hold_is_left_out(site: Client) -> None:
    rows = [{"catName": "a\x07b\ufffe" + "x" * 40_000, "flag": True, "none": None}]
    store(hot(), {"hotList": {"code": 0, "data": {"list": rows}}})
    book = sheet_of(site)
    (cell,) = [
        cell
        for cell in next(book.worksheets[0].iter_rows(min_row=2, values_only=True))
        if str(cell)[:2] == "ab"
    ]
    assert len(cell) == 32_767
    assert dict(book["About"].values)["Cut texts"].startswith("1, to the 32767 characters")


def test_a_file_of_what_is_not_there_leads_to_the_page(site: Client) -> None:
    response = site.get(EXPORT, HOT | {"format": "csv"})
    assert response.status_code == 302
    assert response.headers["Location"].startswith(PAGE)
    answer(claim(), ranking("x"))
    store_empty(hot("202505"))
    assert site.get(EXPORT, HOT | {"period": "2025-05", "format": "csv"}).status_code == 404
    assert site.get(EXPORT, HOT | {"period": "2025-05", "format": "xlsx"}).status_code == 200


# --- Hostile input, rights, outages ----------------------------------------------------------------


@pytest.mark.parametrize(
    "given",
    [
        {"action": "nonsense"},
        {"granularity": "week", "category": "1001"},
        HOT | {"period": "2025-13"},
        HOT | {"period": "２０２５-06"},
        HOT | {"period": "9" * 9000},
        HOT | {"period": "\x00"},
        HOT | {"category": "77"},
        HOT | {"category": "$ne"},
        HOT | {"category": "\x00"},
        HOT | {"category": "1001' OR 1=1"},
        TREND | {"from": "2025-06", "to": "2025-01"},
        TREND | {"granularity": "day", "from": "2000-01-01", "to": "2099-12-31"},
        TREND | {"to": "x"},
        {"action": "industryTrendRange", "to": "2025-Q9"},
    ],
)
def test_what_cannot_be_read_is_told(site: Client, given: dict[str, str]) -> None:
    for path in (PAGE, EXPORT):
        response = site.get(path, given)
        (problem,) = re.findall(r'role="alert">([^<]+)<', response.content.decode())
        assert response.status_code == 400
        assert 5 < len(problem) < 400
    assert collections() == []


@pytest.mark.parametrize("given", [{"format": "pdf"}, {"format": "\x00"}])
def test_unknown_formats(site: Client, given: dict[str, str]) -> None:
    store(hot())
    assert site.get(EXPORT, HOT | given).status_code == 400


@pytest.mark.parametrize("value", ["", "x", "0" * 24, "\x00", "$ne", "9" * 9000])
def test_unknown_collections(site: Client, value: str) -> None:
    store(hot())
    assert site.get(STATE, {"collection": value}, **JSON).status_code == 404
    assert "data-table" in text(site.get(PAGE, HOT | {"collection": value}))


@pytest.mark.parametrize("path", [PAGE, STATE, EXPORT])
def test_who_may_see_it(client: Client, staff: Callable[..., Client], viewer: Client, path: str) -> None:
    store(hot())
    assert client.get(path, HOT).headers["Location"].startswith("/admin/login/?next=")
    assert staff("view_category").get(path, HOT).status_code == 403
    known = HOT if path == EXPORT else HOT | {"collection": str(collections()[0]["_id"])}
    assert viewer.get(path, known).status_code == 200
    assert viewer.post(path, HOT).status_code == 405


def test_redis_is_not_needed(site: Client, redis_gone: Callable[[], None]) -> None:
    store(hot())
    get_cache().clear_l1()
    redis_gone()
    assert "MongoDB (L3)" in text(site.get(PAGE, HOT))


def test_without_mongodb_it_is_an_outage_page(site: Client, mongo_gone: Callable[[], None]) -> None:
    mongo_gone()
    assert site.get(PAGE, HOT).status_code == 503


def test_all_categories_together(site: Client) -> None:
    for asked in ({"category": "all"}, {"category": ""}):
        page = text(site.get(PAGE, {"action": "hot"} | asked))
        assert '<option value="all" selected>' in page
        (collection,) = collections()
        assert (collection["cat_id"], collection["granularity"]) == ("", "month")
        assert "All categories, " in page


def test_what_is_wrong_is_told_in_the_words_of_the_form(site: Client) -> None:
    page = site.get(PAGE, TREND | {"from": "2025-06", "to": "2025-01"}).content.decode()
    assert "Trend from: Must not be after Trend to." in page
    page = site.get(PAGE, HOT | {"period": "nonsense"}).content.decode()
    assert "Period: " in page
    assert "timest" not in page
