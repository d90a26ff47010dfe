"""What a collection keeps of its attempts, as its address and its page show them."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client
from rest_framework.test import APIClient

from apps.core.storage.mongo import collection_of
from apps.mengla.choices import CollectionError, CollectionStatus, Priority
from apps.mengla.models import Collection
from apps.mengla.queue import jobs, refusals
from apps.mengla.queue.attempt_log import MAX_KEPT
from apps.mengla.queue.overdue import fail_overdue
from tests.mengla.support import (
    Document,
    answer,
    begin_attempt,
    change,
    claim,
    hot,
    make_overdue,
    ranking,
    reload,
    result_for,
)

pytestmark = [
    pytest.mark.django_db,
    pytest.mark.mongo,
    pytest.mark.redis,
    pytest.mark.usefixtures("sample_tree"),
]


def log_of(reader: APIClient, attempt: Document) -> list[dict[str, Any]]:
    response = reader.get(f"/api/mengla/collections/{attempt['_id']}")
    assert response.status_code == 200, response.json()
    log: list[dict[str, Any]] = response.json()["data"]["attempt_log"]
    return log


def outcomes(reader: APIClient, attempt: Document) -> list[tuple[str, str | None]]:
    return [(one["outcome"], one["reason"]) for one in log_of(reader, attempt)]


def claim_again(attempt: Document) -> Document:
    change(attempt, not_before=attempt["created_at"])
    return claim()


def accept(attempt: Document, execution_id: str) -> None:
    jobs.mark_accepted([jobs.Accepted(attempt["_id"], attempt["attempt_token"], execution_id)])


def refuse(attempt: Document) -> None:
    refusals.put_back(
        attempt["_id"],
        attempt_token=attempt["attempt_token"],
        error=CollectionError.CONNECT_ERROR,
        message="no route",
    )


def test_each_attempt_is_kept_with_its_outcome_and_reason(reader: APIClient) -> None:
    first = begin_attempt(hot())
    assert outcomes(reader, first) == [("in_progress", None)]
    refuse(first)
    second = claim_again(first)
    accept(second, "E-2")
    make_overdue(second)
    fail_overdue()
    third = claim_again(first)
    accept(third, "E-3")
    answer(third, result_for(hot()), executionId="E-3")
    assert outcomes(reader, first) == [
        ("answered", None),
        ("timed_out", "timeout"),
        ("refused", "connect_error"),
    ]
    newest, middle, oldest = log_of(reader, first)
    assert (newest["execution_id"], middle["execution_id"]) == ("E-3", "E-2")
    assert oldest["execution_id"] is None
    assert oldest["message"] == "no route"
    assert middle["message"] == "No answer came in time."
    assert newest["message"] is None
    assert all(one["started_at"] <= one["ended_at"] and one["seconds"] >= 0 for one in (newest, middle))


def test_a_failed_an_empty_and_an_unsent_attempt(reader: APIClient) -> None:
    empty = begin_attempt(hot("202502"))
    answer(empty, ranking())
    assert outcomes(reader, empty) == [("empty", "empty_list")]
    unsent = begin_attempt(hot("202503"))
    jobs.finish(unsent["_id"], status=CollectionStatus.SUCCEEDED, was_sent=False)
    assert outcomes(reader, unsent) == [("not_sent", None)]
    failed = begin_attempt(hot("202501"))
    answer(failed, {"hotList": {"list": [5]}})
    assert outcomes(reader, failed) == [("failed", "unreadable_payload")]


def test_a_late_answer_is_not_the_answer_to_the_current_attempt(reader: APIClient) -> None:
    first = begin_attempt(hot())
    make_overdue(first)
    fail_overdue()
    answer(first, result_for(hot()))
    assert outcomes(reader, first) == [("answered_late", None), ("timed_out", "timeout")]
    assert log_of(reader, first)[0]["started_at"] is None


def test_the_newest_attempts_are_kept_and_no_token_is(reader: APIClient) -> None:
    attempt = begin_attempt(hot(), priority=Priority.BACKFILL)
    tokens = [attempt["attempt_token"]]
    for _ in range(MAX_KEPT + 3):
        refuse(attempt)
        attempt = claim_again(attempt)
        tokens.append(attempt["attempt_token"])
    refuse(attempt)
    document = reload(attempt)
    assert len(document["attempt_log"]) == MAX_KEPT
    assert document["refusals"] == MAX_KEPT + 4
    assert not any(token in str(document["attempt_log"]) for token in tokens)


def test_a_collection_of_an_earlier_version_goes_on(reader: APIClient) -> None:
    attempt = begin_attempt(hot())
    collection_of(Collection).update_one({"_id": attempt["_id"]}, {"$unset": {"attempt_log": ""}})
    assert outcomes(reader, attempt) == [("in_progress", None)]
    answer(attempt, result_for(hot()))
    assert outcomes(reader, attempt) == [("answered", None)]


def test_the_page_of_a_collection_lists_its_attempts(site: Client) -> None:
    attempt = begin_attempt(hot())
    make_overdue(attempt)
    fail_overdue()
    page = site.get(f"/admin/mengla/collection/{attempt['_id']}/change/").content.decode()
    assert "Timed out" in page
    assert attempt["attempt_token"] not in page
    chinese = site.get(
        f"/admin/mengla/collection/{attempt['_id']}/change/", headers={"Accept-Language": "zh-hans"}
    ).content.decode()
    assert "超时" in chinese
