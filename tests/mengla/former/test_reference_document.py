from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from bson import Decimal128, ObjectId
from bson.datetime_ms import DatetimeMS

from apps.mengla.former.reference_document import NothingToImport, Unreadable, read_document

NOW = datetime(2025, 7, 2, 12)
YESTERDAY = NOW - timedelta(days=1)
ROWS = [{"catName": "Шины", "monthSales": 12}]
HIGH = {"highList": {"code": 0, "data": {"list": ROWS}}}
POINTS = [{"timest": "2025-05", "monthSales": 1}, {"timest": "2025-06", "monthSales": 2}]


def document(**fields: Any) -> dict[str, Any]:
    given = {
        "_id": ObjectId(),
        "action": "high",
        "catId": "1000",
        "dateType": "MONTH",
        "timest": "2025-06",
        "data": HIGH,
        "updated_at": YESTERDAY,
    }
    return {name: value for name, value in (given | fields).items() if value is not ...}


def ids_of(**fields: Any) -> list[str]:
    return [record.id for record in read_document(document(**fields), now=NOW)]


def test_a_record_as_it_shall_stand_here() -> None:
    [record] = read_document(document(created_at=YESTERDAY - timedelta(days=3)), now=NOW)
    assert record.id == "high:1000:month:202506"
    assert record.first == {
        "action": "high",
        "cat_id": "1000",
        "granularity": "month",
        "period_key": "202506",
        "variant": "",
        "created_at": YESTERDAY - timedelta(days=3),
    }
    changes = dict(record.changes)
    assert len(changes.pop("data_hash")) == 64
    assert changes == {
        "data": {"list": ROWS},
        "is_empty": False,
        "empty_reason": "",
        "collected_at": YESTERDAY,
        "fresh_until": YESTERDAY + timedelta(days=1),
        "collect_duration_ms": None,
        "collection_id": "",
        "run_ids": [],
        "has_reader": False,
        "updated_at": YESTERDAY,
        "expired_at": YESTERDAY + timedelta(days=90),
    }


@pytest.mark.parametrize(
    ("fields", "record_id"),
    [
        ({"timest": "202506"}, "high:1000:month:202506"),
        ({"timest": 202506}, "high:1000:month:202506"),
        ({"timest": "2025-06-01"}, "high:1000:month:202506"),
        ({"timest": "2025-06-30"}, "high:1000:month:202506"),
        ({"timest": ..., "period_key": "2025-06"}, "high:1000:month:202506"),
        ({"dateType": ..., "granularity": "month"}, "high:1000:month:202506"),
        ({"dateType": ...}, "high:1000:month:202506"),
        ({"dateType": "QUARTERLY_FOR_YEAR", "timest": "2025-Q2"}, "high:1000:quarter:2025Q2"),
        ({"dateType": "quarter", "timest": "2025Q2"}, "high:1000:quarter:2025Q2"),
        ({"dateType": "YEAR", "timest": 2024}, "high:1000:year:2024"),
        ({"dateType": "DAY", "timest": "20250601"}, "high:1000:day:20250601"),
        ({"catId": 1000}, "high:1000:month:202506"),
        ({"catId": 1000.0}, "high:1000:month:202506"),
        ({"catId": ..., "cat_id": 5008.0}, "high:5008:month:202506"),
        ({"timest": 202506.0}, "high:1000:month:202506"),
        ({"dateType": "YEAR", "timest": 2024.0}, "high:1000:year:2024"),
        ({"catId": ..., "cat_id": "1000"}, "high:1000:month:202506"),
        ({"catId": ""}, "high:all:month:202506"),
        ({"catId": ...}, "high:all:month:202506"),
        ({"catId": "all"}, "high:all:month:202506"),
    ],
)
def test_the_accepted_spellings(fields: dict[str, Any], record_id: str) -> None:
    assert ids_of(**fields) == [record_id]


@pytest.mark.parametrize(
    "data",
    [
        HIGH,
        {"resultData": HIGH},
        {"data": {"resultData": HIGH}},
        {"highList": ROWS},
        {"list": ROWS},
        {"code": 0, "data": {"list": ROWS}},
        ROWS,
    ],
)
def test_the_figures_are_found_however_they_are_wrapped(data: Any) -> None:
    [record] = read_document(document(data=data), now=NOW)
    assert record.changes["data"]["list"] == ROWS


@pytest.mark.parametrize("data", [POINTS, {"data": POINTS}, {"industryTrendRange": {"data": POINTS}}])
def test_a_trend_makes_a_record_for_each_point(data: Any) -> None:
    records = read_document(document(action="industryTrendRange", data=data), now=NOW)
    assert {record.id: record.changes["data"] for record in records} == {
        "industryTrendRange:1000:month:202505": POINTS[0],
        "industryTrendRange:1000:month:202506": POINTS[1],
    }


def test_a_single_point_is_a_trend_of_one() -> None:
    assert ids_of(action="industryTrendRange", data=POINTS[0]) == ["industryTrendRange:1000:month:202505"]


