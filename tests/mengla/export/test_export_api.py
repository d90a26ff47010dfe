"""The export over HTTP: its rows, what it names as missing, its headers, and what it refuses."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any

import pytest
from rest_framework.test import APIClient

from apps.core import market_clock
from apps.core.periods import Granularity, period_of
from apps.core.storage.mongo import utc_now
from apps.mengla.choices import Action
from apps.mengla.export import spool, table
from apps.mengla.models import Collection
from tests.mengla.export.support import (
    EXPORT,
    content_of,
    csv_rows_of,
    document,
    given,
    put,
    put_all,
    put_rankings,
    rows_of,
)
from tests.mengla.support import hot, store

pytestmark = [
    pytest.mark.django_db,
    pytest.mark.mongo,
    pytest.mark.redis,
    pytest.mark.usefixtures("sample_tree"),
]
HOT = {"action": "hot", "from": "2025-01", "to": "2025-03"}
NOON = datetime(2026, 1, 2, 12, 30, 15, 250_000)


def refused(response: Any) -> dict[str, list[str]]:
    body = response.json()
    assert (response.status_code, body["error"]) == (400, "VALIDATION_ERROR"), body
    fields: dict[str, list[str]] = body["fields"]
    return fields


# --- The rows ---------------------------------------------------------------------------------------


def test_rows_come_in_the_order_of_categories_then_periods_then_ranks(reader: APIClient) -> None:
    put_rankings(["2001", "1001"], "202501", "202502", rows=2)
    rows, last = rows_of(reader, action="hot", catIds="2001,1001", start="2025-01", to="2025-02")
    assert [row["catName"] for row in rows] == [
        f"{cat_id} {period} {number}"
        for cat_id in ("2001", "1001")
        for period in ("2025-01", "2025-02")
        for number in (0, 1)
    ]
    assert [row["rank"] for row in rows] == [1, 2] * 4
    assert [row["category"] for row in rows] == ["类目2001"] * 4 + ["类目1001"] * 4
    assert last == {"end": True, "rows": 8, "records": 4, "missing": [], "empty": [], "provisional": []}


def test_a_row_has_every_field_in_a_fixed_order_and_unknown_ones_in_more(reader: APIClient) -> None:
    row = {"monthSales": 5, "monthGmv": 1.5, "saleRatio": 12.34, "novel": [1], "catNameCn": "锅"}
    put(Action.HIGH, "1001", "202501", {"list": [row], "total": 1}, collected_at=NOON)
    rows, _last = rows_of(reader, action="high", catIds="1001", start="202501", to="202501")
    assert rows[0] == {
        **{"catId": "1001", "category": "类目1001", "period": "2025-01", "provisional": False},
        **{"collected_at": "2026-01-02T12:30:15.250000Z", "rank": 1, "catNameCn": "锅", "catName": None},
        **{"monthSales": 5, "monthSalesDynamics": None, "monthSalesRating": None, "monthGmv": 1.5},
        **{"monthGmvRmb": None, "monthGmvDynamics": None, "monthGmvRating": None, "skuNum": None},
        **{"saleSkuNum": None, "saleRatio": 12.34, "brand": None, "brandGmv": None, "brandGmvRmb": None},
        **{"brandGmvRating": None, "topGmv": None, "topGmvRating": None, "topAvgPrice": None},
        **{"topAvgPriceRmb": None, "catTag": None, "catId1": None, "catId2": None, "catId3": None},
        "more": {"novel": [1]},
    }
    assert list(rows[0])[:7] == [
        *("catId", "category", "period", "provisional", "collected_at", "rank", "catNameCn")
    ]


def test_a_distribution_has_the_rows_of_all_its_views(reader: APIClient) -> None:
    data = {
        "industrySalesRangeDtoList": [{"title": "0-10", "itemCount": 3}],
        "industryBrandRateDtoList": [{"catName": "Brand", "catId": 77, "brandGmv": 9}],
        "industryPriceRangeDtoList": [{"title": "10-20", "gmvRate": 1.5}],
    }
    put(Action.INDUSTRY_VIEW, "1001", "2025Q1", data)
    rows, _last = rows_of(
        reader,
        action="industryViewV2",
        catIds="1001",
        start="2025-01-01",
        to="2025-03-31",
        dateType="quarter",
    )
    assert [(row["view"], row["title"], row["catName"], row["brandCatId"]) for row in rows] == [
        ("sales", "0-10", None, None),
        ("prices", "10-20", None, None),
        ("brands", None, "Brand", 77),
    ]
    assert [row["catId"] for row in rows] == ["1001"] * 3
    assert rows[1]["gmvRate"] == 1.5 and rows[0]["itemCount"] == 3


def test_a_list_of_an_unknown_shape_beside_others_is_a_row_of_its_own(
    reader: APIClient, monkeypatch: Any
) -> None:
    odd = ["b"]
    data = {
        "industrySalesRangeDtoList": [{"title": "a"}],
        "industryGmvRangeDtoList": odd,
        "industryPriceRangeDtoList": {"title": "c"},
        "industryBrandRateDtoList": [],
    }
    put(Action.INDUSTRY_VIEW, "1001", "202501", data)
    given = {"action": "industryViewV2", "catIds": "1001", "start": "2025-01", "to": "2025-01"}
    rows, _last = rows_of(reader, **given)
    assert [(row["view"], row["title"], row["more"]) for row in rows] == [
        ("sales", "a", None),
        ("turnover", None, {"figures": odd}),
        ("prices", None, {"figures": {"title": "c"}}),
    ]
    monkeypatch.setattr(table, "MAX_ROWS", 2)
    assert reader.get(EXPORT, {"from": given.pop("start"), **given}).status_code == 400


def test_a_trend_has_one_row_for_each_point(reader: APIClient) -> None:
    for month in (1, 2, 4):
        point = {"timest": f"2025-0{month}", "monthSales": month, "novel": "x"}
        put(Action.INDUSTRY_TREND, "1001", f"20250{month}", point)
    rows, last = rows_of(reader, action="industryTrendRange", catIds="1001", start="2025-01", to="2025-05")
    assert [(row["period"], row["monthSales"]) for row in rows] == [
        ("2025-01", 1),
        ("2025-02", 2),
        ("2025-04", 4),
    ]
    assert rows[0]["more"] == {"novel": "x"} and "timest" not in rows[0]
    assert last["missing"] == [{"catId": "1001", "periods": ["2025-03", "2025-05"]}]


@pytest.mark.parametrize("data", [{"list": "odd"}, {"rows": [1]}, [1, 2], "text", {"list": [1]}])
def test_figures_of_an_unknown_shape_are_one_row_with_all_of_them(reader: APIClient, data: Any) -> None:
    put(Action.HOT, "1001", "202501", data)
    rows, last = rows_of(reader, action="hot", catIds="1001", start="2025-01", to="2025-01")
    assert [row["more"] for row in rows] == [{"figures": data}]
    assert last["rows"] == 1


def test_what_the_service_has_answered_is_exported(reader: APIClient) -> None:
    store(hot())
    rows, last = rows_of(reader, action="hot", catIds="1001", start="2025-06", to="2025-06")
    figures = reader.get("/api/mengla/", {"action": "hot", "primaryCatId": "1001", "timest": "2025-06"})
    served = figures.json()["data"]["list"]
    assert len(rows) == len(served) == last["rows"]
    for row, one in zip(rows, served, strict=True):
        assert {name: row[name] for name in one} == one
        assert row["more"] is None


def test_all_categories_together_are_one_of_the_categories(reader: APIClient) -> None:
    put_rankings(["", "1001"], "202501", "202501", rows=1)
    rows, _last = rows_of(reader, action="hot", catIds="all,1001", start="2025-01", to="2025-01")
    assert [(row["catId"], row["category"]) for row in rows] == [
        ("all", "All categories"),
        ("1001", "类目1001"),
    ]


def test_without_categories_it_has_every_level_1_category(reader: APIClient) -> None:
    put_rankings(["1000", "2000", "1001"], "202501", "202501", rows=1)
    rows, _last = rows_of(reader, action="hot", start="2025-01", to="2025-01")
    assert [row["catId"] for row in rows] == ["1000", "2000"]


def test_figures_of_products_are_not_in_it(reader: APIClient) -> None:
    store(hot("202501", product_id="4711"))
    rows, last = rows_of(reader, action="hot", catIds="1001", start="2025-01", to="2025-01")
    assert (rows, last["missing"]) == ([], [{"catId": "1001", "periods": ["2025-01"]}])


# --- What is missing --------------------------------------------------------------------------------


def test_what_is_missing_empty_or_provisional_is_named_everywhere(reader: APIClient) -> None:
    put_rankings(["1001"], "202501", "202502", rows=1)
    put(Action.HOT, "1001", "202505", None)
    put(Action.HOT, "1001", "202507", {"list": [{"catName": "early"}]}, collected_at=datetime(2025, 7, 3))
    put(Action.HOT, "1001", "202508", {"list": [{"catName": "old"}]}, expired_at=utc_now())
    parameters = given({"action": "hot", "catIds": "1001,1002", "start": "2025-01", "to": "2025-08"})
    response = reader.get(EXPORT, parameters)
    *rows, last = [json.loads(line) for line in content_of(response).splitlines()]
    assert [row["provisional"] for row in rows] == [False, False, True]
    assert last == {
        **{"end": True, "rows": 3, "records": 4},
        "missing": [
            {"catId": "1001", "periods": ["2025-03..2025-04", "2025-06", "2025-08"]},
            {"catId": "1002", "periods": ["2025-01..2025-08"]},
        ],
        "empty": [{"catId": "1001", "periods": ["2025-05"]}],
        "provisional": [{"catId": "1001", "periods": ["2025-07"]}],
    }
    told = {name: value for name, value in response.headers.items() if name.startswith("X-MengLa")}
    assert told == {
        **{"X-MengLa-Export-Rows": "3", "X-MengLa-Export-Records": "4", "X-MengLa-Export-Missing": "12"},
        **{"X-MengLa-Export-Empty": "1", "X-MengLa-Provisional": "1"},
        "X-MengLa-Export-Missing-Periods": (
            "1001: 2025-03..2025-04, 2025-06, 2025-08; 1002: 2025-01..2025-08"
        ),
    }


def test_the_header_with_missing_periods_is_short(reader: APIClient) -> None:
    days = [f"202401{day:02}" for day in range(1, 32, 2)]
    cat_ids = ["1000", "1001", "1002", "2000", "2001", "2002"]
    months = ("01", "03", "05", "07")
    put_all(
        [
            document(Action.HOT, cat_id, f"2024{month}{day[6:]}", None)
            for cat_id in cat_ids
            for day in days
            for month in months
        ]
    )
    response = reader.get(
        EXPORT, {"action": "hot", "catIds": ",".join(cat_ids), "from": "2024-01-01", "to": "2024-12-31"}
    )
    text = response.headers["X-MengLa-Export-Missing-Periods"]
    assert 1900 < len(text) <= 2048
    assert text.endswith(",...")
    last = json.loads(content_of(response).splitlines()[-1])
    assert [one["catId"] for one in last["missing"]] == cat_ids


def test_nothing_is_collected(reader: APIClient) -> None:
    rows, last = rows_of(reader, action="hot", start="2025-01", to="2025-12")
    assert rows == [] and last["rows"] == 0
    assert not Collection.objects.exists()


# --- The response -----------------------------------------------------------------------------------


def test_csv_has_one_line_for_each_row_and_runs_nothing(reader: APIClient) -> None:
    row = {"catName": "=1+1", "catNameCn": "锅, 大\n号", "monthSales": -5, "monthGmv": 0.1, "novel": {"a": 1}}
    put(Action.HOT, "1001", "202501", {"list": [row]}, collected_at=NOON)
    response = reader.get(EXPORT, {**HOT, "catIds": "1001", "format": "csv"})
    assert response.headers["Content-Type"] == "text/csv; charset=utf-8"
    body = content_of(response)
    assert body.startswith("\ufeffcatId,category,period,provisional,collected_at,rank,".encode())
    (found,) = csv_rows_of(body)
    assert found["catName"] == "'=1+1"
    assert found["catNameCn"] == "锅, 大\n号"
    assert (found["monthSales"], found["monthGmv"], found["skuNum"]) == ("-5", "0.1", "")
    assert (found["provisional"], found["collected_at"]) == ("false", "2026-01-02T12:30:15.250000Z")
    assert json.loads(found["more"]) == {"novel": {"a": 1}}


@pytest.mark.parametrize("form", ["ndjson", "csv"])
def test_a_text_is_sent_compressed_to_who_accepts_it(reader: APIClient, form: str) -> None:
    put_rankings(["1001"], "202501", "202503", rows=50)
    parameters = {**HOT, "catIds": "1001", "format": form}
    plain = reader.get(EXPORT, parameters)
    packed = reader.get(EXPORT, parameters, HTTP_ACCEPT_ENCODING="gzip")
    assert "Content-Encoding" not in plain.headers
    assert packed.headers["Content-Encoding"] == "gzip"
    assert "Accept-Encoding" in packed.headers["Vary"] and "Accept-Encoding" in plain.headers["Vary"]
    assert int(packed.headers["Content-Length"]) < int(plain.headers["Content-Length"]) / 2
    assert content_of(packed) == content_of(plain)


def test_the_name_of_the_file_says_what_is_in_it(reader: APIClient) -> None:
    response = reader.get(EXPORT, {**HOT, "format": "csv"})
    name = 'attachment; filename="mengla-hot-month-2025-01-2025-03.csv"'
    assert response.headers["Content-Disposition"] == name
    assert response.headers["Cache-Control"] == "private, no-store"
    content_of(response)


@pytest.mark.parametrize(("form", "varies"), [("csv", True), ("ndjson", True), ("xlsx", False)])
def test_head_says_what_get_does(reader: APIClient, form: str, varies: bool) -> None:
    put_rankings(["1001"], "202501", "202501", rows=1)
    asked = {"action": "hot", "from": "2025-01", "to": "2025-01", "format": form}
    head, get = reader.head(EXPORT, asked), reader.get(EXPORT, asked)
    content_of(get)
    assert head.headers["Vary"] == get.headers["Vary"]
    assert ("Accept-Encoding" in head.headers["Vary"]) is varies
    assert head.headers["Content-Disposition"] == get.headers["Content-Disposition"]


def test_head_checks_the_request_and_writes_nothing(reader: APIClient, monkeypatch: Any) -> None:
    monkeypatch.delattr(spool, "write_export")
    response = reader.head(EXPORT, HOT)
    assert response.status_code == 200
    assert response.headers["Content-Type"] == "application/x-ndjson"
    assert reader.head(EXPORT, {**HOT, "to": "x"}).status_code == 400


def test_the_log_says_how_much_was_sent(reader: APIClient, written_log: Any) -> None:
    put_rankings(["1001"], "202501", "202503", rows=2)
    response = reader.get(EXPORT, HOT | {"catIds": "1001"}, HTTP_X_REQUEST_ID="an-export")
    body = content_of(response)
    (line,) = [one for one in written_log() if one["event"] == "export_sent"]
    assert (line["rows"], line["bytes"], line["format"]) == (6, len(body), "ndjson")
    assert line["request_id"] == "an-export"


# --- What is refused --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"action": ""}, "action"),
        ({"action": "cold"}, "action"),
        ({"catIds": "1001,1001"}, "catIds"),
        ({"catIds": "all,all"}, "catIds"),
        ({"catIds": "1001, 1002"}, "catIds"),
        ({"catIds": "1001,"}, "catIds"),
        ({"catIds": ","}, "catIds"),
        ({"catIds": " "}, "catIds"),
        ({"catIds": "999999"}, "catIds"),
        ({"catIds": "类目"}, "catIds"),
        ({"catIds": ",".join(str(number) for number in range(1, 702))}, "catIds"),
        ({"catIds": "9" * 20_000}, "catIds"),
        ({"from": ""}, "from"),
        ({"from": "2025-13"}, "from"),
        ({"from": "2025-04"}, "from"),
        ({"from": "2025-01-02", "dateType": "month"}, "from"),
        ({"from": "1999-01"}, "from"),
        ({"from": " 2025-01"}, "from"),
        ({"to": "2025-02-27", "dateType": "month"}, "to"),
        ({"to": "2099-01"}, "to"),
        ({"to": "2025-Q1"}, "to"),
        ({"from": "2020-01-01", "to": "2025-01-01"}, "to"),
        ({"dateType": "week"}, "dateType"),
        ({"format": "json"}, "format"),
        ({"format": "CSV"}, "format"),
        ({"primaryCatId": "1001"}, "primaryCatId"),
    ],
)
def test_a_wrong_parameter_is_named(reader: APIClient, changes: dict[str, str], field: str) -> None:
    assert set(refused(reader.get(EXPORT, HOT | changes))) == {field}


def test_all_wrong_parameters_are_named_at_once(reader: APIClient) -> None:
    fields = refused(reader.get(EXPORT, {"action": "hot", "catIds": "1,1", "from": "x", "to": "y"}))
    assert set(fields) == {"catIds", "from", "to"}
    assert set(refused(reader.get(EXPORT))) == {"action", "from", "to"}


def test_a_period_that_has_not_begun_is_refused(reader: APIClient) -> None:
    current = period_of(market_clock.today(), Granularity.MONTH)
    assert "to" in refused(reader.get(EXPORT, HOT | {"to": current.next().dashed}))
    content_of(reader.get(EXPORT, {"action": "hot", "from": current.dashed, "to": current.dashed}))


def test_the_first_and_the_last_day_bound_a_range(reader: APIClient) -> None:
    put_rankings(["1001"], "202501", "202503", rows=1)
    rows, _last = rows_of(
        reader, action="hot", catIds="1001", dateType="MONTH", start="2025-01-01", to="2025-03-31"
    )
    assert [row["period"] for row in rows] == ["2025-01", "2025-02", "2025-03"]


def test_too_many_rows_are_refused_before_anything_is_read(reader: APIClient, monkeypatch: Any) -> None:
    put_rankings(["1001"], "202501", "202503", rows=3)
    put(Action.INDUSTRY_VIEW, "1001", "202501", {"industrySalesRangeDtoList": [{}] * 5, "other": [1]})
    monkeypatch.setattr(table, "MAX_ROWS", 8)
    monkeypatch.setattr(spool, "write_export", None)
    (message,) = refused(reader.get(EXPORT, HOT | {"catIds": "1001"}))["to"]
    assert message == (
        "The export has 9 rows, and at most 8 are allowed. Choose a shorter range or fewer categories."
    )
    monkeypatch.setattr(table, "MAX_ROWS", 4)
    view = {"action": "industryViewV2", "catIds": "1001", "from": "2025-01", "to": "2025-01"}
    assert "5 rows" in refused(reader.get(EXPORT, view))["to"][0]


def test_without_a_tree_there_is_nothing_to_export(reader: APIClient) -> None:
    from apps.categories.models import Category

    Category.objects.all().delete()
    assert set(refused(reader.get(EXPORT, HOT))) == {"catIds"}


def test_it_needs_a_token(api: APIClient) -> None:
    assert api.get(EXPORT, HOT).status_code == 401
