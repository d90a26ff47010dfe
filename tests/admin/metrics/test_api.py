"""``/api/admin/metrics`` and ``/api/admin/metrics/latency``: exact sums of what really happened."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from rest_framework.test import APIClient

from apps.core.storage import counters
from apps.core.storage.latency import LATENCY, fields_of
from apps.core.storage.outages import redis_outage
from apps.mengla.choices import CollectionError, CollectionStatus
from apps.mengla.queue import jobs
from apps.mengla.reading.read import read
from tests.mengla.support import claim, enqueue, hot

pytestmark = [pytest.mark.django_db, pytest.mark.mongo, pytest.mark.redis]


def metrics(admin: APIClient, **query: Any) -> dict[str, Any]:
    answer = admin.get("/api/admin/metrics", query)
    assert answer.status_code == 200, answer.content
    data: dict[str, Any] = answer.json()["data"]
    return data


def count(field: str, amount: int = 1, *, days_ago: int = 0) -> None:
    assert counters.add({counters.STATS: {field: amount}}, now=datetime.now(UTC) - timedelta(days=days_ago))


class TestWhatIsCounted:
    def test_nothing_yet(self, admin: APIClient) -> None:
        data = metrics(admin)
        (today,) = data["days"]
        for period in (today, data["total"]):
            assert (
                period["reads"]["total"] == period["collections"]["total"] == period["retries"]["total"] == 0
            )
            assert period["reads"]["hit_rate"] is period["collections"]["success_rate"] is None
            assert period["durations"]["reads"]["p99_seconds"] is None
        assert data["total"]["date"] is None
        assert datetime.fromisoformat(today["date"])

    def test_questions_and_collections_as_they_happen(
        self, admin: APIClient, sample_tree: Any, settings: Any
    ) -> None:
        settings.COLLECT_RETRY_DELAY_SECONDS = 0
        settings.COLLECT_MAX_ATTEMPTS = 2
        read(hot(), requested_by="tests")  # a miss, which is queued
        attempt = claim()
        jobs.finish(attempt["_id"], status=CollectionStatus.EMPTY, attempt_token=attempt["attempt_token"])
        enqueue(hot("202505"))
        for _ in range(2):
            attempt = claim()
            jobs.fail_attempt(
                attempt["_id"],
                attempt_token=attempt["attempt_token"],
                error=CollectionError.TIMEOUT,
                message="late",
            )
        total = metrics(admin)["total"]
        assert total["reads"]["counts"] == [
            {"action": "hot", "source": "miss", "result": "collecting", "count": 1}
        ]
        assert (total["reads"]["hits"], total["reads"]["misses"], total["reads"]["hit_rate"]) == (0, 1, 0.0)
        assert (total["collections"]["empty"], total["collections"]["failed"]) == (1, 1)
        assert total["collections"]["success_rate"] == 0.5
        assert total["retries"]["counts"] == [
            {"action": "hot", "source": "reader", "reason": "timeout", "count": 1}
        ]
        assert total["durations"]["reads"]["count"] == 1

    def test_rates_and_tiers(self, admin: APIClient) -> None:
        for field, amount in {
            "read:hot:l1:fresh": 5,
            "read:high:l2:stale": 2,
            "read:hot:l3:empty": 1,
            "read:hot:miss:collecting": 2,
            "read:hot:refresh:collecting": 7,
            "collection:hot:reader:succeeded:-": 6,
            "collection:hot:reader:empty:empty_list": 1,
            "collection:hot:backfill:failed:timeout": 3,
            "collection:hot:backfill:recovered:-": 1,
            "collection:hot:backfill:spared:-": 4,
            "collection:-:-:cancelled:-": 9,
        }.items():
            count(field, amount)
        total = metrics(admin)["total"]
        reads, collections = total["reads"], total["collections"]
        assert (reads["total"], reads["hits"], reads["misses"], reads["stale"]) == (17, 8, 2, 2)
        assert reads["by_tier"] == {"l1": 5, "l2": 2, "l3": 1}
        assert reads["hit_rate"] == 0.8  # readers who skip the caches say nothing of them
        assert (collections["total"], collections["spared"], collections["cancelled"]) == (24, 4, 9)
        assert collections["success_rate"] == 0.8  # 6 + 1 + 1 answered, 2 not
        assert {"action": "", "source": "", "outcome": "cancelled", "reason": "", "count": 9} in collections[
            "counts"
        ]

    def test_days_are_apart_and_added_up(self, admin: APIClient) -> None:
        for days_ago in (0, 1, 30):
            count("read:hot:l1:fresh", 10 ** (days_ago % 10), days_ago=days_ago)
        data = metrics(admin, days=31)
        assert len(data["days"]) == 31
        dates = [day["date"] for day in data["days"]]
        assert dates == sorted(dates, reverse=True)
        assert [day["reads"]["total"] for day in data["days"]] == [1, 10, *[0] * 28, 1]
        assert data["total"]["reads"]["total"] == 12
        assert metrics(admin)["total"]["reads"]["total"] == 1


class TestLatency:
    def test_percentiles_of_all_durations(self, admin: APIClient) -> None:
        for milliseconds in range(1, 101):
            counters.add({LATENCY: fields_of("read", milliseconds / 1000)})
        counters.add({LATENCY: fields_of("collection", 12.0)}, now=datetime.now(UTC) - timedelta(days=1))
        data = admin.get("/api/admin/metrics/latency", {"days": 2}).json()["data"]
        reads = data["reads"]
        assert (data["days"], reads["count"]) == (2, 100)
        assert reads["mean_seconds"] == 0.0505
        for percent in (50, 90, 95, 99):
            assert reads[f"p{percent}_seconds"] == pytest.approx(percent / 1000, rel=0.024)
        assert data["collections"]["count"] == 1
        assert data["collections"]["p50_seconds"] == pytest.approx(12, rel=0.024)
        today = admin.get("/api/admin/metrics/latency").json()["data"]
        assert today["collections"]["count"] == 0


@pytest.mark.parametrize("path", ["/api/admin/metrics", "/api/admin/metrics/latency"])
class TestAsking:
    @pytest.mark.parametrize("days", ["0", "32", "-1", "1.5", "x", "9" * 400, "1\x00"])
    def test_days_that_are_none(self, admin: APIClient, path: str, days: str) -> None:
        answer = admin.get(path, {"days": days})
        assert answer.status_code == 400
        assert list(answer.json()["fields"]) == ["days"]

    def test_only_admins(self, api: APIClient, reader: APIClient, path: str) -> None:
        assert api.get(path).status_code == 401
        assert reader.get(path).status_code == 403

    def test_without_redis(self, admin: APIClient, path: str) -> None:
        redis_outage.note()
        answer = admin.get(path)
        assert (answer.status_code, answer.json()["error"]) == (503, "DEPENDENCY_UNAVAILABLE")
        assert answer.json()["detail"] == "Redis"
