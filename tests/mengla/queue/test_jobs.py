"""The queue: single flight, claims, slots, retries; each step also against states it must not touch."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest

from apps.core.storage.database.client import Client
from apps.core.storage.mongo import utc_now
from apps.mengla.choices import CollectionError, CollectionStatus, EmptyReason, Priority
from apps.mengla.queue import jobs, removal
from apps.mengla.queue.overdue import fail_overdue
from apps.mengla.store import selectors
from tests.mengla.support import (
    Document,
    begin_attempt,
    change,
    claim,
    collections,
    enqueue,
    hot,
    make_overdue,
    reload,
    trend,
)

pytestmark = [pytest.mark.django_db, pytest.mark.mongo, pytest.mark.redis]
RUN = "0123456789abcdef01234567"
THREADS = 50


def fail(attempt: Document, **options: Any) -> CollectionStatus | None:
    return jobs.fail_attempt(
        attempt["_id"],
        attempt_token=options.pop("attempt_token", attempt["attempt_token"]),
        error=options.pop("error", CollectionError.SERVICE_ERROR),
        message=options.pop("message", "it broke"),
        **options,
    )


def at_once(step: Callable[[int], Any], count: int = THREADS) -> list[Any]:
    with ThreadPoolExecutor(count) as pool:
        return list(pool.map(step, range(count)))


@pytest.fixture
def operations(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Return a list of MongoDB's operations from now on."""
    noted: list[Any] = []
    send = Client._retry_internal

    def note(client: Client, *args: Any, **options: Any) -> Any:
        noted.append(args)
        return send(client, *args, **options)

    monkeypatch.setattr(Client, "_retry_internal", note)
    return noted


class TestEnqueue:
    def test_a_new_question_waits_for_its_turn(self) -> None:
        before = utc_now()
        enqueued = jobs.enqueue(
            trend("202501", "202506", product_id="p", extra={"a": 1}),
            priority=Priority.READER,
            requested_by="ana",
        )
        assert enqueued.is_new
        (collection,) = collections()
        assert collection["_id"] == enqueued.collection_id
        assert collection["status"] == "PENDING"
        assert (collection["start_key"], collection["end_key"]) == ("202501", "202506")
        assert (collection["product_id"], collection["extra"]) == ("p", {"a": 1})
        assert collection["active_key"] == collection["identity"]
        assert (collection["attempts"], collection["requested_by"]) == (0, "ana")
        assert before <= collection["not_before"] <= utc_now()

    def test_many_askers_at_once_share_one_collection(self) -> None:
        enqueued = at_once(lambda _: jobs.enqueue(hot(), priority=Priority.READER, requested_by="tests"))
        assert len({one.collection_id for one in enqueued}) == 1
        assert sum(one.is_new for one in enqueued) == 1
        assert len(collections()) == 1

    @pytest.mark.parametrize(
        "other",
        [
            hot("202507"),
            hot(cat_id="1002"),
            hot(product_id="1"),
            hot(extra={"a": 1}),
            trend("202506", "202506"),
        ],
    )
    def test_another_question_is_another_collection(self, other: Any) -> None:
        assert enqueue(hot()) != enqueue(other)

    def test_two_ranges_of_one_trend_are_two_collections(self) -> None:
        assert enqueue(trend("202501", "202506")) != enqueue(trend("202501", "202507"))

    @pytest.mark.parametrize(
        ("first", "second", "expected"),
        [
            (Priority.BACKFILL, Priority.READER, Priority.READER),
            (Priority.READER, Priority.BACKFILL, Priority.READER),
        ],
    )
    def test_joining_takes_the_higher_priority(
        self, first: Priority, second: Priority, expected: Priority
    ) -> None:
        enqueue(hot(), first)
        enqueue(hot(), second)
        (collection,) = collections()
        assert collection["priority"] == expected

    def test_joining_remembers_every_run_once(self) -> None:
        enqueue(hot(), run_id=RUN)
        enqueue(hot())
        enqueue(hot(), run_id=RUN)
        enqueue(hot(), run_id="f" * 24)
        assert collections()[0]["run_ids"] == [RUN, "f" * 24]

    def test_joining_may_demand_but_never_undo_that_it_is_asked_anew(self) -> None:
        enqueue(hot())
        enqueue(hot(), is_forced=True)
        enqueue(hot())
        assert collections()[0]["is_forced"] is True

    def test_what_is_already_sent_is_joined_too(self) -> None:
        attempt = begin_attempt(hot())
        assert enqueue(hot()) == attempt["_id"]

    @pytest.mark.parametrize("ending", ["succeeded", "failed", "cancelled"])
    def test_what_has_ended_is_not_joined(self, ending: str) -> None:
        if ending == "cancelled":
            first = enqueue(hot())
            assert removal.cancel_pending({"_id": first}) == 1
        else:
            attempt = begin_attempt(hot())
            first = attempt["_id"]
            if ending == "failed":
                fail(attempt, is_permanent=True)
            else:
                jobs.finish(first, status=CollectionStatus.SUCCEEDED)
        assert enqueue(hot()) != first


