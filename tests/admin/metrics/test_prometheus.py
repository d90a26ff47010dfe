"""``/metrics``: who may read it, and that it tells the facts of MongoDB and Redis as they are now."""

from __future__ import annotations

import platform
import time
from datetime import timedelta
from typing import Any

import pytest
import redis
from django.test import Client
from prometheus_client.parser import text_string_to_metric_families

from apps.core.liveness import processes
from apps.core.liveness.processes import note_heartbeat
from apps.core.storage import counters
from apps.core.storage.flags import SCHEDULER_PAUSED, set_flag
from apps.core.storage.latency import LATENCY, fields_of
from apps.core.storage.mongo import collection_of, utc_now
from apps.core.storage.outages import mongo_outage, redis_outage
from apps.mengla.choices import Priority
from apps.mengla.ingest import parked
from apps.mengla.models import Collection
from apps.mengla.upstream import breaker
from apps.sync_tasks.choices import RunStatus
from tests.admin.alerts.support import check
from tests.http import METRICS_HEADERS
from tests.mengla.support import claim, enqueue, hot

pytestmark = [pytest.mark.django_db, pytest.mark.mongo, pytest.mark.redis]

Samples = dict[tuple[str, frozenset[tuple[str, str]]], float]


def scrape(client: Client) -> Samples:
    answer = client.get("/metrics", headers=METRICS_HEADERS)
    assert answer.status_code == 200, answer.content
    assert answer.headers["Content-Type"].startswith("text/plain; version=")
    assert "no-store" in answer.headers["Cache-Control"]
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(answer.content.decode())
        for sample in family.samples
    }


def value(samples: Samples, name: str, **labels: str) -> float:
    return samples[name, frozenset(labels.items())]


class TestWhatItTells:
    def test_at_rest(self, client: Client) -> None:
        samples = scrape(client)
        assert value(samples, "collector_up", dependency="mongodb") == 1
        assert value(samples, "collector_up", dependency="redis") == 1
        for name in (
            "collector_web_workers",
            "collector_worker_clusters",
            "collector_queue_workers",
            "collector_queue_oldest_pending_seconds",
            "collector_in_flight",
            "collector_parked_webhooks",
            "collector_refused_webhooks",
            "collector_schedules_paused",
            "collector_read_duration_seconds_count",
        ):
            assert value(samples, name) == 0, name
        for priority in Priority:
            assert value(samples, "collector_queue_pending", priority=priority.name.lower()) == 0
            assert value(samples, "collector_queue_oldest_seconds", priority=priority.name.lower()) == 0
        for status in RunStatus:
            assert value(samples, "collector_runs", status=status.value) == 0

    def test_processes(self, client: Client, redis_client: redis.Redis) -> None:
        note_heartbeat()
        processes.note_web_process()
        redis_client.zadd(processes.WEB_KEY, {"another-host:1": time.time(), "killed:2": time.time() - 60})
        samples = scrape(client)
        assert value(samples, "collector_web_workers") == 2
        ages = [
            seen for (name, _), seen in samples.items() if name == "collector_worker_heartbeat_age_seconds"
        ]
        assert len(ages) == 1
        redis_client.zadd(processes.WEB_KEY, {"another-host:1": time.time() - 60})
        assert value(scrape(client), "collector_web_workers") == 1

    def test_the_queue(self, client: Client) -> None:
        enqueue(hot("202501"))
        claim()
        for month, priority in (
            ("202502", Priority.READER),
            ("202503", Priority.READER),
            ("202504", Priority.BACKFILL),
        ):
            enqueue(hot(month), priority)
        samples = scrape(client)
        assert value(samples, "collector_queue_pending", priority="reader") == 2
        assert value(samples, "collector_queue_pending", priority="backfill") == 1
        assert value(samples, "collector_queue_pending", priority="manual") == 0
        assert value(samples, "collector_in_flight") == 1
        assert 0 <= value(samples, "collector_queue_oldest_pending_seconds") < 60

    def test_the_age_of_each_priority(self, client: Client) -> None:
        for month, priority in (("202502", Priority.READER), ("202504", Priority.BACKFILL)):
            enqueue(hot(month), priority)
        collection_of(Collection).update_one(
            {"priority": Priority.BACKFILL}, {"$set": {"created_at": utc_now() - timedelta(hours=1)}}
        )
        samples = scrape(client)
        assert value(samples, "collector_queue_oldest_seconds", priority="backfill") == pytest.approx(
            3600, 60
        )
        assert value(samples, "collector_queue_oldest_seconds", priority="reader") < 60
        assert value(samples, "collector_queue_oldest_pending_seconds") >= 3600

    def test_webhooks_that_wait_and_the_pause(self, client: Client) -> None:
        for number in range(2):
            assert parked.defer([{"number": number}, None, None])
        set_flag(SCHEDULER_PAUSED, is_set=True, changed_by="tests")
        samples = scrape(client)
        assert value(samples, "collector_parked_webhooks") == 2
        assert value(samples, "collector_schedules_paused") == 1

    def test_the_version(self, client: Client, settings: Any) -> None:
        (labels,) = [dict(labels) for name, labels in scrape(client) if name == "collector_build_info"]
        assert labels == {
            "version": settings.VERSION,
            "python": platform.python_version(),
        }

    def test_the_breaker(self, client: Client, settings: Any) -> None:
        def states() -> dict[str, float]:
            samples = scrape(client)
            names = ("closed", "open", "half_open")
            return {
                name: value(samples, "collector_breaker_state", breaker="collection_service", state=name)
                for name in names
            }

        assert states() == {"closed": 1, "open": 0, "half_open": 0}
        for _ in range(settings.CB_FAILURE_THRESHOLD):
            breaker.record_failure("connect_error")
        assert states() == {"closed": 0, "open": 1, "half_open": 0}

    def test_alerts(self, client: Client) -> None:
        labels = {"rule": "worker_silent", "action": "", "severity": "critical"}
        assert value(scrape(client), "collector_alert_firing", **labels) == 0
        check()
        assert value(scrape(client), "collector_alert_firing", **labels) == 1
        note_heartbeat()
        check()
        assert value(scrape(client), "collector_alert_firing", **labels) == 0

    def test_counters_never_fall_and_durations_are_a_histogram(self, client: Client) -> None:
        for seconds in (0.0005, 0.02, 0.02, 3.0, 5000.0):
            counters.add({counters.STATS: {"read:hot:l1:fresh": 1}, LATENCY: fields_of("read", seconds)})
        counters.add(
            {counters.STATS: {"collection:hot:reader:failed:timeout": 2, "retry:hot:reader:timeout": 3}}
        )
        samples = scrape(client)
        assert value(samples, "collector_reads_total", action="hot", source="l1", result="fresh") == 5
        assert (
            value(
                samples,
                "collector_collections_total",
                action="hot",
                source="reader",
                outcome="failed",
                reason="timeout",
            )
            == 2
        )
        assert value(samples, "collector_retries_total", action="hot", source="reader", reason="timeout") == 3
        assert value(samples, "collector_read_duration_seconds_count") == 5
        assert value(samples, "collector_read_duration_seconds_sum") == pytest.approx(5003.0405)
        buckets = {
            le: count
            for (name, labels), count in samples.items()
            if name == "collector_read_duration_seconds_bucket"
            for le in [float(dict(labels)["le"])]
        }
        assert list(buckets.values()) == sorted(buckets.values())
        assert (buckets[0.001], buckets[0.01], buckets[0.1], buckets[1000.0]) == (1, 1, 3, 4)
        assert buckets[float("inf")] == 5


