"""Metrics and alerts of a running installation: four processes agree, and each notice is sent once."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from functools import partial
from typing import Any

import httpx
import psutil
import pytest

from tests.admin.alerts.receiver import Receiver
from tests.integration.conftest import run_stack
from tests.integration.samples import Samples, samples_of, value
from tests.integration.stack import Shape, Stack
from tests.integration.waiting import at_once, wait_until

pytestmark = [pytest.mark.slow, pytest.mark.mongo, pytest.mark.redis]

METRICS_TOKEN = "metrics-token-of-the-tests-0123456789"
ALERT_SECRET = "alert-secret-of-the-tests-0123456789"
# Checked each minute, by a process that looks every half a minute; one check may find the breaker half open.
TWO_CHECKS_SECONDS = 220


@pytest.fixture(scope="module")
def receiver() -> Iterator[Receiver]:
    with Receiver() as running:
        yield running


@pytest.fixture(scope="module")
def watched(tmp_path_factory: pytest.TempPathFactory, receiver: Receiver) -> Iterator[Stack]:
    """Two web processes and two worker clusters that tell a receiver of alerts."""
    shape = Shape(
        clusters=2,
        variables={
            "ALERT_WEBHOOK_URL": receiver.url,
            "ALERT_WEBHOOK_SECRET": ALERT_SECRET,
            "ALERT_COOLDOWN_MINUTES": "0",
            "METRICS_TOKEN": METRICS_TOKEN,
            "CB_FAILURE_THRESHOLD": "3",
            "CB_SUCCESS_THRESHOLD": "1",
            "CB_TIMEOUT": "1",
        },
    )
    for stack in run_stack("watched", tmp_path_factory.mktemp("watched"), shape):
        for secret in (METRICS_TOKEN, ALERT_SECRET, "s3cret-path"):
            stack.remember(secret)
        yield stack


def scrape(client: httpx.Client) -> Samples:
    answer = client.get("/metrics", headers={"Authorization": f"Bearer {METRICS_TOKEN}"})
    assert answer.status_code == 200, answer.text
    return samples_of(answer.text)


def scrape_all(clients: list[httpx.Client]) -> list[Samples]:
    """Scrape over each client; each process then sends the reads that it has gathered."""
    return [scrape(client) for client in clients]


def living(samples: Samples) -> tuple[float, ...]:
    """How many web processes, clusters and workers are counted."""
    names = ("collector_web_workers", "collector_worker_clusters", "collector_queue_workers")
    return tuple(value(samples, name) for name in names)


def of_rule(receiver: Receiver, rule: str) -> list[str]:
    return [status for reported, status in receiver.facts if reported == rule]


class TestMetrics:
    def test_every_process_tells_the_same_exact_counts(self, watched: Stack) -> None:
        question = watched.questions.one()
        watched.collect(question)
        with watched.web.clients(watched.token, per_worker=2) as by_worker:
            clients = [client for some in by_worker.values() for client in some]
            scrape_all(clients)
            before = scrape(clients[0])

            def ask(client: httpx.Client) -> None:
                for _ in range(50):
                    assert watched.ask(question, client=client).status_code == 200

            at_once([lambda client=client: ask(client) for client in clients])
            scrape_all(clients)
            reported = scrape_all(clients)
        for samples in reported:
            asked = {
                key: count - before.get(key, 0)
                for key, count in samples.items()
                if key[0] == "collector_reads_total" and count != before.get(key)
            }
            assert sum(asked.values()) == 50 * len(clients)
            assert {dict(labels)["source"] for _, labels in asked} <= {"l1", "l2", "l3"}
            assert value(samples, "collector_read_duration_seconds_count") == (
                value(before, "collector_read_duration_seconds_count") + 50 * len(clients)
            )
            assert value(samples, "collector_up", dependency="mongodb") == 1
            assert value(samples, "collector_up", dependency="redis") == 1
        counters = [
            {key: count for key, count in one.items() if key[0].endswith("_total")} for one in reported
        ]
        assert all(one == counters[0] for one in counters)
        total = watched.get("/api/admin/metrics").json()["data"]["total"]
        assert total["reads"]["hits"] >= 50 * len(clients)
        assert total["collections"]["succeeded"] >= 1

    def test_processes_are_counted_while_they_live(self, watched: Stack) -> None:
        with watched.client() as client:
            wait_until(
                lambda: living(scrape(client)) == (2, 2, 4),
                timeout_seconds=20,
                what="both web processes and both clusters with their workers are seen",
            )
        killed = next(iter(watched.web.worker_pids()))
        process = psutil.Process(killed)  # found before: the server may reap it at once
        process.kill()
        psutil.wait_procs([process], timeout=10)
        # The server starts another one; the name of the killed one lapses.
        name = f"{os.uname().nodename}:{killed}".encode()
        with watched.redis() as redis:
            wait_until(
                lambda: redis.zscore("mengla:web_processes", name) is None,
                timeout_seconds=30,
                what="the killed process is forgotten",
            )
            wait_until(
                lambda: redis.zcount("mengla:web_processes", time.time() - 15, "+inf") == 2,
                timeout_seconds=30,
                what="its successor is seen",
            )

    def test_without_the_token_nothing_is_told(self, watched: Stack) -> None:
        with watched.client() as client:
            for token in ("none", "wrong", watched.token):
                answer = client.get("/metrics", headers={"Authorization": f"Bearer {token}"})
                assert answer.status_code == 401
                assert "collector_" not in answer.text


class TestAlerts:
    def test_an_open_breaker_is_told_once_and_its_end_once(self, watched: Stack, receiver: Receiver) -> None:
        watched.simulator.set_knobs(down=True)
        watched.ask_all(watched.questions.some(4))

        def keep_it_open() -> bool:
            # The clusters check by their schedule; each of them looks for it by itself.
            if not watched.database.mengla_collections.find_one({"status": "PENDING"}):
                watched.ask_all(watched.questions.some(2))
            return bool(of_rule(receiver, "breaker_open"))

        wait_until(keep_it_open, timeout_seconds=TWO_CHECKS_SECONDS, what="the receiver is notified")
        shown = watched.get("/api/admin/alerts").json()["data"]
        (breaker,) = [one for one in shown["alerts"] if one["rule"] == "breaker_open"]
        assert breaker["is_firing"]
        # Checks at the same moment in several processes change nothing.
        at_once([lambda: watched.post("/api/admin/alerts/check")] * 6)
        assert of_rule(receiver, "breaker_open") == ["firing"]

        watched.simulator.reset_knobs()
        watched.ask_all([watched.questions.one()])
        wait_until(
            lambda: (
                "breaker_open" in watched.post("/api/admin/alerts/check").json()["data"]["resolved"]
                or len(of_rule(receiver, "breaker_open")) > 1
            ),
            timeout_seconds=30,
            what="the breaker closes",
        )
        wait_until(
            lambda: len(of_rule(receiver, "breaker_open")) > 1,
            timeout_seconds=TWO_CHECKS_SECONDS,
            what="the receiver is notified of the end",
        )
        assert of_rule(receiver, "breaker_open") == ["firing", "resolved"]
        events = watched.get("/api/admin/alerts/history", limit=1000).json()["data"]["events"]
        assert [one["kind"] for one in events if one["rule"] == "breaker_open"] == ["resolved", "fired"]
        assert len({one.json["id"] for one in receiver.received}) == len(receiver.received)

    def test_a_minute_is_checked_once_by_however_many_processes(self, watched: Stack) -> None:
        callers = [watched.start_caller() for _ in range(3)]
        began = int(time.time() // 60)
        results = []
        for _ in range(10):
            results += at_once([partial(one.call, "apps.admin.tasks.alert_check") for one in callers])
        minutes = int(time.time() // 60) - began + 1
        # The clusters' own schedule may have had the minute before.
        assert sum(result is not None for result in results) <= minutes
        assert len(results) == 30

    def test_dead_workers_are_told_by_a_web_process(self, watched: Stack, receiver: Receiver) -> None:
        for cluster in list(watched.clusters):
            watched.kill(cluster)
        # As if that had been ten minutes ago.
        long_ago = watched.database.core_heartbeats.aggregate(
            [{"$project": {"at": {"$dateSubtract": {"startDate": "$$NOW", "unit": "minute", "amount": 10}}}}]
        ).next()["at"]
        watched.database.core_heartbeats.update_many({}, {"$set": {"beat_at": long_ago}})
        watched.database.alert_checks.update_many({}, {"$set": {"checked_at": long_ago}})
        ready = httpx.get(f"{watched.url}/ready", trust_env=False)
        assert ready.status_code == 503
        assert "No worker has reported for" in ready.json()["checks"]["worker"]["error"]
        wait_until(
            lambda: of_rule(receiver, "worker_silent"),
            timeout_seconds=TWO_CHECKS_SECONDS,
            what="a web process tells of the dead workers",
        )
        watched.start_cluster().wait_until_ready()
        wait_until(
            lambda: httpx.get(f"{watched.url}/ready", trust_env=False).status_code == 200,
            timeout_seconds=30,
            what="the worker reports",
        )
        watched.post("/api/admin/alerts/check")
        wait_until(
            lambda: len(of_rule(receiver, "worker_silent")) > 1,
            timeout_seconds=TWO_CHECKS_SECONDS,
            what="the receiver is notified of the end",
        )
        assert of_rule(receiver, "worker_silent") == ["firing", "resolved"]

    def test_what_the_receiver_got_is_signed(self, receiver: Receiver) -> None:
        from apps.core.signing import sign

        assert receiver.received
        for one in receiver.received:
            assert one.headers["X-Signature-256"] == sign(one.body, ALERT_SECRET)


def test_no_log_holds_a_secret_of_alerts_or_metrics(watched: Stack) -> None:
    """After all of the above; every other stack is searched in the same way."""
    text: Any = watched.log_text()
    for event in ("alert_fired", "alert_resolved", "alert_notice_delivered", "alert_check_late"):
        assert f'"event": "{event}"' in text
    assert watched.find_leaks() == []
