"""Waiting for a collection, only for who asks to; what happens meanwhile happens while the reader sleeps."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from rest_framework.test import APIClient

from apps.core.storage.mongo import collection_of
from apps.mengla.choices import CollectionError
from apps.mengla.models import Collection
from apps.mengla.queue import jobs, removal
from apps.mengla.reading import read as query_service
from apps.mengla.simulator.server import Simulator
from tests.conftest import bearer_client
from tests.mengla.support import (
    answer,
    claim,
    collections,
    figures_of,
    hot,
    points,
    ranking,
    statuses,
    store,
    trend,
)

pytestmark = [
    pytest.mark.django_db,
    pytest.mark.mongo,
    pytest.mark.redis,
    pytest.mark.usefixtures("sample_tree"),
]
ASK = {"primaryCatId": "1001", "action": "hot", "timest": "2025-06"}
HALF_YEAR = {
    "primaryCatId": "1001",
    "action": "industryTrendRange",
    "timest": "2025-06",
    "starRange": "2025-01",
    "endRange": "2025-06",
}


class SleepingTime:
    """Stands in for the ``time`` of the read path: sleeping takes no time and lets something happen."""

    def __init__(self) -> None:
        self.slept = 0.0
        self.events: list[Callable[[], Any]] = []

    def time(self) -> float:
        return time.time()

    def monotonic(self) -> float:
        return self.slept

    def sleep(self, seconds: float) -> None:
        self.slept += seconds
        if self.events:
            self.events.pop(0)()

    def meanwhile(self, *events: Callable[[], Any]) -> None:
        self.events = list(events)


@pytest.fixture
def sleeping(monkeypatch: pytest.MonkeyPatch) -> SleepingTime:
    sleeping = SleepingTime()
    monkeypatch.setattr(query_service, "time", sleeping)
    return sleeping


def fail(error: CollectionError, message: str) -> None:
    attempt = claim()
    jobs.fail_attempt(
        attempt["_id"],
        attempt_token=attempt["attempt_token"],
        error=error,
        message=message,
        is_permanent=True,
    )


def get(reader: APIClient, parameters: dict[str, str] | None = None, **changes: Any) -> Any:
    return reader.get("/api/mengla/", {**(parameters or ASK), **changes})


class TestOne:
    def test_gets_the_figures_the_moment_they_are_there(
        self, reader: APIClient, sleeping: SleepingTime
    ) -> None:
        sleeping.meanwhile(claim, lambda: None, lambda: answer(collections()[0], ranking("just now")))
        response = get(reader, wait=30)
        assert response.status_code == 200
        assert response.json()["data"]["list"] == [{"catName": "just now"}]
        assert response.headers["X-MengLa-Source"] == "fresh"
        assert response.headers["X-MengLa-Freshness"] == "fresh"
        assert sleeping.slept < 1

    def test_is_told_where_it_stands_when_the_time_is_over(
        self, reader: APIClient, sleeping: SleepingTime
    ) -> None:
        response = get(reader, wait=7)
        assert response.status_code == 202
        assert response.json()["data"]["collection"]["status"] == "PENDING"
        assert sleeping.slept == pytest.approx(7)

    def test_learns_that_there_are_none(self, reader: APIClient, sleeping: SleepingTime) -> None:
        sleeping.meanwhile(lambda: answer(claim(), ranking()))
        response = get(reader, wait=30)
        assert (response.status_code, response.json()["data"]) == (200, None)
        assert response.headers["X-MengLa-Freshness"] == "empty"

    @pytest.mark.parametrize(
        ("error", "status", "code"),
        [
            (CollectionError.EXECUTION_FAILED, 502, "COLLECT_FAILED"),
            (CollectionError.REJECTED, 502, "COLLECT_FAILED"),
            (CollectionError.TIMEOUT, 504, "COLLECT_TIMEOUT"),
        ],
    )
    def test_learns_that_it_failed_and_why(
        self, reader: APIClient, sleeping: SleepingTime, error: CollectionError, status: int, code: str
    ) -> None:
        sleeping.meanwhile(lambda: fail(error, "Browser crashed"))
        response = get(reader, wait=30)
        assert (response.status_code, response.json()["error"]) == (status, code)
        assert response.json()["detail"] == f"{error.value}: Browser crashed"

    def test_learns_that_it_was_cancelled(self, reader: APIClient, sleeping: SleepingTime) -> None:
        sleeping.meanwhile(lambda: removal.cancel_pending({}))
        response = get(reader, wait=30)
        assert (response.status_code, response.json()["error"]) == (502, "COLLECT_FAILED")
        assert "cancelled" in response.json()["message"]

    def test_learns_that_it_was_deleted(self, reader: APIClient, sleeping: SleepingTime) -> None:
        sleeping.meanwhile(lambda: collection_of(Collection).delete_many({}))
        response = get(reader, wait=30)
        assert (response.status_code, response.json()["error"]) == (502, "COLLECT_FAILED")

    def test_a_retry_is_no_end(self, reader: APIClient, sleeping: SleepingTime) -> None:
        def fail_once() -> None:
            attempt = claim()
            jobs.fail_attempt(
                attempt["_id"],
                attempt_token=attempt["attempt_token"],
                error=CollectionError.TIMEOUT,
                message="late",
            )

        sleeping.meanwhile(fail_once, lambda: answer(claim(), ranking("second try")))
        response = get(reader, wait=30)
        assert response.json()["data"]["list"] == [{"catName": "second try"}]

    def test_who_has_an_answer_does_not_wait(self, reader: APIClient, sleeping: SleepingTime) -> None:
        store(hot())
        assert get(reader, wait=30).status_code == 200
        assert sleeping.slept == 0

    def test_a_request_waits_only_if_it_asks_to(self, reader: APIClient, sleeping: SleepingTime) -> None:
        for changes in ({}, {"wait": 0}):
            assert get(reader, **changes).status_code == 202
        assert sleeping.slept == 0

    def test_a_failure_is_no_error_for_who_does_not_wait(
        self, reader: APIClient, sleeping: SleepingTime
    ) -> None:
        get(reader)
        fail(CollectionError.REJECTED, "no")
        assert get(reader).status_code == 202
        assert statuses() == ["FAILED", "PENDING"]

    def test_a_refresh_may_be_waited_for(self, reader: APIClient, sleeping: SleepingTime) -> None:
        store(hot(), ranking("old"))
        sleeping.meanwhile(lambda: answer(claim(), ranking("new")))
        response = get(reader, refresh="true", wait=30)
        assert response.json()["data"]["list"] == [{"catName": "new"}]
        assert response.headers["X-MengLa-Source"] == "fresh"

    def test_posts_wait_as_well(self, reader: APIClient, sleeping: SleepingTime) -> None:
        sleeping.meanwhile(lambda: answer(claim(), ranking("posted")))
        body = {"catId": "1001", "timest": "2025-06", "wait": 30}
        response = reader.post("/api/mengla/hot", body, format="json")
        assert response.json()["data"]["list"] == [{"catName": "posted"}]


class TestTrends:
    @pytest.fixture(autouse=True)
    def _half_stored(self) -> None:
        store(trend("202501", "202503"), points(p202501=1, p202502=2, p202503=3))

    def test_the_missing_points_are_waited_for(self, reader: APIClient, sleeping: SleepingTime) -> None:
        for _ in range(2):  # also when the partial answer is in the caches already
            sleeping.meanwhile(lambda: None)
            assert get(reader, HALF_YEAR, wait=1).headers["X-MengLa-Trend-Partial"] == "6,3"
        sleeping.meanwhile(lambda: answer(claim(), points(p202504=4, p202505=5, p202506=6)))
        response = get(reader, HALF_YEAR, wait=30)
        assert [point["monthSales"] for point in response.json()["data"]] == [1, 2, 3, 4, 5, 6]
        assert "X-MengLa-Trend-Partial" not in response.headers
        assert response.headers["X-MengLa-Source"] == "fresh"

    def test_whatever_happens_the_stored_ones_are_served(
        self, reader: APIClient, sleeping: SleepingTime
    ) -> None:
        for event in (lambda: fail(CollectionError.REJECTED, "no"), lambda: removal.cancel_pending({})):
            sleeping.meanwhile(event)
            response = get(reader, HALF_YEAR, wait=30)
            assert response.status_code == 200
            assert response.headers["X-MengLa-Trend-Partial"] == "6,3"
            assert response.headers["X-MengLa-Source"] == "l3"


class TestMany:
    def test_at_most_half_of_the_threads_wait(
        self, reader_token: str, settings: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Ten readers of a process with four threads: two wait, the others get their 202 at once."""
        settings.WEB_THREADS = 4
        asleep = threading.Semaphore(0)
        answered = threading.Event()

        class Blocking(SleepingTime):
            def sleep(self, seconds: float) -> None:
                asleep.release()
                assert answered.wait(30)

        monkeypatch.setattr(query_service, "time", Blocking())

        def ask(_number: int) -> int:
            status: int = get(bearer_client(reader_token), wait=30).status_code
            return status

        with ThreadPoolExecutor(10) as pool:
            asked = [pool.submit(ask, number) for number in range(10)]
            assert asleep.acquire(timeout=30) and asleep.acquire(timeout=30)
            at_once = [one.result(30) for one in _first_done(asked, 8)]
            assert at_once == [202] * 8
            answer(claim(), ranking("now"))
            answered.set()
            assert sorted(one.result(30) for one in asked) == [200, 200] + [202] * 8

    def test_the_places_are_free_again_afterwards(
        self, reader: APIClient, sleeping: SleepingTime, settings: Any
    ) -> None:
        settings.WEB_THREADS = 2
        for number, end in enumerate([ranking("a"), ranking(), None]):
            month = f"2025-0{number + 1}"
            sleeping.meanwhile(
                lambda end=end: answer(claim(), end) if end else fail(CollectionError.REJECTED, "x")
            )
            assert get(reader, wait=30, timest=month).status_code in (200, 502)
        assert sleeping.slept < 1

    def test_many_at_once_cost_one_request(
        self, service: Simulator, collect_all: Callable[[], int], reader_token: str
    ) -> None:
        with ThreadPoolExecutor(50) as pool:
            responses = list(pool.map(lambda _: get(bearer_client(reader_token)), range(50)))
        assert {response.status_code for response in responses} == {202}
        assert len({response.json()["data"]["collection"]["id"] for response in responses}) == 1
        assert collect_all() == 1
        assert service.stats()["executions"] == 1
        body = get(bearer_client(reader_token)).json()
        assert body["data"]["list"] == figures_of(hot())["list"]


def _first_done(futures: list[Any], count: int) -> list[Any]:
    """The first so many of the futures that are done, as soon as there are."""
    deadline = time.monotonic() + 30
    while len(done := [future for future in futures if future.done()]) < count:
        assert time.monotonic() < deadline, "readers beyond the places for waiting did not return"
        time.sleep(0.01)
    return done