class TestOutages:
    def test_what_is_known_is_reported(self, client: Client) -> None:
        note_heartbeat()
        enqueue(hot())
        redis_outage.note()
        samples = scrape(client)
        assert value(samples, "collector_up", dependency="redis") == 0
        assert value(samples, "collector_up", dependency="mongodb") == 1
        assert value(samples, "collector_queue_pending", priority="reader") == 1
        assert not any(name.startswith(("collector_breaker", "collector_web")) for name, _ in samples)

    def test_nothing_is_known(self, client: Client) -> None:
        redis_outage.note()
        mongo_outage.note()
        samples = scrape(client)
        about_the_process = {key: seen for key, seen in samples.items() if key[0] == "collector_build_info"}
        assert set(about_the_process.values()) == {1.0}
        others = {key: seen for key, seen in samples.items() if key not in about_the_process}
        assert {name for name, _ in others} == {"collector_up"}
        assert set(others.values()) == {0.0}


class TestWhoMayRead:
    @pytest.mark.parametrize(
        "address", ["127.0.0.1", "127.8.9.10", "::1", "::ffff:127.0.0.1", "10.0.0.1", "2001:db8::1", "", "x"]
    )
    def test_a_client_without_a_token_is_refused_also_on_this_machine(
        self, client: Client, settings: Any, address: str
    ) -> None:
        assert client.get("/metrics", REMOTE_ADDR=address).status_code == 401
        settings.METRICS_TOKEN = ""
        for headers in ({}, METRICS_HEADERS, {"Authorization": "Bearer "}, {"Authorization": "Bearer"}):
            answer = client.get("/metrics", REMOTE_ADDR=address, headers=headers)
            assert answer.status_code == 403
            assert answer.content.startswith(b"Set METRICS_TOKEN on the server")

    def test_every_client_with_the_token_is_accepted(self, client: Client, settings: Any) -> None:
        settings.METRICS_TOKEN = "the-token-of-prometheus"
        for header in (
            "",
            "Bearer ",
            "Bearer wrong",
            "the-token-of-prometheus",
            "Basic dGhlLXRva2Vu",
            "Bearer é\udcff",
        ):
            answer = client.get("/metrics", HTTP_AUTHORIZATION=header)
            assert answer.status_code == 401, header
            assert answer.headers["WWW-Authenticate"].startswith("Bearer")
            assert b"collector_" not in answer.content
        for scheme in ("Bearer", "bearer"):
            answer = client.get(
                "/metrics", HTTP_AUTHORIZATION=f"{scheme} the-token-of-prometheus", REMOTE_ADDR="192.0.2.7"
            )
            assert answer.status_code == 200

    def test_it_cannot_be_written(self, client: Client) -> None:
        assert client.post("/metrics").status_code == 405
        assert client.head("/metrics", headers=METRICS_HEADERS).status_code == 200
