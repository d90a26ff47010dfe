"""The addresses that tell how everything is; what they do while servers hang is in tests/integration."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
import redis
from django.conf import settings
from rest_framework.test import APIClient

from apps.admin.health import services
from apps.core import market_clock
from apps.core.liveness.processes import note_heartbeat, note_web_process
from apps.core.storage.outages import mongo_outage
from apps.mengla.monitoring import queue_state
from apps.mengla.upstream import breaker
from tests.admin.calls import BASE, data_of, error_of
from tests.mengla.support import change, claim, collections, enqueue, hot, store, store_empty, trend

pytestmark = [
    pytest.mark.django_db,
    pytest.mark.mongo,
    pytest.mark.redis,
    pytest.mark.usefixtures("sample_tree"),
]

DEPENDENCIES = {
    "/collect-health": {
        "mongodb": {"mongodb", "counts", "empty_streaks", "queue", "in_flight", "recent_records", "workers"},
        "redis": {"redis", "breaker"},
    },
    "/system/status": {
        "mongodb": {"mongodb", "workers", "queue", "sync_tasks", "scheduler"},
        "redis": {"redis", "breaker", "web_processes", "clusters"},
    },
}


def look(admin: APIClient, path: str = "/collect-health", **query: Any) -> dict[str, Any]:
    found: dict[str, Any] = data_of(admin.get(BASE + path, query))
    return found


def part(admin: APIClient, name: str, path: str = "/collect-health", **query: Any) -> Any:
    found = look(admin, path, **query)[name]
    assert (found["ok"], found["error"]) == (True, None)
    return found["data"]


class TestCollectHealth:
    def test_every_part_answers(self, admin: APIClient) -> None:
        found = look(admin)
        today = market_clock.today()
        assert (found.pop("date"), found.pop("is_complete")) == (today.isoformat(), True)
        assert set(found) == DEPENDENCIES["/collect-health"]["mongodb"] | {"redis", "breaker"}
        assert all(set(one) == {"ok", "error", "data"} and one["ok"] for one in found.values())
        assert found["mongodb"]["data"]["latency_ms"] >= 0
        assert found["redis"]["data"]["latency_ms"] >= 0

    def test_what_ended_today_is_counted_by_action(self, admin: APIClient) -> None:
        store(hot("202501"))
        store(hot("202502"))
        store_empty(hot("202503"))
        store(trend("202501", "202503"))
        counts = part(admin, "counts")
        assert counts["hot"] == {"succeeded": 2, "empty": 1, "failed": 0, "cancelled": 0, "records": 3}
        assert counts["industryTrendRange"]["succeeded"] == 1
        assert counts["industryTrendRange"]["records"] == 3
        assert sum(counts["high"].values()) == 0

    def test_another_day(self, admin: APIClient) -> None:
        store(hot("202501"))
        today = market_clock.today()
        for day in (today - timedelta(days=1), today + timedelta(days=1)):
            assert sum(part(admin, "counts", date=day.isoformat())["hot"].values()) == 0
        assert sum(part(admin, "counts", date=f"{today:%Y%m%d}")["hot"].values()) == 2

    def test_empty_streaks_end_with_figures(self, admin: APIClient) -> None:
        change(store(hot("202501")), execution_id="a")
        for period in ("202502", "202503", "202504"):
            change(store_empty(hot(period)), execution_id="b")
        assert part(admin, "empty_streaks")["hot"] == 3
        assert part(admin, "empty_streaks")["high"] == 0
        change(store(hot("202505")), execution_id="c")
        assert part(admin, "empty_streaks")["hot"] == 0

    def test_the_queue_and_what_is_in_flight(self, admin: APIClient) -> None:
        enqueue(hot("202501"))
        begun = claim()
        enqueue(hot("202502"))
        found = look(admin)
        queue = found["queue"]["data"]
        assert (queue["pending"], queue["in_flight"], queue["by_priority"]["reader"]) == (1, 1, 1)
        assert queue["oldest_pending_seconds"] >= 0
        [shown] = found["in_flight"]["data"]
        assert (shown["id"], shown["identity"]) == (str(begun["_id"]), hot("202501").identity)
        assert shown["is_overdue"] is False
        assert shown["dispatched_at"].endswith("Z")
        assert collections()[0]["attempt_token"] not in str(found)

    def test_the_records_stored_last(self, admin: APIClient) -> None:
        for period in ("202501", "202502"):
            store(hot(period))
        store_empty(hot("202503"))
        shown = part(admin, "recent_records")
        newest_first = ("202503", "202502", "202501")
        assert [one["id"] for one in shown] == [f"hot:1001:month:{key}" for key in newest_first]
        assert [one["is_empty"] for one in shown] == [True, False, False]
        assert "data" not in shown[0]

    def test_breaker_and_workers(self, admin: APIClient) -> None:
        note_heartbeat()
        breaker.record_failure("connect_error")
        found = look(admin)
        assert found["breaker"]["data"]["failures"] == 1
        assert found["workers"]["data"][0]["is_stale"] is False

    @pytest.mark.parametrize(
        "day", ["x", "2025-13-01", "2025-02-30", "202501", "1999-01-01", "２０２５0101", "9" * 99]
    )
    def test_days_that_are_none(self, admin: APIClient, day: str) -> None:
        reported = error_of(admin.get(f"{BASE}/collect-health", {"date": day}), 400, "VALIDATION_ERROR")
        assert set(reported["fields"]) == {"date"}


class TestSystemStatus:
    def test_servers_processes_and_switches(self, admin: APIClient) -> None:
        note_web_process()
        found = look(admin, "/system/status")
        assert found["is_complete"] is True
        assert found["web_processes"]["data"] == 1
        assert found["clusters"]["data"] == []
        assert found["process"]["environment"] == "test"
        assert found["process"]["started_at"].endswith("Z")
        assert found["mongodb"]["data"]["version"].count(".") == 2
        assert found["mongodb"]["data"]["documents"] > 0
        assert found["redis"]["data"]["keys"] > 0
        assert found["redis"]["data"]["memory_bytes"] > 0
        assert found["sync_tasks"]["data"] == {"RUNNING": 0, "COMPLETED": 0, "FAILED": 0, "CANCELLED": 0}
        assert found["scheduler"]["data"] == {"paused": False, "changed_by": None, "changed_at": None}

    def test_no_secret_is_shown(self, admin: APIClient) -> None:
        text = admin.get(f"{BASE}/system/status").content.decode()
        for secret in (settings.SECRET_KEY, settings.MONGO_URI, settings.REDIS_URI, settings.WEBHOOK_SECRET):
            assert secret not in text


@pytest.mark.parametrize("path", DEPENDENCIES)
class TestOutages:
    def test_without_redis(self, admin: APIClient, monkeypatch: pytest.MonkeyPatch, path: str) -> None:
        def refuse(*_args: Any, **_kwargs: Any) -> Any:
            raise redis.ConnectionError("Error 111 connecting to 10.0.0.1:6379")

        monkeypatch.setattr(redis.connection.ConnectionPool, "get_connection", refuse)
        self.assert_reported(look(admin, path), DEPENDENCIES[path]["redis"])

    def test_without_mongodb(self, admin: APIClient, path: str) -> None:
        assert data_of(admin.get("/api/auth/me"))  # known to the process, as in real life
        mongo_outage.note()
        self.assert_reported(look(admin, path), DEPENDENCIES[path]["mongodb"])

    def test_a_mistake_of_ours_spoils_one_part_only(
        self, admin: APIClient, monkeypatch: pytest.MonkeyPatch, path: str, written_log: Any
    ) -> None:
        def fail() -> Any:
            raise KeyError("secret detail")

        monkeypatch.setattr(queue_state, "queue_depth", fail)
        found = look(admin, path)
        self.assert_reported(found, {"queue"})
        assert "secret detail" not in str(found)
        assert any(line["event"] == "part_failed" and line["part"] == "queue" for line in written_log())

    def assert_reported(self, found: dict[str, Any], broken: set[str]) -> None:
        assert found["is_complete"] is False
        parts = {name: one for name, one in found.items() if isinstance(one, dict) and "ok" in one}
        assert {name for name, one in parts.items() if not one["ok"]} == broken
        for name in broken:
            assert parts[name]["data"] is None
            assert parts[name]["error"]
        assert "10.0.0.1" not in str(found)


def test_the_process_knows_itself_without_asking_anybody() -> None:
    mongo_outage.note()
    assert services.process_facts()["pid"] > 0
