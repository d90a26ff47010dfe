"""The present pace of a run, with documents of all ages and a fixed clock."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

import pytest
import redis
from bson import ObjectId

from apps.core.storage.mongo import collection_of
from apps.mengla.choices import Priority
from apps.mengla.models import Collection
from apps.mengla.queue.documents import new_document
from apps.mengla.runs import pace
from apps.mengla.upstream import breaker, spacing
from apps.sync_tasks.work import Rate
from tests.mengla.support import hot

pytestmark = [pytest.mark.django_db, pytest.mark.mongo, pytest.mark.redis]
RUN, OTHER = "a" * 24, "b" * 24
NOW = datetime(2026, 11, 30, 4)
HOUR_AGO = NOW - timedelta(hours=1)


@pytest.fixture(autouse=True)
def _clock(monkeypatch: pytest.MonkeyPatch, settings: Any) -> None:
    monkeypatch.setattr(pace, "utc_now", lambda: NOW)
    settings.COLLECT_INTERVAL_SECONDS = 0.0
    settings.MAX_INFLIGHT_REQUESTS = 4


def numbers() -> Iterator[int]:
    number = 0
    while True:
        number += 1
        yield number


_number = numbers()


def collection(run_id: str = RUN, *, sent: float, ended: float | None, status: str = "SUCCEEDED") -> None:
    """Store a collection that was sent and ended so many seconds ago; it is in flight without an end."""
    document = new_document(
        hot(cat_id=str(next(_number))),
        priority=Priority.BACKFILL,
        requested_by="tests",
        run_id=run_id,
        is_forced=False,
    )
    facts: dict[str, Any] = {
        "status": status if ended is not None else "DISPATCHED",
        "dispatched_at": NOW - timedelta(seconds=sent),
        "finished_at": None if ended is None else NOW - timedelta(seconds=ended),
        "execution_id": str(ObjectId()),
        "active_key": None,
        "slot": None,
    }

    collection_of(Collection).insert_one(document | facts)


def steadily(count: int, *, seconds: float, until: float = 0.0, run_id: str = RUN) -> None:
    """One after the other, each of so many seconds, the last one ended ``until`` seconds ago."""
    for number in range(count):
        collection(run_id, sent=until + (number + 1) * seconds, ended=until + number * seconds)


def per_minute(started_at: datetime = HOUR_AGO) -> Rate:
    rate = pace.rate_of_run(RUN, started_at)
    return Rate(round(rate.per_minute, 1), rate.measured, rate.is_own)


def test_a_steady_run_has_its_pace() -> None:
    steadily(30, seconds=2)
    assert per_minute() == Rate(30.0, 30)


def test_an_outage_is_forgotten_as_soon_as_it_is_over() -> None:
    steadily(20, seconds=2, until=320)  # five minutes of outage
    steadily(10, seconds=2)
    assert per_minute() == Rate(30.0, 10)


def test_the_first_request_after_an_outage_takes_the_pace_of_before() -> None:
    steadily(20, seconds=2, until=300)
    collection(sent=1, ended=None)
    assert per_minute() == Rate(30.0, 20)


def test_nothing_ends_during_an_outage() -> None:
    steadily(20, seconds=2, until=60)
    assert per_minute() == Rate(0.0)


def test_the_time_in_which_others_were_answered_counts() -> None:
    steadily(10, seconds=2, until=20)
    steadily(10, seconds=2, run_id=OTHER)  # more urgent
    assert per_minute() == Rate(15.0, 10)


def test_only_the_collections_of_others_that_timed_out_are_no_answers() -> None:
    steadily(10, seconds=2, until=120)
    collection(OTHER, sent=100, ended=60, status="FAILED")
    steadily(10, seconds=2)
    assert per_minute() == Rate(30.0, 10)


def test_a_run_that_has_begun_rests_on_what_others_took() -> None:
    steadily(10, seconds=8, until=30, run_id=OTHER)
    collection(sent=3, ended=None)
    assert per_minute(NOW - timedelta(seconds=4)) == Rate(30.0, 10, is_own=False)


def test_a_run_of_which_nothing_was_sent_has_no_pace_when_nothing_is_done() -> None:
    steadily(10, seconds=8, until=30, run_id=OTHER)
    begun = NOW - timedelta(seconds=20)
    assert per_minute(begun) == Rate(0.0)
    collection(OTHER, sent=15, ended=2)  # before the run
    assert per_minute(begun).per_minute > 0
    assert per_minute(NOW - timedelta(seconds=2)).per_minute > 0  # it has only begun


@pytest.mark.parametrize("in_flight", [False, True])
def test_what_holds_all_runs_back_leaves_no_pace(
    in_flight: bool, redis_client: redis.Redis, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    steadily(10, seconds=2, run_id=OTHER)
    steadily(5, seconds=2, until=4)
    if in_flight:  # a probe
        collection(sent=1, ended=None)
    for run_id in (RUN, "c" * 24):
        assert pace.rate_of_run(run_id, HOUR_AGO).per_minute > 0
    for _ in range(settings.CB_FAILURE_THRESHOLD):
        breaker.record_failure("service_error")
    for run_id in (RUN, "c" * 24):
        assert pace.rate_of_run(run_id, HOUR_AGO) == Rate(0.0)
    redis_client.flushdb()
    redis_client.set(spacing.PAUSE_KEY, 1, px=300_000)
    assert per_minute() == Rate(0.0)
    redis_client.flushdb()
    assert per_minute().per_minute > 0
    settings.COLLECT_WINDOW_START, settings.COLLECT_WINDOW_END = "13:00", "18:00"
    monkeypatch.setattr("apps.mengla.queue.window.utc_now", lambda: NOW)
    assert per_minute() == Rate(0.0)


def test_the_first_answer_is_no_faster_than_requests_are_sent(settings: Any) -> None:
    settings.COLLECT_INTERVAL_SECONDS = 2.0
    collection(sent=0.1, ended=0.0)
    assert per_minute() == Rate(30.0, 1)


def test_without_any_answer_the_pace_is_not_known() -> None:
    assert per_minute() == Rate(0.0)


def test_the_time_before_the_collecting_window_does_not_count(
    settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    steadily(10, seconds=2, until=100, run_id=OTHER)  # readers are answered at any time
    steadily(10, seconds=2, until=3600)
    steadily(5, seconds=4)
    settings.COLLECT_WINDOW_START, settings.COLLECT_WINDOW_END = "11:59", "18:00"
    monkeypatch.setattr("apps.mengla.queue.window.utc_now", lambda: NOW)
    assert per_minute(NOW - timedelta(hours=5)) == Rate(15.0, 5)


def test_requests_sent_together_count_each() -> None:
    for second in range(10):
        for _ in range(4):
            collection(sent=second + 1, ended=second)
    assert per_minute() == Rate(240.0, 40)


def test_a_slow_request_in_flight_is_part_of_the_time() -> None:
    steadily(2, seconds=5, until=50)
    collection(sent=50, ended=None)
    assert per_minute() == Rate(2.0, 2)


def test_a_joined_collection_does_not_count_before_the_run() -> None:
    collection(sent=900, ended=2)
    collection(sent=4, ended=0)
    assert per_minute(NOW - timedelta(seconds=10)) == Rate(12.0, 2)
