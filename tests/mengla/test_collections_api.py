"""The status address of a collection, from the question to its figures."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any

import pytest
from rest_framework.test import APIClient

from apps.core.storage.mongo import collection_of
from apps.mengla.choices import Priority
from apps.mengla.models import Collection
from apps.mengla.queue import removal
from tests.mengla.support import (
    answer,
    begin_attempt,
    enqueue,
    figures_of,
    hot,
    reload,
    result_for,
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
Status = Callable[[Any], dict[str, Any]]
instant = datetime.fromisoformat


@pytest.fixture
def status_of(reader: APIClient) -> Status:
    def get(collection_id: Any) -> dict[str, Any]:
        response = reader.get(f"/api/mengla/collections/{collection_id}")
        assert response.status_code == 200, response.json()
        data: dict[str, Any] = response.json()["data"]
        return data

    return get


def test_each_step_is_told(status_of: Status) -> None:
    attempt = begin_attempt(hot())
    waiting = enqueue(hot("202507"), Priority.BACKFILL)
    first = status_of(attempt["_id"])
    assert (first["status"], first["attempts"], first["result"]) == ("DISPATCHED", 1, None)
    assert instant(first["created_at"]) <= instant(first["dispatched_at"])
    assert first["finished_at"] is None
    second = status_of(waiting)
    assert (second["status"], second["priority"], second["attempts"]) == ("PENDING", 30, 0)
    answer(attempt, result_for(hot()))
    ended = status_of(attempt["_id"])
    assert (ended["status"], ended["error"]) == ("SUCCEEDED", None)
    assert instant(ended["dispatched_at"]) <= instant(ended["finished_at"])


def test_a_failure_is_told_in_the_readers_language(reader: APIClient, status_of: Status) -> None:
    attempt = begin_attempt(hot())
    answer(attempt, {"hotList": {"list": [5]}})
    address = f"/api/mengla/collections/{attempt['_id']}"
    assert status_of(attempt["_id"])["error_message"] == "A number instead of a row"
    chinese = reader.get(address, headers={"Accept-Language": "zh-CN"}).json()["data"]
    assert chinese["error_message"] == "此处应为数据行，实际收到：数字"
    # An older process, which knows of no parts, fails the next attempt.
    collection_of(Collection).update_one({"_id": attempt["_id"]}, {"$set": {"error_message": "<b>5%"}})
    chinese = reader.get(address, headers={"Accept-Language": "zh-CN"}).json()["data"]
    assert chinese["error_message"] == "<b>5%"


def test_the_result_address_answers_with_the_very_figures(reader: APIClient, status_of: Status) -> None:
    questions = [
        hot(),
        hot("2025", cat_id=""),
        trend("20250101", "20250103"),
        hot("202505", product_id="p 1&x=2"),
        hot("202504", extra={"filter": "玩具 & co", "deep": {"a": [1, None]}}),
    ]
    for question in questions:
        address = status_of(store(question)["_id"])["result"]
        data = reader.get(address).json()["data"]
        if isinstance(data, dict):
            data.pop("secondaryCategories", None)
        assert data == figures_of(question)


def test_nothing_there_is_told_with_its_reason_and_where_to_read_it(
    reader: APIClient, status_of: Status
) -> None:
    reported = status_of(store_empty(hot())["_id"])
    assert reported["status"] == "EMPTY"
    assert reported["empty_reason"]
    assert reader.get(reported["result"]).headers["X-MengLa-Freshness"] == "empty"


def test_a_cancelled_one_is_told(status_of: Status) -> None:
    collection_id = enqueue(hot(), Priority.BACKFILL)
    assert removal.cancel_pending({"_id": collection_id}) == 1
    reported = status_of(collection_id)
    assert (reported["status"], reported["result"], reported["position"]) == ("CANCELLED", None, 0)
    assert reported["finished_at"] is not None


def test_no_secret_of_the_attempt_is_told(status_of: Status) -> None:
    attempt = begin_attempt(hot())
    assert reload(attempt)["attempt_token"] not in str(status_of(attempt["_id"]))


@pytest.mark.parametrize("bad", ["x", "0" * 24, "0" * 25, "%00", "é", "1" * 2000, "٠" * 24, "[]"])
def test_an_unknown_id_is_404(reader: APIClient, bad: str) -> None:
    response = reader.get(f"/api/mengla/collections/{bad}")
    assert (response.status_code, response.json()["error"]) == (404, "NOT_FOUND")


def test_a_token_is_needed(api: APIClient) -> None:
    assert api.get(f"/api/mengla/collections/{'0' * 24}").status_code == 401
