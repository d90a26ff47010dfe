"""What is counted: each question and each end of a collection once, under what came of it."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
from pymongo.errors import ServerSelectionTimeoutError

from apps.core.storage import counters
from apps.core.storage.latency import LATENCY, histogram_of
from apps.core.storage.outages import redis_outage
from apps.mengla.choices import CollectionError, CollectionStatus, Priority
from apps.mengla.errors import CollectFailed, CollectTimeout, UnknownCategory
from apps.mengla.queue import jobs, removal
from apps.mengla.queue.overdue import fail_overdue
from apps.mengla.reading.read import read
from apps.mengla.store import outcomes
from tests.mengla.reading.test_figures_outages import closed_redis
from tests.mengla.support import (
    answer,
    begin_attempt,
    claim,
    enqueue,
    hot,
    make_overdue,
    ranking,
    reload,
    result_for,
)

pytestmark = [pytest.mark.django_db, pytest.mark.mongo, pytest.mark.redis]


def counted(kind: str) -> dict[str, int]:
    (today,) = counters.read_days(counters.STATS, days=1) or []
    return {
        field.removeprefix(f"{kind}:"): count
        for field, count in today.counts.items()
        if field.startswith(f"{kind}:")
    }


def durations(series: str) -> int:
    (today,) = counters.read_days(LATENCY, days=1) or []
    return histogram_of(series, today.counts).count


class TestReads:
    def test_each_by_the_tier_that_answered(self, sample_tree: Any) -> None:
        read(hot(), requested_by="tests")
        answer(claim(), result_for(hot()))
        for _ in range(3):
            read(hot(), requested_by="tests")
        found = counted("read")
        assert found.pop("hot:miss:collecting") == 1
        assert sum(found.values()) == 3
        assert {field.rpartition(":")[2] for field in found} == {"fresh"}
        assert found["hot:l1:fresh"] >= 1
        assert durations("read") == 4

    def test_an_empty_answer_and_a_refresh(self, sample_tree: Any) -> None:
        read(hot(), requested_by="tests")
        answer(claim(), ranking())
        read(hot(), requested_by="tests")
        read(hot(), requested_by="tests", is_refresh=True)
        found = counted("read")
        assert found["hot:refresh:collecting"] == 1
        assert sum(count for field, count in found.items() if field.endswith(":empty")) == 1

    def test_what_is_no_question_is_not_counted(self, sample_tree: Any) -> None:
        with pytest.raises(UnknownCategory):
            read(hot(cat_id="9999"), requested_by="tests")
        assert counted("read") == {}
        assert durations("read") == 0

    @pytest.mark.parametrize(
        ("error", "result"),
        [
            (CollectFailed("no"), "failed"),
            (CollectTimeout("no"), "failed"),
            (ServerSelectionTimeoutError("down"), "unavailable"),
        ],
    )
    def test_a_question_that_got_no_figures(self, error: Exception, result: str) -> None:
        with (
            pytest.raises(type(error)),
            outcomes.reading("hot", is_refresh=False, is_timed=True),
        ):
            raise error
        assert counted("read") == {f"hot:miss:{result}": 1}
        assert durations("read") == 0

    def test_who_waits_is_not_timed(self) -> None:
        with outcomes.reading("hot", is_refresh=False, is_timed=False) as one:
            one.result = outcomes.ReadResult.COLLECTED
        assert counted("read") == {"hot:miss:collected": 1}
        assert durations("read") == 0


class TestCollections:
    def test_by_who_asked_and_how_it_ended(self) -> None:
        answer(begin_attempt(hot("202501")), result_for(hot("202501")))
        answer(begin_attempt(hot("202502"), priority=Priority.BACKFILL), ranking())
        assert counted("collection") == {
            "hot:reader:succeeded:-": 1,
            "hot:backfill:empty:empty_list": 1,
        }
        assert durations("collection") == 2

    def test_an_answer_that_comes_twice_counts_once(self) -> None:
        attempt = begin_attempt(hot())
        for _ in range(3):
            answer(attempt, result_for(hot()))
        assert counted("collection") == {"hot:reader:succeeded:-": 1}
        assert durations("collection") == 1

    def test_retries_and_the_failure(self, settings: Any) -> None:
        settings.COLLECT_RETRY_DELAY_SECONDS = 0
        settings.COLLECT_MAX_ATTEMPTS = 2
        make_overdue(begin_attempt(hot()))
        fail_overdue()
        make_overdue(claim())
        fail_overdue()
        fail_overdue()
        assert counted("retry") == {"hot:reader:timeout": 1}
        assert counted("collection") == {"hot:reader:failed:timeout": 1}

    def test_one_that_was_given_up_and_answered_after_all(self, settings: Any) -> None:
        settings.COLLECT_MAX_ATTEMPTS = 1
        attempt = begin_attempt(hot())
        jobs.fail_attempt(
            attempt["_id"],
            attempt_token=attempt["attempt_token"],
            error=CollectionError.TIMEOUT,
            message="late",
        )
        answer(attempt, result_for(hot()))
        assert counted("collection") == {"hot:reader:failed:timeout": 1, "hot:reader:recovered:-": 1}

    def test_one_that_needed_no_request_has_no_duration(self) -> None:
        attempt = begin_attempt(hot())
        jobs.finish(attempt["_id"], status=CollectionStatus.SUCCEEDED, was_sent=False)
        assert counted("collection") == {"hot:reader:spared:-": 1}
        assert durations("collection") == 0

    def test_cancelled_together(self) -> None:
        for month in ("202501", "202502", "202503"):
            enqueue(hot(month))
        assert removal.cancel_pending({}) == 3
        assert removal.cancel_pending({}) == 0
        assert counted("collection") == {"-:-:cancelled:-": 3}
        ((labels, count),) = outcomes.each_counter({"collection:-:-:cancelled:-": 3}, outcomes.COLLECTION)
        assert (labels, count) == (["", "", "cancelled", ""], 3)

    def test_without_redis_the_answer_is_stored_and_nothing_is_counted(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        attempt = begin_attempt(hot())
        with monkeypatch.context() as without:
            without.setattr("apps.core.storage.redis.get_redis", closed_redis)
            answer(attempt, result_for(hot()))
        redis_outage.forget()
        assert counted("collection") == {}
        assert reload(attempt)["status"] == "SUCCEEDED"


def test_lookups_leave_out_who_skips_the_caches() -> None:
    counts = Counter(
        {
            "read:hot:l1:fresh": 5,
            "read:hot:l3:stale": 2,
            "read:hot:miss:collecting": 3,
            "read:hot:refresh:collecting": 100,
            "collection:hot:reader:succeeded:-": 9,
        }
    )
    assert outcomes.lookups_of(counts) == outcomes.Lookups(hits=7, total=10)