class TestClaim:
    def test_an_attempt_has_a_token_a_slot_and_a_lease(self) -> None:
        before = utc_now()
        attempt = begin_attempt(hot())
        assert attempt == reload(attempt)
        assert (attempt["status"], attempt["attempts"]) == ("DISPATCHED", 1)
        assert len(attempt["attempt_token"]) >= 32
        assert attempt["past_tokens"] == [attempt["attempt_token"]]
        assert attempt["slot"] is not None
        assert attempt["dispatched_at"] >= before
        assert attempt["lease_until"] > before + timedelta(seconds=10)

    def test_nothing_to_claim(self) -> None:
        assert jobs.claim(slot_count=1) is None

    def test_readers_go_first_then_who_waits_longest(self) -> None:
        order = [
            enqueue(hot("202501"), Priority.BACKFILL),
            enqueue(hot("202502"), Priority.SCHEDULED),
            enqueue(hot("202503"), Priority.READER),
            enqueue(hot("202504"), Priority.MANUAL),
            enqueue(hot("202505"), Priority.READER),
        ]
        for number, collection_id in enumerate(order):
            change({"_id": collection_id}, created_at=utc_now() + timedelta(milliseconds=number))
        assert [order.index(claim()["_id"]) for _ in order] == [2, 4, 3, 1, 0]

    def test_a_reader_who_joins_pulls_it_to_the_front(self) -> None:
        enqueue(hot("202501"), Priority.SCHEDULED)
        wanted = enqueue(hot("202502"), Priority.BACKFILL)
        enqueue(hot("202502"), Priority.READER)
        assert claim()["_id"] == wanted

    def test_what_is_not_due_yet_stays(self) -> None:
        collection_id = enqueue(hot())
        change({"_id": collection_id}, not_before=utc_now() + timedelta(seconds=60))
        assert jobs.claim(slot_count=1) is None
        assert 50 < (selectors.seconds_until_due() or 0) <= 60

    def test_due_now_later_and_nothing(self) -> None:
        assert selectors.seconds_until_due() is None
        enqueue(hot())
        assert selectors.seconds_until_due() == 0

    def test_never_more_in_flight_than_there_are_slots(self) -> None:
        for month in ("202501", "202502", "202503"):
            enqueue(hot(month))
        assert selectors.has_free_slot(2)
        first = jobs.claim(slot_count=2)
        assert jobs.claim(slot_count=2) is not None
        assert not selectors.has_free_slot(2)
        assert jobs.claim(slot_count=2) is None
        assert first is not None
        fail(first)
        assert selectors.has_free_slot(2)
        assert jobs.claim(slot_count=2) is not None

    @pytest.mark.parametrize("limit", [1, 3])
    def test_claims_at_once_get_different_ones_within_the_slots(self, limit: int) -> None:
        for number in range(1, 13):
            enqueue(hot(f"2025{number:02}"))
        claim_some: Any = [lambda: [jobs.claim(slot_count=5)], lambda: jobs.claim_many(limit, slot_count=5)]
        claims = at_once(lambda number: claim_some[limit > 1 and number % 2](), 20)
        claimed = [one for some in claims for one in some if one]
        assert len({one["_id"] for one in claimed}) == len(claimed)
        in_flight = collections(status="DISPATCHED")
        assert {one["_id"] for one in claimed} == {one["_id"] for one in in_flight}
        assert 1 <= len(in_flight) <= 5
        assert len({one["slot"] for one in in_flight}) == len(in_flight)

    def test_several_are_claimed_in_the_same_order_each_as_if_alone(self, operations: list[Any]) -> None:
        assert jobs.claim_many(4, slot_count=3) == []
        order = [Priority.BACKFILL, Priority.READER, Priority.BACKFILL, Priority.MANUAL, Priority.MANUAL]
        ids = [enqueue(hot(f"20250{number}"), priority) for number, priority in enumerate(order, 1)]
        for number, collection_id in enumerate(ids):
            change({"_id": collection_id}, created_at=utc_now() + timedelta(milliseconds=number))
        change({"_id": ids[3]}, not_before=utc_now() + timedelta(seconds=60))
        operations.clear()
        claimed = jobs.claim_many(2, slot_count=3)
        assert len(operations) == 4  # slots, the next ones, update, result
        assert [ids.index(one["_id"]) for one in claimed] == [1, 4]
        assert claimed == [reload(one) for one in claimed]
        alone = jobs.claim(slot_count=3)
        assert alone is not None
        changing = {"_id", "identity", "active_key", "start_key", "end_key", "priority", "slot"}
        same = alone.keys() - changing - {"attempt_token", "past_tokens"}
        for one in claimed:
            assert {name: type(one[name]) for name in same} == {name: type(alone[name]) for name in same}
            assert (one["status"], one["attempts"]) == ("DISPATCHED", 1)
            assert one["past_tokens"] == [one["attempt_token"]]
        assert len({one["attempt_token"] for one in [*claimed, alone]}) == 3
        assert jobs.claim_many(9, slot_count=3) == []  # no slot is free
        assert [ids.index(one["_id"]) for one in jobs.claim_many(9, slot_count=9)] == [2]

    def test_a_retry_gets_another_token_and_the_older_one_stays_known(self) -> None:
        first = begin_attempt(hot())
        fail(first)
        second = claim()
        assert second["attempts"] == 2
        assert second["attempt_token"] != first["attempt_token"]
        assert second["past_tokens"] == [first["attempt_token"], second["attempt_token"]]

    def test_known_tokens_are_bounded(self, settings: Any) -> None:
        settings.COLLECT_MAX_ATTEMPTS = 100
        attempt = begin_attempt(hot())
        for _ in range(30):
            fail(attempt)
            attempt = claim()
        assert len(attempt["past_tokens"]) == 20
        assert attempt["past_tokens"][-1] == attempt["attempt_token"]


