"""The collecting window: when runs are collected, what waits for it, and what says so."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest
from django.test import Client
from rest_framework.test import APIClient

from apps.admin.alerts.rules import Verdict, judge_all
from apps.core.liveness.processes import note_heartbeat
from apps.core.periods import parse_period
from apps.core.storage.mongo import utc_now
from apps.mengla.choices import Action, CollectionError, Priority
from apps.mengla.dispatch.dispatcher import run_dispatch
from apps.mengla.maintenance import watch
from apps.mengla.queue import jobs, turns, wakeup, window
from apps.mengla.runs.collect import Order, Selection, backfill_plan, start
from apps.mengla.upstream import breaker
from tests.integration.waiting import wait_until
from tests.mengla.commands.support import run as command
from tests.mengla.runs.support import plan_now
from tests.mengla.support import change, collections, enqueue, hot, statuses

pytestmark = [pytest.mark.django_db, pytest.mark.mongo, pytest.mark.redis]

WAIT_SECONDS = 20
StandAt = Callable[[str], None]


@pytest.fixture
def stand_at(settings: Any, monkeypatch: pytest.MonkeyPatch) -> StandAt:
    """Return what sets the time of the day in Shanghai for the window, which is from 00:30 to 05:00."""
    settings.COLLECT_WINDOW_START, settings.COLLECT_WINDOW_END = "00:30", "05:00"

    def stand(clock: str) -> None:
        instant = datetime.fromisoformat(f"2026-03-03T{clock}")
        monkeypatch.setattr(window, "utc_now", lambda: instant - timedelta(hours=8))

    return stand


class TestHours:
    @pytest.mark.parametrize(
        ("hours", "clock", "seconds"),  # until it opens, since it opened
        [
            ("00:30-05:00", "00:29:59", (1, 0)),
            ("00:30-05:00", "00:30:00", (0, 0)),
            ("00:30-05:00", "04:59:59", (0, 4.5 * 3600 - 1)),
            ("00:30-05:00", "05:00:00", (19.5 * 3600, 0)),
            ("22:00-06:00", "21:59:00", (60, 0)),
            ("22:00-06:00", "23:59:59", (0, 2 * 3600 - 1)),
            ("22:00-06:00", "00:00:00", (0, 2 * 3600)),
            ("22:00-06:00", "06:00:00", (16 * 3600, 0)),
            ("00:00-23:59", "23:59:30", (30, 0)),
        ],
    )
    def test_it_opens_and_closes(
        self, settings: Any, stand_at: StandAt, hours: str, clock: str, seconds: tuple[float, float]
    ) -> None:
        stand_at(clock)
        settings.COLLECT_WINDOW_START, settings.COLLECT_WINDOW_END = hours.split("-")
        assert (window.seconds_until_open(), window.open_seconds()) == seconds
        is_open = seconds[0] == 0
        assert (window.is_open(), window.opens_at() is None, window.hours_text()) == (is_open, is_open, hours)

    def test_without_one_it_is_always_open(self) -> None:
        assert window.is_open()
        assert (window.opens_at(), window.open_seconds(), window.hours_text()) == (None, None, "")


class TestSending:
    def test_only_what_readers_asked_for_is_sent_outside(
        self, service: Any, collect_all: Callable[[], int], stand_at: StandAt
    ) -> None:
        stand_at("12:00")
        for number, priority in enumerate(Priority, 1):
            enqueue(hot(f"20250{number}"), priority)
        assert run_dispatch(max_seconds=2) == 1
        wait_until(lambda: statuses()[0] == "SUCCEEDED", timeout_seconds=WAIT_SECONDS, what="its answer")
        assert statuses()[1:] == ["PENDING"] * 3
        stand_at("04:59")
        assert collect_all() == 3
        assert set(statuses()) == {"SUCCEEDED"}

    def test_several_at_once_are_held_back_too(self, stand_at: StandAt) -> None:
        stand_at("05:00")
        enqueue(hot("202501"), Priority.MANUAL)
        enqueue(hot("202502"), Priority.READER)
        assert [one["priority"] for one in jobs.claim_many(5, slot_count=10)] == [Priority.READER]
        assert jobs.claim(slot_count=10) is None
        assert jobs.claim(slot_count=10, is_probe=True) is None
        stand_at("01:00")
        assert [one["priority"] for one in jobs.claim_many(5, slot_count=10)] == [Priority.MANUAL]

    def test_a_reader_who_joins_a_run_gets_the_figures_now(self, stand_at: StandAt) -> None:
        stand_at("12:00")
        collection_id = enqueue(hot("202501"), Priority.BACKFILL)
        assert jobs.claim(slot_count=10) is None
        assert enqueue(hot("202501"), Priority.READER) == collection_id
        claimed = jobs.claim(slot_count=10)
        assert claimed is not None and claimed["_id"] == collection_id

    def test_what_is_in_flight_when_it_closes_ends(self, stand_at: StandAt) -> None:
        stand_at("04:59:59")
        enqueue(hot("202501"), Priority.SCHEDULED)
        claimed = jobs.claim(slot_count=10)
        assert claimed is not None
        stand_at("05:00:00")
        jobs.mark_accepted([jobs.Accepted(claimed["_id"], claimed["attempt_token"], "x-1")])
        assert collections()[0]["execution_id"] == "x-1"

    def test_when_something_may_be_sent(self, stand_at: StandAt) -> None:
        stand_at("00:29")
        assert turns.seconds_until_due() is None
        enqueue(hot("202501"), Priority.BACKFILL)
        assert (turns.seconds_until_due(), turns.has_waiting()) == (60, False)
        reader = enqueue(hot("202502"), Priority.READER)
        assert (turns.seconds_until_due(), turns.has_waiting()) == (0, True)
        change({"_id": reader}, not_before=utc_now() + timedelta(seconds=20))
        assert turns.seconds_until_due() == pytest.approx(20, abs=5)
        change({"_id": reader}, not_before=utc_now() + timedelta(seconds=90))
        assert turns.seconds_until_due() == 60
        stand_at("00:30")
        assert turns.seconds_until_due() == 0

    def test_the_dispatcher_is_woken_when_it_opens(
        self, stand_at: StandAt, settings: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        settings.COLLECT_SERVICE_URL = "http://service"
        woken: list[bool] = []
        monkeypatch.setattr(wakeup, "wake_dispatcher", lambda: woken.append(True))
        stand_at("00:29:59")
        enqueue(hot("202501"), Priority.BACKFILL)
        watch.look()
        assert woken == []
        stand_at("00:30:00")
        watch.look()
        assert woken == [True]

    def test_the_breaker_closes_outside_too(self, service: Any, stand_at: StandAt, settings: Any) -> None:
        """A probe needs no collection: only the task list is asked for."""
        stand_at("12:00")
        settings.CB_TIMEOUT = 0.1
        enqueue(hot("202501"), Priority.BACKFILL)
        for _ in range(settings.CB_FAILURE_THRESHOLD):
            breaker.record_refusal(CollectionError.CONNECT_ERROR)
        assert breaker.snapshot().state is breaker.BreakerState.OPEN
        wait_until(
            lambda: (
                run_dispatch(max_seconds=1) == 0 and breaker.snapshot().state is breaker.BreakerState.CLOSED
            ),
            timeout_seconds=WAIT_SECONDS,
            what="the breaker closes",
        )
        assert statuses() == ["PENDING"]


@pytest.fixture
def run_id(sample_tree: Any, settings: Any) -> str:
    """A planned backfill of two months."""
    settings.COLLECT_SERVICE_URL = "http://service"
    note_heartbeat()
    months = [parse_period("202501"), parse_period("202502")]
    plan = backfill_plan(*months, selection=Selection(cat_ids=("1001",), actions=(Action.HOT,)))
    started = start(plan, Order("tests")).run_id
    plan_now(started)
    return started


class TestWaiting:
    def test_runs_and_their_collections_say_why(
        self, run_id: str, admin: APIClient, stand_at: StandAt
    ) -> None:
        stand_at("12:00")
        collection_id = collections()[0]["_id"]
        for path in (f"/api/sync-tasks/{run_id}", f"/api/mengla/collections/{collection_id}"):
            waiting = admin.get(path).json()["data"]["waiting"]
            assert (waiting["code"], waiting["since"]) == ("outside_window", None)
            assert "00:30-05:00" in waiting["message"]
        (listed,) = admin.get("/api/sync-tasks").json()["data"]["tasks"]
        assert listed["waiting"]["code"] == "outside_window"
        chinese = admin.get(f"/api/sync-tasks/{run_id}", HTTP_ACCEPT_LANGUAGE="zh-hans").json()
        assert "同步任务仅在 00:30-05:00" in chinese["data"]["waiting"]["message"]
        assert "00:30-05:00" in command("sync_tasks", "show", run_id).out
        stand_at("00:31")
        waiting = admin.get(f"/api/sync-tasks/{run_id}").json()["data"]["waiting"]
        assert waiting is None or waiting["code"] != "outside_window"

    def test_a_miss_is_collected_at_any_time(
        self, sample_tree: Any, reader: APIClient, stand_at: StandAt, settings: Any
    ) -> None:
        settings.COLLECT_SERVICE_URL = "http://service"
        note_heartbeat()
        stand_at("12:00")
        miss = reader.get("/api/mengla", {"action": "hot", "primaryCatId": "1001", "timest": "2024-01"})
        assert miss.status_code == 202
        assert miss.json()["data"]["collection"]["waiting"] is None
        assert int(miss.headers["Retry-After"]) <= 60

    def test_operators_see_it(self, run_id: str, site: Client, admin: APIClient, stand_at: StandAt) -> None:
        stand_at("12:00")
        assert "00:30-05:00" in site.get("/admin/").content.decode()
        assert "00:30-05:00" in command("diagnose").out
        stand_at("01:00")
        assert "00:30-05:00" not in site.get("/admin/").content.decode()


class TestAlerts:
    def verdict(self) -> Verdict:
        (found,) = [one.verdict for one in judge_all(now=utc_now()) if one.rule == "queue_stuck"]
        return found

    @pytest.mark.parametrize("priority", [Priority.MANUAL, Priority.SCHEDULED, Priority.BACKFILL])
    def test_what_waits_for_the_window_is_not_stuck(self, stand_at: StandAt, priority: Priority) -> None:
        collection_id = enqueue(hot("202501"), priority)
        change({"_id": collection_id}, created_at=utc_now() - timedelta(hours=12))
        stand_at("12:00")
        assert self.verdict() is Verdict.GOOD
        stand_at("00:31")  # it has waited for a minute since the window opened
        assert self.verdict() is Verdict.GOOD
        stand_at("04:00")
        assert self.verdict() is Verdict.BAD

    def test_readers_wait_at_any_time(self, stand_at: StandAt) -> None:
        collection_id = enqueue(hot("202501"), Priority.READER)
        change({"_id": collection_id}, created_at=utc_now() - timedelta(hours=12))
        stand_at("12:00")
        assert self.verdict() is Verdict.BAD
