"""What becomes of each answer of the collection service: stored, empty, failed, late, twice, unknown."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from apps.core.caching.tiers import get_cache
from apps.mengla.choices import CollectionError, CollectionStatus, Priority
from apps.mengla.ingest import receive
from apps.mengla.ingest import records as record_services
from apps.mengla.ingest.receive import Receipt, receive_webhook
from apps.mengla.queries.data_query import DataQuery
from apps.mengla.queue import jobs
from apps.mengla.queue.wakeup import DISPATCH_TASK
from apps.mengla.store.figures import cache_field
from tests.mengla.support import (
    Document,
    answer,
    begin_attempt,
    body_for,
    change,
    claim,
    collections,
    enqueue,
    figures_of,
    hot,
    make_stale,
    points,
    ranking,
    records,
    reload,
    result_for,
    store,
    store_empty,
    trend,
)

pytestmark = [pytest.mark.django_db, pytest.mark.mongo, pytest.mark.redis]
HTML = "<html><body>登录已过期</body></html>"


def names_stored(query: DataQuery) -> list[str]:
    return [row["catName"] for row in records()[query.identity]["data"]["list"]]


def accepted(attempt: Document, execution_id: str) -> Document:
    """The attempt after the service has accepted it as this execution."""
    jobs.mark_accepted([jobs.Accepted(attempt["_id"], attempt["attempt_token"], execution_id)])
    return reload(attempt)


def retry(attempt: Document) -> Document:
    """Give the attempt up and begin the next."""
    jobs.fail_attempt(
        attempt["_id"],
        attempt_token=attempt["attempt_token"],
        error=CollectionError.TIMEOUT,
        message="No answer came in time.",
    )
    return claim()


def give_up(attempt: Document) -> None:
    jobs.fail_attempt(
        attempt["_id"],
        attempt_token=attempt["attempt_token"],
        error=CollectionError.TIMEOUT,
        message="No answer came in time.",
        is_permanent=True,
    )


class TestResults:
    @pytest.mark.parametrize("query", [hot(), trend("202501", "202506")], ids=["ranking", "trend"])
    def test_figures_are_stored_and_the_collection_ends(self, query: DataQuery) -> None:
        attempt = begin_attempt(query)
        assert answer(attempt, result_for(query)) is Receipt.STORED
        ended = reload(attempt)
        assert (ended["status"], ended["active_key"], ended["slot"]) == ("SUCCEEDED", None, None)
        stored = records()
        figures = [stored[record_id]["data"] for record_id in query.record_ids]
        assert figures == (figures_of(query) if query.is_trend else [figures_of(query)])
        assert {record["collection_id"] for record in stored.values()} == {str(attempt["_id"])}

    def test_the_time_it_took_is_noted(self) -> None:
        attempt = begin_attempt(hot())
        answer(attempt, ranking("a"))
        took = records()[hot().identity]["collect_duration_ms"]
        ended = reload(attempt)
        assert 0 <= took <= (ended["finished_at"] - ended["dispatched_at"]).total_seconds() * 1000

    def test_the_dispatcher_is_woken(self, monkeypatch: pytest.MonkeyPatch) -> None:
        woken: list[str] = []
        monkeypatch.setattr("apps.mengla.queue.wakeup.send_task", lambda task, **_: woken.append(task))
        answer(begin_attempt(hot()), ranking("a"))
        assert woken == [DISPATCH_TASK]

    @pytest.mark.parametrize(
        ("result", "reason"),
        [
            (ranking(), "empty_list"),
            ({"hotList": {"code": 500, "data": None, "message": "busy"}}, "error_code"),
            ({"hotList": {"code": 0, "data": None}}, "null_data"),
            ({"somethingElse": 1}, "missing_key"),
            ({}, "missing_key"),
        ],
    )
    def test_nothing_is_kept_as_nothing(self, result: Any, reason: str) -> None:
        attempt = begin_attempt(hot())
        assert answer(attempt, result) is Receipt.EMPTY
        ended = reload(attempt)
        assert (ended["status"], ended["empty_reason"]) == ("EMPTY", reason)
        record = records()[hot().identity]
        assert (record["data"], record["is_empty"], record["empty_reason"]) == (None, True, reason)

    @pytest.mark.parametrize("result", [HTML, 5, True, {"hotList": HTML}, {"hotList": {"list": [1]}}])
    def test_garbage_is_a_failed_attempt_and_stores_nothing(self, result: Any) -> None:
        attempt = begin_attempt(hot())
        assert answer(attempt, result) is Receipt.FAILED
        failed = reload(attempt)
        assert (failed["status"], failed["error_code"]) == ("PENDING", "unreadable_payload")
        assert records() == {}

    def test_a_page_instead_of_figures_is_retried_then_failed(self) -> None:
        first = begin_attempt(hot())
        assert answer(first, HTML) is Receipt.FAILED
        assert answer(claim(), HTML) is Receipt.FAILED
        ended = reload(first)
        assert (ended["status"], ended["error_code"]) == ("FAILED", "unreadable_payload")
        assert records() == {}

    def test_what_the_database_cannot_hold_is_a_failed_attempt(self) -> None:
        attempt = begin_attempt(hot())
        assert answer(attempt, {"hotList": {"list": [{"sales": 2**63}]}}) is Receipt.FAILED
        assert reload(attempt)["error_code"] == "unstorable_payload"
        assert records() == {}

    def test_a_failed_execution_is_retried_with_the_services_reason(self) -> None:
        attempt = begin_attempt(hot())
        receipt = answer(attempt, None, status="failed", error="Browser crashed")
        assert receipt is Receipt.FAILED
        failed = reload(attempt)
        assert (failed["status"], failed["error_code"]) == ("PENDING", "execution_failed")
        assert "Browser crashed" in failed["error_message"]
        assert records() == {}

    @pytest.mark.parametrize("status", ["running", "sync", "pending", "queued", "RUNNING"])
    def test_a_heartbeat_changes_nothing(self, status: str) -> None:
        attempt = begin_attempt(hot())
        assert answer(attempt, ranking("not yet"), status=status) is Receipt.HEARTBEAT
        assert reload(attempt) == attempt
        assert records() == {}


class TestTrends:
    query = trend("202501", "202503")

    def test_points_outside_the_range_are_left(self) -> None:
        attempt = begin_attempt(self.query)
        sent = points(p202412=1, p202501=2, p202502=3, p202503=4, p202504=5)
        assert answer(attempt, sent) is Receipt.STORED
        assert sorted(records()) == self.query.record_ids

    def test_a_missing_point_is_kept_as_missing(self) -> None:
        attempt = begin_attempt(self.query)
        assert answer(attempt, points(p202501=1, p202503=3)) is Receipt.STORED
        stored = records()
        assert [stored[key]["is_empty"] for key in self.query.record_ids] == [False, True, False]
        assert stored[self.query.record_ids[1]]["empty_reason"] == "missing_point"

    def test_points_of_another_range_only_are_nothing(self) -> None:
        attempt = begin_attempt(self.query)
        assert answer(attempt, points(p202401=1, p202402=2)) is Receipt.EMPTY
        assert all(record["data"] is None for record in records().values())

    def test_a_point_of_another_granularity_makes_it_unreadable(self) -> None:
        attempt = begin_attempt(self.query)
        assert answer(attempt, [*points(p202501=1), {"timest": "2025-02-10"}]) is Receipt.FAILED
        assert records() == {}

    def test_each_point_lands_in_its_own_period_whatever_the_order(self) -> None:
        attempt = begin_attempt(self.query)
        answer(attempt, points(p202503=3, p202501=1, p202502=2))
        stored = records()
        assert [stored[key]["data"]["monthSales"] for key in self.query.record_ids] == [1, 2, 3]


class TestTwice:
    def test_a_duplicate_changes_nothing(self) -> None:
        attempt = begin_attempt(hot())
        answer(attempt, ranking("a"))
        before = (collections(), records())
        assert answer(attempt, ranking("a")) is Receipt.DUPLICATE
        assert (collections(), records()) == before

    def test_a_duplicate_does_not_make_old_figures_look_new(self) -> None:
        attempt = begin_attempt(hot())
        answer(attempt, ranking("a"))
        make_stale(hot(), seconds=3600)
        before = records()
        assert answer(attempt, ranking("a")) is Receipt.DUPLICATE
        assert records() == before

    def test_of_many_at_once_one_counts(self) -> None:
        attempt = begin_attempt(hot())
        with ThreadPoolExecutor(8) as pool:
            receipts = list(pool.map(lambda _: answer(attempt, ranking("a")), range(8)))
        assert receipts.count(Receipt.STORED) == 1
        assert receipts.count(Receipt.DUPLICATE) == 7

    @pytest.mark.parametrize("status", ["failed", "completed"])
    def test_a_failure_or_nothing_after_the_figures_changes_nothing(self, status: str) -> None:
        attempt = begin_attempt(hot())
        answer(attempt, ranking("a"))
        assert answer(attempt, ranking(), status=status) is Receipt.DUPLICATE
        assert reload(attempt)["status"] == "SUCCEEDED"
        assert names_stored(hot()) == ["a"]

    def test_a_failure_twice_is_one_attempt(self) -> None:
        attempt = begin_attempt(hot())
        answer(attempt, None, status="failed", error="x")
        assert answer(attempt, None, status="failed", error="x") is Receipt.DUPLICATE
        assert reload(attempt)["status"] == "PENDING"


class TestLate:
    def test_figures_while_the_retry_waits(self) -> None:
        attempt = begin_attempt(hot())
        jobs.fail_attempt(
            attempt["_id"],
            attempt_token=attempt["attempt_token"],
            error=CollectionError.TIMEOUT,
            message="late",
        )
        assert answer(attempt, ranking("late")) is Receipt.STORED
        assert reload(attempt)["status"] == "SUCCEEDED"
        assert names_stored(hot()) == ["late"]

    def test_figures_of_an_older_attempt_end_the_newer_one(self) -> None:
        first = begin_attempt(hot())
        second = retry(first)
        assert answer(first, ranking("first")) is Receipt.STORED
        assert reload(first)["status"] == "SUCCEEDED"
        assert answer(second, ranking("second")) is Receipt.DUPLICATE
        assert names_stored(hot()) == ["first"]

    def test_figures_after_it_was_given_up(self) -> None:
        attempt = begin_attempt(hot())
        give_up(attempt)
        assert answer(attempt, ranking("late")) is Receipt.STORED
        ended = reload(attempt)
        assert (ended["status"], ended["error_code"], ended["error_message"]) == ("SUCCEEDED", "", "")

    def test_figures_after_it_was_cancelled_are_stored_all_the_same(self) -> None:
        attempt = begin_attempt(hot())
        change(attempt, status="CANCELLED", active_key=None, slot=None)
        answer(attempt, ranking("paid for"))
        assert reload(attempt)["status"] == "CANCELLED"
        assert names_stored(hot()) == ["paid for"]

    def test_figures_after_an_empty_answer_replace_it(self) -> None:
        first = begin_attempt(hot())
        second = retry(first)
        answer(second, ranking())
        answer(first, ranking("late"))
        assert names_stored(hot()) == ["late"]

    def test_figures_do_not_replace_newer_ones(self) -> None:
        old = begin_attempt(hot())
        give_up(old)
        store(hot(), ranking("newer"))
        assert answer(old, ranking("older")) is Receipt.STORED
        assert reload(old)["status"] == "SUCCEEDED"
        assert names_stored(hot()) == ["newer"]

    @pytest.mark.parametrize("query", [hot(), trend("202501", "202503")], ids=["ranking", "trend"])
    def test_figures_do_not_replace_newer_ones_that_are_stale_by_now(self, query: DataQuery) -> None:
        old = begin_attempt(query)
        give_up(old)
        store(query)
        make_stale(query)
        before = records()
        assert answer(old, result_for(query)) is Receipt.STORED
        assert reload(old)["status"] == "SUCCEEDED"
        assert records() == before

    def test_figures_replace_older_ones_that_are_stale(self) -> None:
        store(hot(), ranking("older"))
        make_stale(hot())
        attempt = begin_attempt(hot())
        give_up(attempt)
        assert answer(attempt, ranking("late")) is Receipt.STORED
        assert names_stored(hot()) == ["late"]

    @pytest.mark.parametrize("step", [retry, give_up], ids=["retried", "given up"])
    @pytest.mark.parametrize("query", [hot(), trend("202501", "202503")], ids=["ranking", "trend"])
    def test_figures_replace_fresh_ones_that_they_were_to_renew(
        self, query: DataQuery, step: Callable[[Document], Any]
    ) -> None:
        """As after a sync task with ``force``, or a read with ``refresh=true``."""
        store(query)
        before = records()
        attempt = begin_attempt(query)
        step(attempt)
        assert answer(attempt, result_for(query)) is Receipt.STORED
        assert reload(attempt)["status"] == "SUCCEEDED"
        after = records()
        assert after.keys() == before.keys()
        assert all(after[key]["collected_at"] > before[key]["collected_at"] for key in after)

    def test_figures_save_the_request_of_who_asked_again(self) -> None:
        old = begin_attempt(hot())
        give_up(old)
        again = enqueue(hot())
        answer(old, ranking("late"))
        assert again != old["_id"]
        assert reload({"_id": again})["status"] == "PENDING"  # the dispatcher finds the answer fresh

    @pytest.mark.parametrize("step", [retry, give_up], ids=["retried", "given up"])
    def test_nothing_or_a_failure_of_an_older_attempt_says_nothing(
        self, step: Callable[[Document], Any]
    ) -> None:
        first = begin_attempt(hot())
        step(first)
        before = reload(first)
        assert answer(first, ranking()) is Receipt.DUPLICATE
        assert answer(first, None, status="failed", error="x") is Receipt.DUPLICATE
        assert answer(first, HTML) is Receipt.DUPLICATE
        assert reload(first) == before
        assert records() == {}


class TestUnknown:
    def test_an_answer_may_come_before_its_execution_is_known(self) -> None:
        attempt = begin_attempt(hot())
        body = body_for(attempt, ranking("early"), executionId="x1")
        assert receive_webhook(body, collection_id=None, token=None) is Receipt.PARKED
        assert records() == {}
        jobs.mark_accepted([jobs.Accepted(attempt["_id"], attempt["attempt_token"], "x1")])
        receive.receive_parked("x1")
        assert reload(attempt)["status"] == "SUCCEEDED"
        assert names_stored(hot()) == ["early"]

    def test_it_may_become_known_while_the_answer_is_being_parked(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        attempt = begin_attempt(hot())
        park = receive.parked.park

        def accept_then_park(execution_id: str, body: dict[str, Any]) -> None:
            jobs.mark_accepted([jobs.Accepted(attempt["_id"], attempt["attempt_token"], "x1")])
            receive.receive_parked("x1")  # the dispatcher looks too early
            park(execution_id, body)

        monkeypatch.setattr(receive.parked, "park", accept_then_park)
        body = body_for(attempt, ranking("early"), executionId="x1")
        assert receive_webhook(body, collection_id=None, token=None) is Receipt.STORED

    def test_a_parked_answer_is_forgotten_after_half_an_hour(self, redis_client: Any) -> None:
        receive_webhook({"executionId": "x1", "resultData": ranking("a")}, collection_id=None, token=None)
        (key,) = redis_client.keys("mengla:parked:*")
        assert 1790 < redis_client.ttl(key) <= 1800

    def test_it_is_taken_once(self) -> None:
        receive_webhook({"executionId": "x1", "resultData": ranking("a")}, collection_id=None, token=None)
        assert receive.parked.unpark("x1") is not None
        assert receive.parked.unpark("x1") is None

    def test_the_execution_names_the_collection_when_the_address_does_not(self) -> None:
        attempt = begin_attempt(hot())
        jobs.mark_accepted([jobs.Accepted(attempt["_id"], attempt["attempt_token"], "x1")])
        body = body_for(attempt, ranking("a"), executionId="x1")
        assert receive_webhook(body, collection_id=None, token=None) is Receipt.STORED

    @pytest.mark.parametrize("collection_id", ["", "x", "0" * 24, "\x00", "я" * 24, "f" * 5000])
    @pytest.mark.parametrize("token", ["", "x", "\x00"])
    def test_a_wrong_address_names_nothing(self, collection_id: str, token: str) -> None:
        attempt = begin_attempt(hot())
        body = body_for(attempt, ranking("a"))
        assert receive_webhook(body, collection_id=collection_id, token=token) is Receipt.PARKED
        assert reload(attempt) == attempt

    def test_a_wrong_token_names_nothing(self) -> None:
        attempt = begin_attempt(hot())
        body = body_for(attempt, ranking("a"))
        assert receive_webhook(body, collection_id=str(attempt["_id"]), token="x") is Receipt.PARKED
        assert reload(attempt) == attempt

    def test_the_token_of_one_collection_opens_no_other(self) -> None:
        first, second = begin_attempt(hot("202501")), begin_attempt(hot("202502"))
        body = body_for(first, ranking("a"))
        receive_webhook(body, collection_id=str(second["_id"]), token=first["attempt_token"])
        assert records() == {}

    def test_an_answer_without_any_name_is_acknowledged(self) -> None:
        assert receive_webhook({"resultData": ranking("a")}, collection_id=None, token=None) is Receipt.PARKED

    def test_an_absurdly_nested_unknown_answer_is_acknowledged(self) -> None:
        nested: Any = []
        for _ in range(900):
            nested = [nested]
        body = {"executionId": "x1", "resultData": nested}
        assert receive_webhook(body, collection_id=None, token=None) is Receipt.PARKED


def test_run_ids_of_everybody_who_waits_are_written_beside_the_figures() -> None:
    runs = ["0" * 24, "1" * 24]
    enqueue(hot(), run_id=runs[0])
    enqueue(hot(), run_id=runs[1])
    answer(claim(), ranking("a"))
    record = records()[hot().identity]
    assert (record["run_ids"], record["has_reader"]) == (runs, False)


@pytest.mark.parametrize("run_id", [None, "0" * 24])
def test_figures_are_cached_for_the_reader_who_asked_and_not_for_a_run(run_id: str | None) -> None:
    answer(begin_attempt(hot(), run_id=run_id), ranking("a"))
    found = get_cache().lookup(hot().cache_group, cache_field(hot())).entry
    assert (found is None) == (run_id is not None)


@pytest.mark.parametrize("is_in_l1", [True, False])
def test_figures_that_the_caches_hold_are_replaced_there_by_those_of_a_run(is_in_l1: bool) -> None:
    """Otherwise an outage of MongoDB after the run would take them from their readers."""
    answer(begin_attempt(hot()), ranking("old"))
    if not is_in_l1:
        get_cache().clear_l1()
    answer(begin_attempt(hot(), run_id="0" * 24), ranking("new"))
    found = get_cache().lookup(hot().cache_group, cache_field(hot())).entry
    assert found is not None and b"new" in found.body


def test_who_joins_while_the_answer_is_being_stored_is_written_beside_it_too(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    enqueue(hot(), Priority.BACKFILL, run_id="0" * 24)
    attempt = claim()
    store_answers = record_services.store_answers

    def joined_meanwhile(*args: Any) -> None:
        store_answers(*args)
        enqueue(hot())
        enqueue(hot(), Priority.BACKFILL, run_id="1" * 24)

    monkeypatch.setattr(record_services, "store_answers", joined_meanwhile)
    assert answer(attempt, ranking("a")) is Receipt.STORED
    record = records()[hot().identity]
    assert (record["run_ids"], record["has_reader"]) == (["0" * 24, "1" * 24], True)
    assert reload(attempt)["status"] == CollectionStatus.SUCCEEDED


def test_an_empty_answer_beside_stale_figures_leaves_them() -> None:
    store(hot(), ranking("kept"))
    make_stale(hot())
    ended = store_empty(hot())
    assert ended["status"] == CollectionStatus.EMPTY
    assert names_stored(hot()) == ["kept"]


class TestAnotherExecution:
    """A body is signed, its URL is not: the execution in the body decides whose answer it is."""

    @pytest.fixture
    def ours(self) -> Document:
        return accepted(begin_attempt(hot("202505")), "ours")

    @pytest.fixture
    def others(self) -> Document:
        return accepted(begin_attempt(hot("202506")), "others")

    def deliver(self, body: Document, *, to: Document) -> Receipt:
        return receive_webhook(body, collection_id=str(to["_id"]), token=to["attempt_token"])

    def test_figures_of_one_are_never_stored_as_those_of_another(
        self, ours: Document, others: Document
    ) -> None:
        body = body_for(others, ranking("of June"), executionId="others")
        assert self.deliver(body, to=ours) is Receipt.STORED
        assert reload(ours) == ours
        assert reload(others)["status"] == "SUCCEEDED"
        assert names_stored(hot("202506")) == ["of June"]
        assert list(records()) == [hot("202506").identity]

    def test_nor_is_a_failure(self, ours: Document, others: Document) -> None:
        body = {"executionId": "others", "status": "failed", "error": "boom"}
        assert self.deliver(body, to=ours) is Receipt.FAILED
        assert reload(ours) == ours
        assert reload(others)["error_code"] == "execution_failed"

    def test_an_unknown_execution_is_parked(self, ours: Document) -> None:
        body = body_for(ours, ranking("a"), executionId="nobody's")
        assert self.deliver(body, to=ours) is Receipt.PARKED
        assert reload(ours) == ours
        assert records() == {}

    def test_it_is_stored_once_its_own_collection_is_known(self, ours: Document) -> None:
        other = begin_attempt(hot("202506"))  # our request for it is still in progress
        assert self.deliver(body_for(other, ranking("of June"), executionId="x2"), to=ours) is Receipt.PARKED
        accepted(other, "x2")
        receive.receive_parked("x2")
        assert reload(ours) == ours
        assert names_stored(hot("202506")) == ["of June"]

    def test_the_url_decides_when_the_body_names_no_execution(self, ours: Document) -> None:
        body = {"status": "completed", "resultData": ranking("a")}
        assert self.deliver(body, to=ours) is Receipt.STORED
        assert names_stored(hot("202505")) == ["a"]

    def test_the_url_decides_while_the_execution_is_not_noted(self) -> None:
        attempt = begin_attempt(hot("202505"))
        assert attempt["execution_id"] == ""
        body = body_for(attempt, ranking("early"), executionId="x1")
        assert self.deliver(body, to=attempt) is Receipt.STORED
        accepted(attempt, "x1")
        assert self.deliver(body, to=attempt) is Receipt.DUPLICATE

    def test_but_not_for_one_that_is_noted_elsewhere(self, others: Document) -> None:
        attempt = begin_attempt(hot("202505"))
        body = body_for(others, ranking("of June"), executionId="others")
        assert self.deliver(body, to=attempt) is Receipt.STORED
        assert reload(attempt) == attempt
        assert names_stored(hot("202506")) == ["of June"]

    def test_nor_by_the_urls_of_earlier_attempts(self, ours: Document, others: Document) -> None:
        accepted(retry(ours), "ours again")
        accepted(retry(others), "others again")
        body = body_for(others, ranking("of June"), executionId="others")
        assert self.deliver(body, to=ours) is Receipt.PARKED
        assert records() == {}
        assert self.deliver(body, to=others) is Receipt.STORED
        assert names_stored(hot("202506")) == ["of June"]

    def test_an_earlier_attempt_whose_execution_was_not_noted_may_still_answer(self) -> None:
        attempt = begin_attempt(hot("202505"))  # our request ended without a response
        accepted(retry(attempt), "second")
        assert (
            self.deliver(body_for(attempt, ranking("late"), executionId="first"), to=attempt)
            is Receipt.STORED
        )

    def test_an_earlier_attempt_may_still_answer(self, ours: Document) -> None:
        accepted(retry(ours), "second")
        body = body_for(ours, ranking("late"), executionId="ours")
        assert self.deliver(body, to=ours) is Receipt.STORED
        assert names_stored(hot("202505")) == ["late"]
