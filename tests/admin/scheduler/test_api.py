"""The addresses of the scheduler; what a pause does to a schedule is tested where schedules are."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest
import redis
from django.utils import timezone
from django_q.models import Schedule, Task
from django_q.scheduler import scheduler
from rest_framework.test import APIClient

from apps.core.liveness.processes import note_heartbeat
from apps.core.scheduling.schedules import sync_schedules
from apps.core.storage.mongo import utc_now
from apps.mengla import tasks
from apps.mengla.maintenance.tick import run_tick
from apps.sync_tasks.services import cancel_run
from tests.admin.calls import BASE, data_of
from tests.factories.categories import Node

pytestmark = [pytest.mark.django_db, pytest.mark.mongo, pytest.mark.redis]

INTENDED = "2026-01-01T02:00:00+08:00"


@pytest.fixture(autouse=True)
def _schedules(sample_tree: list[Node]) -> None:
    sync_schedules()


def status(admin: APIClient) -> dict[str, Any]:
    found: dict[str, Any] = data_of(admin.get(f"{BASE}/scheduler/status"))
    return found


def schedule(admin: APIClient, name: str) -> dict[str, Any]:
    return next(one for one in status(admin)["schedules"] if one["name"] == name)


def turn(admin: APIClient, how: str) -> dict[str, Any]:
    found: dict[str, Any] = data_of(admin.post(f"{BASE}/scheduler/{how}"))
    return found


class TestStatus:
    def test_every_schedule_with_its_time_in_the_market(self, admin: APIClient) -> None:
        found = status(admin)
        assert found["time_zone"] == "Asia/Shanghai"
        names = {one["name"] for one in found["schedules"]}
        assert {"tick", "daily_collect", "monthly_collect", "quarterly_collect", "yearly_collect"} <= names
        daily = schedule(admin, "daily_collect")
        assert (daily["cron"], daily["is_edited"], daily["obeys_pause"]) == ("0 2 * * *", False, True)
        assert daily["next_run_at"].endswith("T02:00:00+08:00")
        assert (daily["last_run"], daily["last_task"], daily["paused"]) == (None, None, False)
        assert schedule(admin, "tick")["obeys_pause"] is False

    def test_a_time_edited_in_the_admin_is_reported(self, admin: APIClient) -> None:
        Schedule.objects.filter(name="daily_collect").update(cron="30 5 * * *")
        assert schedule(admin, "daily_collect")["is_edited"] is True

    def test_the_last_run_and_how_it_ended(self, admin: APIClient) -> None:
        run_id = tasks.daily_collect(intended_at=INTENDED)
        last = schedule(admin, "daily_collect")["last_run"]
        assert (last["id"], last["status"], last["period"]) == (run_id, "RUNNING", "20251231")
        assert (last["trigger"], last["finished_at"], last["error_message"]) == ("scheduled", None, "")
        cancel_run(run_id=str(run_id), cancelled_by="ana")
        last = schedule(admin, "daily_collect")["last_run"]
        assert (last["status"], last["outcome"]) == ("CANCELLED", "cancelled")
        assert last["error_message"] == "Cancelled by ana."
        assert last["finished_at"].endswith("Z")
        chinese = data_of(admin.get(f"{BASE}/scheduler/status", headers={"Accept-Language": "zh-CN"}))
        (last,) = [one["last_run"] for one in chinese["schedules"] if one["name"] == "daily_collect"]
        assert last["error_message"] == "已由 ana 取消。"
        assert schedule(admin, "monthly_collect")["last_run"] is None

    def test_the_last_task_in_the_cluster_and_how_it_ended(self, admin: APIClient) -> None:
        Schedule.objects.filter(name="tick").update(next_run=timezone.now() - timedelta(seconds=1))
        scheduler()  # django-q2's own: it sends the task and notes its id
        assert schedule(admin, "tick")["last_task"] == {
            "state": "unfinished",
            "started_at": None,
            "finished_at": None,
        }
        task_id = Schedule.objects.get(name="tick").task
        began_at = timezone.now()
        Task.objects.create(
            id=task_id, name="tick", func="x", started=began_at, stopped=timezone.now(), success=False
        )
        last = schedule(admin, "tick")["last_task"]
        assert last["state"] == "failed"
        assert datetime.fromisoformat(last["started_at"]) <= datetime.fromisoformat(last["finished_at"])
        Task.objects.filter(id=task_id).update(success=True)
        assert schedule(admin, "tick")["last_task"]["state"] == "succeeded"

    def test_the_workers(self, admin: APIClient) -> None:
        found = status(admin)
        assert (found["clusters"], found["heartbeats"]) == ([], [])
        note_heartbeat()
        [beat] = status(admin)["heartbeats"]
        assert beat["is_stale"] is False
        assert 0 <= beat["age_seconds"] < 60

    def test_a_silent_worker_is_stale(self, admin: APIClient) -> None:
        from apps.core.storage.mongo import named_collection

        note_heartbeat()
        named_collection("core_heartbeats").update_one(
            {}, {"$set": {"beat_at": utc_now() - timedelta(seconds=200)}}
        )
        assert status(admin)["heartbeats"][0]["is_stale"] is True

    def test_without_redis_the_rest_is_reported(
        self, admin: APIClient, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def refuse(*_args: Any, **_kwargs: Any) -> Any:
            raise redis.ConnectionError("Error 111 connecting to 10.0.0.1:6379")

        monkeypatch.setattr(redis.connection.ConnectionPool, "get_connection", refuse)
        found = status(admin)
        assert found["clusters"] is None
        assert found["schedules"]


class TestPause:
    def test_runs_do_not_start_until_it_is_resumed(self, admin: APIClient, written_log: Any) -> None:
        me = data_of(admin.get("/api/auth/me"))["username"]
        paused = turn(admin, "pause")
        assert (paused["paused"], paused["changed_by"]) == (True, me)
        assert tasks.daily_collect(intended_at=INTENDED) is None
        assert status(admin)["pause"] | {"changed": True} == paused
        assert schedule(admin, "daily_collect")["paused"] is True
        assert schedule(admin, "tick")["paused"] is False
        resumed = turn(admin, "resume")
        assert (resumed["paused"], resumed["changed_by"]) == (False, me)
        assert tasks.daily_collect(intended_at=INTENDED) is not None
        events = [line["event"] for line in written_log() if line["logger"] == "collector.audit"]
        assert [event for event in events if event.startswith("scheduler_")] == [
            "scheduler_paused",
            "scheduler_resumed",
        ]

    def test_upkeep_goes_on(self, admin: APIClient) -> None:
        turn(admin, "pause")
        run_tick()
        assert status(admin)["heartbeats"]

    def test_each_may_be_repeated(self, admin: APIClient) -> None:
        assert [turn(admin, how)["paused"] for how in ("resume", "pause", "pause", "resume")] == [
            False,
            True,
            True,
            False,
        ]