class TestAccepted:
    def test_the_answer_is_expected_within_the_time_for_it(self, settings: Any) -> None:
        settings.MENGLA_TIMEOUT_SECONDS = 1000
        attempt = begin_attempt(hot())
        jobs.mark_accepted([jobs.Accepted(attempt["_id"], attempt["attempt_token"], "x1")])
        accepted = reload(attempt)
        assert accepted["execution_id"] == "x1"
        assert accepted["lease_until"] > utc_now() + timedelta(seconds=900)

    def test_after_the_answer_only_the_execution_is_noted(self) -> None:
        attempt = begin_attempt(hot())
        jobs.finish(attempt["_id"], status=CollectionStatus.SUCCEEDED)
        jobs.mark_accepted([jobs.Accepted(attempt["_id"], attempt["attempt_token"], "x1")])
        ended = reload(attempt)
        assert (ended["status"], ended["execution_id"], ended["lease_until"]) == ("SUCCEEDED", "x1", None)

    def test_an_older_attempt_changes_nothing(self) -> None:
        first = begin_attempt(hot())
        fail(first)
        second = claim()
        jobs.mark_accepted([jobs.Accepted(first["_id"], first["attempt_token"], "old")])
        assert reload(first) == second


class TestEnds:
    def test_success_frees_the_question_and_the_slot(self) -> None:
        attempt = begin_attempt(hot())
        assert jobs.finish(attempt["_id"], status=CollectionStatus.SUCCEEDED)
        ended = reload(attempt)
        assert ended["status"] == "SUCCEEDED"
        assert (ended["active_key"], ended["slot"], ended["lease_until"]) == (None, None, None)
        assert ended["finished_at"] >= ended["dispatched_at"]

    def test_it_ends_once(self) -> None:
        attempt = begin_attempt(hot())
        results = at_once(lambda _: jobs.finish(attempt["_id"], status=CollectionStatus.SUCCEEDED), 10)
        assert sum(results) == 1

    def test_empty_has_a_reason(self) -> None:
        attempt = begin_attempt(hot())
        assert jobs.finish(
            attempt["_id"],
            status=CollectionStatus.EMPTY,
            empty_reason=EmptyReason.EMPTY_LIST,
            attempt_token=attempt["attempt_token"],
        )
        ended = reload(attempt)
        assert (ended["status"], ended["empty_reason"]) == ("EMPTY", "empty_list")

    def test_empty_of_an_older_attempt_ends_nothing(self) -> None:
        first = begin_attempt(hot())
        fail(first)
        second = claim()
        assert not jobs.finish(
            first["_id"], status=CollectionStatus.EMPTY, attempt_token=first["attempt_token"]
        )
        assert reload(first) == second

    @pytest.mark.parametrize("is_permanent", [False, True])
    def test_a_late_success_ends_what_waits_for_its_retry_or_was_given_up(self, is_permanent: bool) -> None:
        attempt = begin_attempt(hot())
        fail(attempt, is_permanent=is_permanent)
        assert jobs.finish(attempt["_id"], status=CollectionStatus.SUCCEEDED)
        ended = reload(attempt)
        assert (ended["status"], ended["error_code"], ended["error_message"]) == ("SUCCEEDED", "", "")

    def test_a_late_success_does_not_revive_what_was_cancelled(self) -> None:
        collection_id = enqueue(hot())
        removal.cancel_pending({"_id": collection_id})
        assert not jobs.finish(collection_id, status=CollectionStatus.SUCCEEDED)
        assert reload({"_id": collection_id})["status"] == "CANCELLED"


