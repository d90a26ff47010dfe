"""The addresses of the circuit breaker."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import redis
from django_q.brokers import get_broker
from rest_framework.test import APIClient

from apps.mengla.upstream import breaker
from tests.admin.calls import BASE, data_of, error_of

pytestmark = [pytest.mark.django_db, pytest.mark.mongo, pytest.mark.redis]


@pytest.fixture(autouse=True)
def _thresholds(settings: Any) -> None:
    settings.CB_FAILURE_THRESHOLD = 3
    settings.CB_SUCCESS_THRESHOLD = 2
    settings.CB_TIMEOUT = 60.0


def show(admin: APIClient) -> dict[str, Any]:
    data = data_of(admin.get(f"{BASE}/circuit-breakers"))
    [one] = data["breakers"]
    return dict(one)


def fail(times: int) -> None:
    for _ in range(times):
        breaker.record_failure("connect_error")


def test_closed_with_its_counts(admin: APIClient) -> None:
    fail(2)
    assert show(admin) == {
        "name": "collection_service",
        "state": "closed",
        "failures": 2,
        "successes": 0,
        "failure_threshold": 3,
        "success_threshold": 2,
        "open_seconds": 60.0,
        "next_probe_seconds": 0.0,
        "next_probe_at": None,
        "reason": None,
        "since": None,
        "message": None,
    }


def test_open_until_the_next_probe(admin: APIClient) -> None:
    fail(3)
    shown = show(admin)
    assert (shown["state"], shown["failures"]) == ("open", 3)
    assert 0 < shown["next_probe_seconds"] <= 60
    probe_at = datetime.fromisoformat(shown["next_probe_at"])
    assert datetime.now(UTC) < probe_at <= datetime.now(UTC) + timedelta(seconds=60)


def test_open_it_says_why_and_since_when(admin: APIClient, redis_client: redis.Redis) -> None:
    facts = {"state": "open", "opened_at": int(time.time() * 1000), "since": 1735700580000}
    redis_client.hset(breaker.KEY, mapping=facts | {"failures": 1, "reason": "unauthorized"})
    shown = show(admin)
    assert (shown["state"], shown["reason"], shown["since"]) == (
        "open",
        "unauthorized",
        "2025-01-01T03:03:00Z",
    )
    assert shown["message"] == "The collection service has refused the key since 2025-01-01 11:03."


def test_half_open_counts_its_successes(admin: APIClient, settings: Any) -> None:
    fail(3)
    settings.CB_TIMEOUT = 0.0
    assert breaker.ask_permission().wait_seconds == 0
    breaker.record_success()
    shown = show(admin)
    assert (shown["state"], shown["successes"], shown["next_probe_at"]) == ("half_open", 1, None)


def test_a_reset_closes_it_and_wakes_the_dispatcher(admin: APIClient, written_log: Any) -> None:
    fail(3)
    before = get_broker().queue_size()
    [shown] = data_of(admin.post(f"{BASE}/circuit-breakers/reset"))["breakers"]
    assert (shown["state"], shown["failures"], shown["next_probe_at"]) == ("closed", 0, None)
    assert breaker.ask_permission().wait_seconds == 0
    assert get_broker().queue_size() == before + 1
    [line] = [line for line in written_log() if line["event"] == "breaker_reset"]
    assert line["reset_by"] == data_of(admin.get("/api/auth/me"))["username"]


def test_a_reset_may_be_repeated(admin: APIClient) -> None:
    for _ in range(2):
        assert data_of(admin.post(f"{BASE}/circuit-breakers/reset"))["breakers"][0]["state"] == "closed"


@pytest.mark.parametrize(("method", "path"), [("get", ""), ("post", "/reset")])
def test_without_redis_the_state_is_unknown(
    admin: APIClient, monkeypatch: pytest.MonkeyPatch, method: str, path: str
) -> None:
    def refuse(*_args: Any, **_kwargs: Any) -> Any:
        raise redis.ConnectionError("Error 111 connecting to 10.0.0.1:6379")

    monkeypatch.setattr(redis.connection.ConnectionPool, "get_connection", refuse)
    response = getattr(admin, method)(f"{BASE}/circuit-breakers{path}")
    assert error_of(response, 503, "DEPENDENCY_UNAVAILABLE")["detail"] == "Redis"
