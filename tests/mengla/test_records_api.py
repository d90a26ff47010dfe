"""The list of stored records over HTTP: its order, its pages, its filters, and what it refuses."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from typing import Any

import pytest
from rest_framework.test import APIClient

from tests.mengla.support import hot, store, store_empty, trend

pytestmark = [
    pytest.mark.django_db,
    pytest.mark.mongo,
    pytest.mark.redis,
    pytest.mark.usefixtures("sample_tree"),
]
Listed = Callable[..., list[str]]
HOSTILE_CURSORS = [
    "x",
    "é",
    "%00",
    "a" * 600,
    base64.urlsafe_b64encode(b"null").decode(),
    base64.urlsafe_b64encode(b'[1,"o","nope"]').decode(),
    base64.urlsafe_b64encode(b'[1e400,"s","x"]').decode(),
    base64.urlsafe_b64encode(b'[99999999999999999999,"s","x"]').decode(),
    base64.urlsafe_b64encode(b'[{"$gt":1},"s","x"]').decode(),
    base64.urlsafe_b64encode(b"[" * 300).decode(),
]


@pytest.fixture
def listed(reader: APIClient) -> Listed:
    """Ask for one page and return its keys."""

    def get(**parameters: Any) -> list[str]:
        response = reader.get("/api/mengla/records", parameters)
        assert response.status_code == 200, response.json()
        return [one["id"] for one in response.json()["data"]["records"]]

    return get


def test_a_record_is_told_without_its_figures(reader: APIClient) -> None:
    collection = store(hot())
    (record,) = reader.get("/api/mengla/records").json()["data"]["records"]
    assert record["id"] == "hot:1001:month:202506"
    assert (record["action"], record["catId"], record["dateType"], record["period"]) == (
        "hot",
        "1001",
        "month",
        "202506",
    )
    assert record["collection_id"] == str(collection["_id"])
    assert record["is_empty"] is False
    assert record["collected_at"] < record["fresh_until"] < record["expires_at"]
    assert "data" not in record and "run_ids" not in record


def test_pages_follow_each_other_without_gap_or_repetition(reader: APIClient) -> None:
    for month in range(1, 8):
        store(hot(f"2025{month:02}"))
    newest_first = [f"hot:1001:month:2025{month:02}" for month in range(7, 0, -1)]
    seen: list[str] = []
    parameters: dict[str, Any] = {"limit": 3}
    sizes = []
    while True:
        page = reader.get("/api/mengla/records", parameters).json()["data"]
        seen += [one["id"] for one in page["records"]]
        sizes.append(len(page["records"]))
        if page["next_cursor"] is None:
            break
        parameters["cursor"] = page["next_cursor"]
    assert (seen, sizes) == (newest_first, [3, 3, 1])


def test_records_of_one_instant_are_all_listed(reader: APIClient) -> None:
    year = trend("202501", "202512")
    store(year)
    first = reader.get("/api/mengla/records", {"limit": 5}).json()["data"]
    rest = reader.get("/api/mengla/records", {"limit": 50, "cursor": first["next_cursor"]}).json()["data"]
    keys = [one["id"] for one in first["records"] + rest["records"]]
    assert sorted(keys) == sorted(year.record_ids)
    assert len(keys) == len(set(keys)) == 12


def test_each_filter_leaves_what_it_says(listed: Listed) -> None:
    store(hot("202505"))
    store(hot("202506"))
    store(hot("202506", cat_id=""))
    store(hot("2025"))
    store_empty(hot("202504", cat_id="2001"))
    store(trend("20250101", "20250102"))
    june, june_of_all = "hot:1001:month:202506", "hot:all:month:202506"
    assert listed(action="industryTrendRange") == [
        "industryTrendRange:1001:day:20250102",
        "industryTrendRange:1001:day:20250101",
    ]
    assert listed(catId="") == listed(catId="all") == [june_of_all]
    assert listed(catId="2001", empty="true") == ["hot:2001:month:202504"]
    assert listed(catId="2001", empty="false") == []
    assert listed(dateType="year") == ["hot:1001:year:2025"]
    assert listed(**{"from": "2025-06", "to": "2025-06"}) == [june_of_all, june]
    assert listed(**{"from": "202505", "catId": "1001"}) == [june, "hot:1001:month:202505"]
    assert listed(to="2025-04") == ["hot:2001:month:202504"]


@pytest.mark.parametrize(
    ("parameters", "field"),
    [
        ({"action": "nope"}, "action"),
        ({"action": "hot\x00"}, "action"),
        ({"catId": "$ne"}, "catId"),
        ({"catId": "1" * 300}, "catId"),
        ({"catId": "04200"}, "catId"),
        ({"catId": "0"}, "catId"),
        ({"dateType": "week"}, "dateType"),
        ({"from": "2025-13"}, "from"),
        ({"from": "٢٠٢٥-٠١"}, "from"),
        ({"from": "2025-06", "to": "2025-01"}, "from"),
        ({"from": "2025-06", "to": "2025-06-03"}, "to"),
        ({"dateType": "day", "from": "2025-06"}, "from"),
        ({"empty": "perhaps"}, "empty"),
        ({"limit": "0"}, "limit"),
        ({"limit": "100000"}, "limit"),
        ({"limit": "ten"}, "limit"),
        *(({"cursor": cursor}, "cursor") for cursor in HOSTILE_CURSORS),
    ],
)
def test_nonsense_is_400_and_names_the_parameter(
    reader: APIClient, parameters: dict[str, str], field: str
) -> None:
    response = reader.get("/api/mengla/records", parameters)
    body = response.json()
    assert (response.status_code, body["error"]) == (400, "VALIDATION_ERROR"), body
    assert list(body["fields"]) == [field]


def test_a_cursor_cannot_widen_the_filter(reader: APIClient) -> None:
    store(hot("202505"))
    store(hot("202506", cat_id="2001"))
    forged = base64.urlsafe_b64encode(json.dumps([4_000_000_000_000, "s", "z"]).encode()).decode()
    response = reader.get("/api/mengla/records", {"catId": "2001", "cursor": forged})
    assert (response.status_code, list(response.json()["fields"])) == (400, ["cursor"])


def test_a_token_is_needed(api: APIClient) -> None:
    assert api.get("/api/mengla/records").status_code == 401


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("from=2025-01&from=2025-02", "from"),
        ("limit=1&limit=2", "limit"),
        ("action=hot&action=hot", "action"),
        ("from=202501%0A", "from"),
        ("to=%202025", "to"),
        ("dateType=month%20", "dateType"),
    ],
)
def test_a_parameter_is_given_once_and_exactly(reader: APIClient, query: str, field: str) -> None:
    answer = reader.get(f"/api/mengla/records?{query}")
    assert (answer.status_code, list(answer.json()["fields"])) == (400, [field])
