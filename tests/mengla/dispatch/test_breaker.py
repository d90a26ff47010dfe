"""The shared circuit breaker; time passes by moving what Redis remembers into the past."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import redis

from apps.mengla.dispatch.waiting import outage
from apps.mengla.upstream import breaker
from apps.mengla.upstream.breaker import BreakerState

pytestmark = pytest.mark.redis
THRESHOLD = 3
SUCCESSES = 2
TIMEOUT_SECONDS = 6000
MARGIN_SECONDS = 60  # that may pass between two steps on a slow machine


@pytest.fixture(autouse=True)
def _thresholds(settings: Any) -> None:
    settings.CB_FAILURE_THRESHOLD = THRESHOLD
    settings.CB_SUCCESS_THRESHOLD = SUCCESSES
    settings.CB_TIMEOUT = TIMEOUT_SECONDS
    settings.COLLECT_REQUEST_TIMEOUT_SECONDS = 10
    settings.COLLECT_SERVICE_URL = "http://service"


@pytest.fixture
def pass_time(redis_client: redis.Redis) -> Callable[[float], None]:
    def shift(seconds: float) -> None:
        for field in ("opened_at", "probe_until"):
            value = redis_client.hget(breaker.KEY, field)
            if value is not None:
                redis_client.hset(breaker.KEY, field, int(value) - int(seconds * 1000))

    return shift


def fail(times: int = 1) -> None:
    for _ in range(times):
        breaker.record_failure("connect_error")


def state() -> BreakerState:
    return breaker.snapshot().state


class TestClosed:
    def test_everything_may_pass(self) -> None:
        assert [breaker.ask_permission().wait_seconds for _ in range(5)] == [0] * 5
        assert state() is BreakerState.CLOSED
        assert breaker.snapshot().next_probe_seconds == 0

    def test_opens_after_so_many_failures_in_a_row(self) -> None:
        fail(THRESHOLD - 1)
        assert state() is BreakerState.CLOSED
        fail()
        assert state() is BreakerState.OPEN
        assert TIMEOUT_SECONDS - MARGIN_SECONDS < breaker.ask_permission().wait_seconds <= TIMEOUT_SECONDS

    def test_a_success_starts_the_count_anew(self) -> None:
        fail(THRESHOLD - 1)
        breaker.record_success()
        fail(THRESHOLD - 1)
        assert state() is BreakerState.CLOSED

    def test_failures_at_once_are_all_counted(self, settings: Any) -> None:
        settings.CB_FAILURE_THRESHOLD = 50
        with ThreadPoolExecutor(10) as pool:
            list(pool.map(lambda _: breaker.record_failure("connect_error"), range(50)))
        assert breaker.snapshot().failures == 50
        assert state() is BreakerState.OPEN


class TestOpen:
    def test_nothing_may_pass_until_its_time_is_over(self, pass_time: Callable[[float], None]) -> None:
        fail(THRESHOLD)
        pass_time(TIMEOUT_SECONDS - 500)
        assert 500 - MARGIN_SECONDS < breaker.ask_permission().wait_seconds <= 500
        assert breaker.snapshot().next_probe_seconds > 0
        pass_time(501)
        assert breaker.snapshot().next_probe_seconds == 0
        assert breaker.ask_permission().wait_seconds == 0

    def test_a_late_failure_does_not_prolong_it(self, pass_time: Callable[[float], None]) -> None:
        fail(THRESHOLD)
        pass_time(TIMEOUT_SECONDS - 500)
        fail()
        assert breaker.ask_permission().wait_seconds <= 500

    def test_a_late_success_does_not_close_it(self) -> None:
        fail(THRESHOLD)
        breaker.record_success()
        assert state() is BreakerState.OPEN

    def test_readers_are_told(self) -> None:
        assert outage(breaker.snapshot()) is None
        fail(THRESHOLD)
        assert outage(breaker.snapshot()) is not None


class TestHalfOpen:
    @pytest.fixture(autouse=True)
    def _half_open(self, pass_time: Callable[[float], None]) -> None:
        fail(THRESHOLD)
        pass_time(TIMEOUT_SECONDS + 1)

    def test_one_probe_at_a_time(self) -> None:
        with ThreadPoolExecutor(10) as pool:
            waits = list(pool.map(lambda _: breaker.ask_permission().wait_seconds, range(10)))
        assert waits.count(0) == 1
        assert state() is BreakerState.HALF_OPEN

    def test_closes_after_so_many_successes(self) -> None:
        for expected in (BreakerState.HALF_OPEN, BreakerState.CLOSED):
            assert breaker.ask_permission().wait_seconds == 0
            breaker.record_success()
            assert state() is expected
        assert breaker.snapshot().failures == 0

    def test_opens_again_at_the_first_failure(self) -> None:
        breaker.ask_permission()
        breaker.record_success()
        breaker.ask_permission()
        fail()
        assert state() is BreakerState.OPEN
        assert breaker.ask_permission().wait_seconds > TIMEOUT_SECONDS - MARGIN_SECONDS

    def test_successes_are_counted_anew_each_time(self, pass_time: Callable[[float], None]) -> None:
        breaker.ask_permission()
        breaker.record_success()
        fail()
        pass_time(TIMEOUT_SECONDS + 1)
        breaker.ask_permission()
        breaker.record_success()
        assert state() is BreakerState.HALF_OPEN

    def test_a_probe_that_never_reports_back_is_forgotten(self, pass_time: Callable[[float], None]) -> None:
        """Otherwise a killed worker would leave the breaker half-open for ever."""
        assert breaker.ask_permission().wait_seconds == 0
        assert 0 < breaker.ask_permission().wait_seconds <= 20
        pass_time(21)
        assert breaker.ask_permission().wait_seconds == 0

    def test_a_permission_that_was_not_used_is_free_at_once(self) -> None:
        assert breaker.ask_permission().wait_seconds == 0
        breaker.release_permission()
        assert breaker.ask_permission().wait_seconds == 0


def test_reset_closes_it() -> None:
    fail(THRESHOLD)
    breaker.reset()
    assert breaker.snapshot() == breaker.BreakerSnapshot(BreakerState.CLOSED, 0, 0, 0.0)
    assert breaker.ask_permission().wait_seconds == 0


def test_without_redis_counts_are_lost_and_nothing_else(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse() -> redis.Redis:
        raise redis.ConnectionError("down")

    monkeypatch.setattr("apps.core.storage.redis.get_redis", refuse)
    breaker.record_failure("connect_error")
    breaker.record_success()
    assert state() is BreakerState.CLOSED