def test_a_product_or_extra_parameters_make_another_record() -> None:
    plain, product, extra, none = (
        ids_of(),
        ids_of(product_id="42"),
        ids_of(extra={"a": 1}),
        ids_of(product_id="", extra={}),
    )
    assert plain == none
    assert len({*plain, *product, *extra}) == 3


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"collected_at": YESTERDAY, "updated_at": NOW}, YESTERDAY),
        ({"updated_at": ..., "created_at": YESTERDAY}, YESTERDAY),
        ({"updated_at": "2025-07-01T20:00:00+08:00"}, YESTERDAY),
        ({"updated_at": "2025-07-01T12:00:00"}, YESTERDAY),
        ({"updated_at": YESTERDAY.replace(tzinfo=UTC).timestamp()}, YESTERDAY),
        ({"updated_at": int(YESTERDAY.replace(tzinfo=UTC).timestamp() * 1000)}, YESTERDAY),
        ({"updated_at": ..., "_id": ObjectId.from_datetime(YESTERDAY)}, YESTERDAY),
    ],
)
def test_when_it_was_collected(fields: dict[str, Any], expected: datetime) -> None:
    [record] = read_document(document(**fields), now=NOW)
    assert record.collected_at == expected


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"data": None}, "empty answer"),
        ({"data": "<html>502</html>"}, "text without figures"),
        ({"data": "Bad gateway"}, "text without figures"),
        ({"data": {"highList": {"code": 0, "data": {"list": []}}}}, "empty answer"),
        ({"data": {"highList": {"code": 500, "data": None}}}, "empty answer"),
        (
            {"data": {"executionId": "1", "status": "failed", "error": "boom"}},
            "failed or unfinished execution",
        ),
        ({"data": {"status": "failed", **HIGH}}, "failed or unfinished execution"),
        ({"data": {"status": "running"}}, "failed or unfinished execution"),
        ({"updated_at": NOW - timedelta(days=90)}, "past retention"),
    ],
)
def test_what_holds_nothing_to_import(fields: dict[str, Any], reason: str) -> None:
    with pytest.raises(NothingToImport, match=f"^{reason}$"):
        read_document(document(**fields), now=NOW)


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"action": ...}, "unknown action"),
        ({"action": "HIGH"}, "unknown action"),
        ({"action": ["high"]}, "unknown action"),
        ({"catId": "x:1"}, "unreadable category"),
        ({"catId": -1}, "unreadable category"),
        ({"catId": True}, "unreadable category"),
        ({"catId": {"$gt": ""}}, "unreadable category"),
        ({"dateType": "WEEK"}, "unreadable granularity"),
        ({"dateType": 7}, "unreadable granularity"),
        ({"timest": ...}, "unreadable period"),
        ({"timest": "2025-13"}, "unreadable period"),
        ({"timest": "2025-06-15"}, "unreadable period"),
        ({"timest": "2025"}, "unreadable period"),
        ({"timest": NOW}, "unreadable period"),
        ({"dateType": ..., "timest": "June"}, "unreadable period"),
        ({"data": ...}, "no data"),
        ({"data": '{"highList": {"code": 0, "da'}, "unreadable data"),
        ({"data": {"highList": {"data": {"list": [None]}}}}, "unreadable data"),
        ({"data": {"something": 1}}, "no figures found"),
        ({"data": [{"a": Decimal128("1.5")}]}, "data cannot be stored"),
        ({"data": [{"$ref": "x"}]}, "data cannot be stored"),
        ({"action": "industryTrendRange", "data": [{"timest": "soon"}]}, "unreadable data"),
        ({"product_id": 5}, "unreadable product"),
        ({"extra": "a=1"}, "unreadable extra"),
        ({"extra": {"a": ObjectId()}}, "unreadable extra"),
        ({"updated_at": "yesterday"}, "unreadable instant"),
        ({"updated_at": True}, "unreadable instant"),
        ({"updated_at": float("nan")}, "unreadable instant"),
        ({"catId": 1000.5}, "unreadable category"),
        ({"catId": 1e300}, "unreadable category"),
        ({"catId": float("nan")}, "unreadable category"),
        ({"catId": float("inf")}, "unreadable category"),
        ({"timest": 202506.5}, "unreadable period"),
        ({"timest": float("inf")}, "unreadable period"),
        ({"updated_at": 10**18}, "unreadable instant"),
        ({"updated_at": DatetimeMS(10**17)}, "unreadable instant"),
        ({"updated_at": ..., "_id": "text"}, "unreadable instant"),
        ({"updated_at": NOW + timedelta(seconds=1)}, "instant in the future"),
    ],
)
def test_what_cannot_be_read_says_why(fields: dict[str, Any], reason: str) -> None:
    with pytest.raises(Unreadable) as caught:
        read_document(document(**fields), now=NOW)
    assert caught.value.reason == reason
    assert str(caught.value).isprintable()
