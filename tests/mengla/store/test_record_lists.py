"""Lists of many records: what a filter does not match is not read, whatever the collection holds."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pymongo
import pytest
from django.db import connection
from django.test import Client
from rest_framework.test import APIClient

from apps.core.admin_base import paging
from apps.core.storage.mongo import collection_of
from apps.mengla.models import Record

pytestmark = [pytest.mark.django_db, pytest.mark.mongo, pytest.mark.redis]

COUNT = 1200
CATEGORIES = 24
# A page, the row that says that there is another page, and one key of each range that is merged.
MAX_EXAMINED = 51 + 40
ACTIONS = ("high", "hot", "chance", "industryViewV2")  # none is a trend
API = "/api/mengla/records"
ADMIN = "/admin/mengla/record/"


def record(number: int, **other: Any) -> dict[str, Any]:
    """A record of 2025, of a month, with figures; the higher the number the newer."""
    now = datetime(2026, 1, 1, tzinfo=UTC) + timedelta(seconds=number)
    return {
        "_id": f"key-{number:06}",
        "action": ACTIONS[number % len(ACTIONS)],
        "cat_id": str(1000 + number % CATEGORIES),
        "granularity": "month",
        "period_key": f"2025{1 + number % 12:02}",
        "variant": "",
        "data": {"list": []},
        "data_hash": "",
        "is_empty": False,
        "empty_reason": "",
        "collected_at": now,
        "fresh_until": now,
        "collect_duration_ms": 5,
        "collection_id": "",
        "run_ids": [],
        "created_at": now,
        "updated_at": now,
        "expired_at": datetime(2099, 1, 1, tzinfo=UTC),
    } | other


@pytest.fixture(autouse=True)
def _many_records(db: None) -> None:
    with pymongo.timeout(60):
        collection_of(Record).insert_many([record(number) for number in range(1, COUNT + 1)])


@pytest.fixture
def examined() -> Iterator[Callable[[], int]]:
    """Return what tells how many records MongoDB has read so far for searches among them."""
    database = connection.database
    database.command("profile", 2)
    searches = {"ns": collection_of(Record).full_name}
    yield lambda: sum(one.get("docsExamined", 0) for one in database["system.profile"].find(searches))
    database.command("profile", 0)
    database.drop_collection("system.profile")


def keys_of(client: APIClient, given: dict[str, str]) -> list[str]:
    answer = client.get(API, given)
    assert answer.status_code == 200, answer.content
    return [one["id"] for one in answer.json()["data"]["records"]]


def shown(client: Client, given: dict[str, str]) -> list[str]:
    answer = client.get(ADMIN, given)
    assert answer.status_code == 200
    return [row.pk for row in answer.context["cl"].result_list]


UNMATCHED = [
    {"action": "industryTrendRange"},
    {"dateType": "day"},
    {"empty": "true"},
    {"catId": "999"},
    {"catId": ""},
    {"from": "2026-01"},
    {"to": "2024-12"},
    {"from": "2026-01", "to": "2026-12"},
    {"from": "2025-01-01", "to": "2025-12-31"},
    {"action": "hot", "dateType": "year"},
    {"action": "hot", "empty": "true"},
    {"dateType": "month", "empty": "true"},
    {"dateType": "quarter", "empty": "false"},
    {"action": "hot", "dateType": "month", "empty": "true"},
    {"action": "hot", "from": "2026-01"},
    {"action": "high", "from": "2025-02", "to": "2025-02"},  # where all are of another action
    {"empty": "true", "from": "2025-02", "to": "2025-03"},
    {"action": "industryTrendRange", "from": "2025-02", "to": "2025-11"},
    {"empty": "true", "from": "2025-02", "to": "2025-11"},
    {"catId": "999", "action": "hot", "dateType": "month", "empty": "false", "from": "2025-01"},
]


@pytest.mark.parametrize("given", UNMATCHED, ids=str)
def test_a_filter_that_matches_nothing_reads_nothing(
    reader: APIClient, examined: Callable[[], int], given: dict[str, str]
) -> None:
    assert keys_of(reader, given) == []
    assert examined() == 0


def test_with_figures_among_empty_ones(reader: APIClient, examined: Callable[[], int]) -> None:
    collection_of(Record).update_many({}, {"$set": {"is_empty": True}})
    before = examined()
    assert keys_of(reader, {"empty": "false"}) == []
    assert examined() == before


@pytest.mark.parametrize(
    "given",
    [
        {},
        {"action": "hot"},
        {"dateType": "month"},
        {"empty": "false"},
        {"catId": "1001"},
        {"from": "2025-02", "to": "2025-11"},
        {"from": "2025-02", "to": "2025-02"},
        {"from": "2025-02"},
        {"to": "2099-12", "from": "2001-01"},
        {"action": "hot", "dateType": "month", "empty": "false"},
        {"catId": "1001", "action": "hot"},
    ],
    ids=str,
)
def test_a_page_costs_what_it_shows_also_a_late_one(
    reader: APIClient, examined: Callable[[], int], given: dict[str, str]
) -> None:
    cursor, seen = "", 0
    for number in range(1, 6):
        asked = given | {"limit": "8"} | ({"cursor": cursor} if cursor else {})
        data = reader.get(API, asked).json()["data"]
        seen += len(data["records"])
        cursor = data["next_cursor"]
        assert seen == 8 * number
    assert examined() <= 5 * MAX_EXAMINED


@pytest.mark.parametrize(
    ("odd", "given"),
    [
        ({"granularity": "day"}, ({"dateType": "day"}, {"granularity": "day"})),
        ({"action": "industryTrendRange"}, ({"action": "industryTrendRange"},) * 2),
        ({"is_empty": True}, ({"empty": "true"}, {"is_empty": "True"})),
        ({"cat_id": "999"}, ({"catId": "999"}, {"q": "999"})),
    ],
    ids=str,
)
def test_the_oldest_record_is_found_without_reading_the_others(
    reader: APIClient,
    site: Client,
    examined: Callable[[], int],
    odd: dict[str, Any],
    given: tuple[dict[str, str], dict[str, str]],
) -> None:
    of_api, of_admin = given
    collection_of(Record).insert_one(record(0, **odd))
    assert keys_of(reader, of_api) == ["key-000000"]
    assert examined() <= 2
    assert shown(site, of_admin) == ["key-000000"]
    assert examined() <= 6  # its keys, then its rows


@pytest.mark.parametrize(
    "given",
    [
        {"action": "industryTrendRange"},
        {"granularity": "day"},
        {"is_empty": "True"},
        {"q": "999"},
        {"q": "hot:1"},
        {"action": "hot", "granularity": "year"},
        {"action": "hot", "is_empty": "True"},
        {"granularity": "month", "is_empty": "True"},
        {"action": "hot", "granularity": "month", "is_empty": "True"},
        {"action": "industryTrendRange", "q": "1001"},
    ],
    ids=str,
)
def test_the_admins_filters_read_nothing_where_nothing_matches(
    site: Client, examined: Callable[[], int], given: dict[str, str]
) -> None:
    assert shown(site, given) == []
    assert examined() == 0


@pytest.mark.parametrize(
    "given",
    [{}, {"action": "hot"}, {"granularity": "month"}, {"is_empty": "False"}, {"q": "1001"}, {"p": "10"}],
    ids=str,
)
def test_a_page_of_the_admin_costs_what_it_shows(
    site: Client, examined: Callable[[], int], given: dict[str, str]
) -> None:
    rows = shown(site, given)
    assert len(rows) == (COUNT // CATEGORIES if "q" in given else 50)
    assert rows == sorted(rows, reverse=True)
    assert examined() <= 3 * MAX_EXAMINED


@pytest.mark.parametrize(
    ("given", "index"),
    [
        ({"granularity": "month"}, "record_newest"),  # matches all: nothing is merged
        ({"action": "hot"}, "record_kind"),
        ({"is_empty": "False", "granularity": "month"}, "record_newest"),
    ],
    ids=str,
)
def test_a_late_page_reads_keys_and_its_own_rows(
    site: Client,
    examined: Callable[[], int],
    monkeypatch: pytest.MonkeyPatch,
    given: dict[str, str],
    index: str,
) -> None:
    monkeypatch.setattr(paging, "_LONG_SKIP", 100)
    first, late = (shown(site, given | {"p": page}) for page in ("1", "5"))
    before = examined()
    assert (len(first), len(late), late[0] < first[-1]) == (50, 50, True)
    assert shown(site, given | {"p": "5"}) == late
    assert examined() - before <= 51
    searches = {"ns": collection_of(Record).full_name, "command.hint": index}
    assert connection.database["system.profile"].find_one(searches) is not None
