"""Whether this process lives, and whether what it depends on does."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from typing import Any

import pytest
import redis
from django.test import Client
from pymongo.errors import ServerSelectionTimeoutError

from apps.core.liveness import health
from apps.core.liveness.processes import note_heartbeat

on_servers = [pytest.mark.django_db, pytest.mark.mongo, pytest.mark.redis]
Log = Callable[[], list[dict[str, Any]]]


def ask(client: Client) -> tuple[int, dict[str, Any]]:
    response = client.get("/ready")
    assert "no-cache" in response.headers["Cache-Control"]
    assert response.headers["X-Request-ID"]
    return response.status_code, response.json()


@pytest.fixture
def mongo_is_down(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_args: Any) -> None:
        raise ServerSelectionTimeoutError("no servers at mongodb://root:s3cret@10.0.0.1")

    monkeypatch.setattr(health.mongo, "ping", fail)


@pytest.fixture
def redis_is_down(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail() -> Any:
        raise redis.ConnectionError("Error 111 connecting to 10.0.0.1")

    monkeypatch.setattr(health, "get_redis", fail)


def test_a_process_that_answers_lives(client: Client, mongo_is_down: None, redis_is_down: None) -> None:
    for method in ("get", "head"):
        response = getattr(client, method)("/health")
        assert response.status_code == 200
        assert "no-cache" in response.headers["Cache-Control"]
    assert client.get("/health").json() == {"status": "ok"}


class TestReady:
    pytestmark = on_servers

    def test_everything_answers(self, client: Client) -> None:
        note_heartbeat()
        status, body = ask(client)
        assert (status, body["status"]) == (200, "ready")
        assert {"mongodb", "redis"} <= set(body["checks"])
        for name, state in body["checks"].items():
            assert set(state) == {"ok", "latency_ms", "error"}, name
            assert state["ok"] is True
            assert state["error"] is None
            assert state["latency_ms"] >= 0

    def test_no_mongodb(self, client: Client, mongo_is_down: None) -> None:
        note_heartbeat()
        status, body = ask(client)
        assert (status, body["status"]) == (503, "unavailable")
        assert body["checks"]["mongodb"]["error"] == "ServerSelectionTimeoutError"
        assert body["checks"]["redis"]["ok"] is True
        assert "10.0.0.1" not in json.dumps(body)

    def test_no_redis(self, client: Client, redis_is_down: None) -> None:
        note_heartbeat()
        status, body = ask(client)
        assert status == 503
        assert body["checks"]["redis"] == {
            "ok": False,
            "latency_ms": body["checks"]["redis"]["latency_ms"],
            "error": "ConnectionError",
        }
        assert body["checks"]["mongodb"]["ok"] is True

    def test_neither(
        self, client: Client, mongo_is_down: None, redis_is_down: None, written_log: Log
    ) -> None:
        status, body = ask(client)
        assert status == 503
        assert [body["checks"][name]["ok"] for name in ("mongodb", "redis")] == [False, False]
        assert {"ServerSelectionTimeoutError", "ConnectionError"} <= {
            line.get("error") for line in written_log()
        }

    def test_no_worker(self, client: Client) -> None:
        status, body = ask(client)
        assert status == 503
        assert body["checks"]["worker"]["ok"] is False
        assert body["checks"]["mongodb"]["ok"] is body["checks"]["redis"]["ok"] is True

    def test_they_are_asked_at_once(self, monkeypatch: pytest.MonkeyPatch) -> None:
        together = threading.Barrier(2, timeout=20)  # no thread passes before both are there

        class Meeting:
            def ping(self) -> None:
                together.wait()

        monkeypatch.setattr(health.mongo, "ping", Meeting().ping)
        monkeypatch.setattr(health, "get_redis", Meeting)
        states = health.check_dependencies()
        assert states["mongodb"]["ok"] and states["redis"]["ok"]

    def test_one_that_answers_too_late_is_down(
        self, settings: Any, monkeypatch: pytest.MonkeyPatch, written_log: Log
    ) -> None:
        settings.HEALTH_CHECK_TIMEOUT_SECONDS = 0.1
        gate = threading.Event()

        class Hanging:
            def ping(self) -> None:
                gate.wait()

        monkeypatch.setattr(health, "get_redis", Hanging)
        state = health.check_dependencies()["redis"]
        gate.set()
        assert (state["ok"], state["error"]) == (False, "TimeoutError")
        assert state["latency_ms"] >= 100
        assert "dependency_down" in {line["event"] for line in written_log()}

    def test_a_mistake_of_ours_is_no_outage(self, monkeypatch: pytest.MonkeyPatch) -> None:
        def fail() -> None:
            raise KeyError("a bug")

        monkeypatch.setattr(health.mongo, "ping", fail)
        with pytest.raises(KeyError):
            health.check_dependencies()
