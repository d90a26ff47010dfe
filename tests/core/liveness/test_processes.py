"""Signs of life: workers in MongoDB, written by a task; web processes in Redis, gone by themselves."""

from __future__ import annotations

import os
import platform
import time
from datetime import timedelta
from typing import Any

import pytest
import redis
from django.test import Client
from django_q.signing import SignedPackage
from django_q.status import Stat, Status

from apps.core.liveness import processes
from apps.core.liveness.processes import STALE_AFTER_SECONDS, list_heartbeats, note_heartbeat
from apps.core.storage.mongo import named_collection, utc_now
from apps.core.storage.outages import redis_outage
from apps.mengla import tasks

pytestmark = [pytest.mark.django_db, pytest.mark.mongo, pytest.mark.redis]


def ready(client: Client) -> tuple[int, dict[str, Any]]:
    answer = client.get("/ready")
    return answer.status_code, answer.json()["checks"]["worker"]


def age(host: str, seconds: float) -> None:
    """Let the last report of a host be so old."""
    named_collection("core_heartbeats").update_one(
        {"_id": host}, {"$set": {"beat_at": utc_now() - timedelta(seconds=seconds)}}, upsert=True
    )


class TestWorkers:
    def test_without_any_report_ready_says_so(self, client: Client) -> None:
        status, worker = ready(client)
        assert status == 503
        assert (worker["ok"], worker["error"]) == (False, "No worker has ever reported.")

    def test_the_task_of_every_minute_reports(self, client: Client) -> None:
        tasks.tick()
        status, worker = ready(client)
        assert (status, worker["ok"], worker["error"]) == (200, True, None)
        (beat,) = list_heartbeats()
        assert (beat.host, beat.is_stale) == (platform.node(), False)

    def test_after_three_minutes_of_silence_ready_says_since_when(self, client: Client) -> None:
        age(platform.node(), STALE_AFTER_SECONDS - 30)
        assert ready(client)[0] == 200
        age(platform.node(), STALE_AFTER_SECONDS + 60)
        status, worker = ready(client)
        assert status == 503
        assert worker["error"].startswith("No worker has reported for 24")

    def test_one_living_host_is_enough(self, client: Client) -> None:
        age("a-dead-host", 3600)
        age("another-host", 10)
        assert ready(client)[0] == 200
        assert [beat.host for beat in list_heartbeats()] == ["another-host", "a-dead-host"]

    def test_a_host_that_is_gone_is_forgotten_after_a_week(self) -> None:
        age("gone", 8 * 86_400)
        age("away", 6 * 86_400)
        note_heartbeat()
        assert {beat.host for beat in list_heartbeats()} == {platform.node(), "away"}


class TestWebProcesses:
    def test_one_counts_while_it_renews_its_name(self, redis_client: redis.Redis) -> None:
        assert processes.count_web_processes() == 0
        processes.note_web_process()
        processes.note_web_process()
        assert processes.count_web_processes() == 1

    def test_one_that_was_killed_does_not(self, redis_client: redis.Redis) -> None:
        redis_client.zadd(processes.WEB_KEY, {"host:1": time.time() - processes.GONE_AFTER_SECONDS - 1})
        redis_client.zadd(processes.WEB_KEY, {"host:2": time.time() - processes.GONE_AFTER_SECONDS + 10})
        assert processes.count_web_processes() == 1
        processes.note_web_process()
        assert redis_client.zcard(processes.WEB_KEY) == 2

    def test_the_names_do_not_outlive_the_installation(self, redis_client: redis.Redis) -> None:
        processes.note_web_process()
        seconds = redis_client.ttl(processes.WEB_KEY)
        assert isinstance(seconds, int) and 0 < seconds <= 3600

    def test_without_redis_no_caller_fails(self) -> None:
        redis_outage.note()
        processes.note_web_process()


class TestClusters:
    def test_one_that_lives_and_runs_nothing_is_named_beside_those_that_work(
        self, client: Client, redis_client: redis.Redis
    ) -> None:
        note_heartbeat()
        for name, silent_seconds in (("works", 2), ("stuck", 8), ("killed", 20)):
            processes.note_cluster(name, silent_seconds=silent_seconds)
            if name != "killed":
                redis_client.set(Stat.get_key(name), SignedPackage.dumps(Status(1, name), True))
        status, worker = ready(client)
        assert (status, worker["ok"]) == (200, True)
        assert worker["error"] == (
            f"The worker cluster of process {os.getpid()} on {platform.node()} has run nothing for 8 s."
        )
        assert {one.silent_seconds and round(one.silent_seconds) for one in processes.list_clusters()} == {
            2,
            8,
        }
        processes.forget_cluster("stuck")
        assert ready(client)[1]["error"] is None
        assert {note.cluster_id for note in processes.list_cluster_notes()} == {"works", "killed"}