class TestFailures:
    def test_are_retried_after_the_delay(self, settings: Any) -> None:
        settings.COLLECT_RETRY_DELAY_SECONDS = 100
        attempt = begin_attempt(hot())
        assert fail(attempt) == CollectionStatus.PENDING
        waiting = reload(attempt)
        assert (waiting["status"], waiting["slot"], waiting["lease_until"]) == ("PENDING", None, None)
        assert (waiting["error_code"], waiting["error_message"]) == ("service_error", "it broke")
        assert waiting["active_key"] == waiting["identity"]
        assert 90 < (waiting["not_before"] - utc_now()).total_seconds() <= 100

    @pytest.mark.parametrize("max_attempts", [1, 2, 5])
    def test_up_to_the_number_of_attempts(self, settings: Any, max_attempts: int) -> None:
        settings.COLLECT_MAX_ATTEMPTS = max_attempts
        enqueue(hot())
        statuses = [fail(claim()) for _ in range(max_attempts)]
        assert statuses == [CollectionStatus.PENDING] * (max_attempts - 1) + [CollectionStatus.FAILED]
        (ended,) = collections()
        assert (ended["status"], ended["active_key"], ended["slot"]) == ("FAILED", None, None)
        assert (ended["error_code"], ended["attempts"]) == ("service_error", max_attempts)
        assert ended["finished_at"] is not None

    def test_a_permanent_one_is_not_retried(self) -> None:
        attempt = begin_attempt(hot())
        assert fail(attempt, is_permanent=True) == CollectionStatus.FAILED

    def test_of_an_older_attempt_change_nothing(self) -> None:
        first = begin_attempt(hot())
        fail(first)
        second = claim()
        assert fail(first, is_permanent=True) is None
        assert reload(first) == second

    @pytest.mark.parametrize("status", ["PENDING", "SUCCEEDED"])
    def test_change_nothing_when_no_attempt_is_under_way(self, status: str) -> None:
        attempt = begin_attempt(hot())
        change(attempt, status=status)
        assert fail(attempt) is None
        assert reload(attempt)["status"] == status

    def test_are_counted_once(self) -> None:
        attempt = begin_attempt(hot())
        assert at_once(lambda _: fail(attempt), 10).count(CollectionStatus.PENDING) == 1

    def test_a_long_reason_is_cut(self) -> None:
        attempt = begin_attempt(hot())
        fail(attempt, message="я" * 10_000)
        assert reload(attempt)["error_message"] == "я" * 500


class TestOverdue:
    def test_an_unanswered_attempt_is_retried_then_given_up(self) -> None:
        for expected in ("PENDING", "FAILED"):
            attempt = claim() if collections() else begin_attempt(hot())
            jobs.mark_accepted([jobs.Accepted(attempt["_id"], attempt["attempt_token"], "x")])
            make_overdue(attempt)
            assert fail_overdue() == 1
            overdue = reload(attempt)
            assert (overdue["status"], overdue["error_code"]) == (expected, "timeout")
        assert overdue["error_message"] == "No answer came in time."

    def test_an_attempt_whose_worker_died_before_the_service_took_it(self) -> None:
        attempt = begin_attempt(hot())
        make_overdue(attempt)
        fail_overdue()
        assert "worker" in reload(attempt)["error_message"]

    def test_others_are_left(self) -> None:
        attempt = begin_attempt(hot())
        enqueue(hot("202507"))
        assert fail_overdue() == 0
        assert reload(attempt) == attempt


class TestCancelling:
    def test_takes_only_what_waits_and_matches(self) -> None:
        sent = begin_attempt(hot("202501"))
        meant = enqueue(hot("202502"), run_id=RUN)
        other = enqueue(hot("202503"))
        assert removal.cancel_pending({"run_ids": RUN}) == 1
        assert removal.cancel_pending({"_id": sent["_id"]}) == 0
        cancelled = reload({"_id": meant})
        assert (cancelled["status"], cancelled["active_key"]) == ("CANCELLED", None)
        assert cancelled["finished_at"] is not None
        assert reload({"_id": other})["status"] == "PENDING"
