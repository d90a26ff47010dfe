"""When each alert fires and when it ends, by what is in MongoDB and Redis."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import connection
from rest_framework.test import APIClient

from apps.admin.alerts.rules import Verdict, judge_all
from apps.admin.choices import SEVERITIES, AlertRule
from apps.core.liveness.processes import note_heartbeat
from apps.core.storage.mongo import collection_of, named_collection, utc_now
from apps.core.storage.redis import get_redis
from apps.mengla.choices import Action, CollectionStatus, Priority
from apps.mengla.models import Collection
from apps.mengla.upstream import breaker
from tests.admin.alerts.support import (
    alert,
    ask,
    begin_window,
    check,
    end_collections,
    forget_collections,
    let_worker_be_silent,
    open_breaker,
    wait_in_queue,
)

pytestmark = [pytest.mark.django_db, pytest.mark.mongo, pytest.mark.redis]

FAILED, EMPTY = CollectionStatus.FAILED, CollectionStatus.EMPTY


@pytest.fixture(autouse=True)
def _worker_lives(db: None) -> None:
    note_heartbeat()


def verdicts() -> dict[str, Verdict]:
    return {judgement.key: judgement.verdict for judgement in judge_all(now=utc_now())}


def test_every_rule_is_asked_and_nothing_is_wrong_with_an_empty_installation() -> None:
    found = verdicts()
    assert {key.partition(":")[0] for key in found} == set(AlertRule.values) == set(SEVERITIES)
    assert {key for key in found if ":" in key} == {f"empty_streak:{action.value}" for action in Action}
    assert Verdict.BAD not in found.values()
    assert check() == ([], [])


class TestSuccessRate:
    def test_below_the_warning_and_below_the_critical_threshold(self) -> None:
        end_collections(94)
        end_collections(6, FAILED)
        assert check() == (["low_success_rate"], [])
        end_collections(25, FAILED)
        assert check() == (["critical_success_rate"], [])
        fired = alert("critical_success_rate")
        assert fired["severity"] == "critical"
        assert fired["value"] == pytest.approx(94 / 125)
        assert (fired["threshold"], fired["message"]) == (
            0.8,
            "94 of 125 collections of the last 60 min got an answer.",
        )
        end_collections(2000)
        assert check() == ([], ["low_success_rate", "critical_success_rate"])

    @pytest.mark.parametrize(("failed", "fires"), [(5, False), (6, True)])
    def test_the_threshold_itself_is_well(self, failed: int, fires: bool) -> None:
        end_collections(100 - failed)
        end_collections(failed, FAILED)
        assert (verdicts()["low_success_rate"] is Verdict.BAD) == fires

    def test_an_empty_answer_is_an_answer(self) -> None:
        for action in Action:
            end_collections(2, EMPTY, action=action)
        assert check() == ([], [])

    def test_too_few_say_nothing_bad(self, settings: Any) -> None:
        end_collections(settings.ALERT_MIN_COLLECTIONS - 1, FAILED)
        assert verdicts()["low_success_rate"] is Verdict.UNKNOWN
        end_collections(1, FAILED)
        assert verdicts()["low_success_rate"] is Verdict.BAD

    def test_what_is_older_than_the_window_says_nothing(self) -> None:
        end_collections(50, FAILED, minutes_ago=61)
        assert verdicts()["low_success_rate"] is Verdict.UNKNOWN

    def test_without_collections_it_goes_on_and_the_first_good_ones_end_it(self) -> None:
        end_collections(20, FAILED)
        check()
        forget_collections()
        assert check() == ([], [])
        assert alert("low_success_rate")["is_firing"]
        end_collections(1)
        assert check() == ([], ["low_success_rate", "critical_success_rate"])


class TestLatency:
    def test_a_mean_over_the_threshold(self, settings: Any) -> None:
        end_collections(9, seconds=40)
        assert check() == ([], [])  # too few
        end_collections(1, seconds=40)
        assert check() == (["high_latency"], [])
        assert alert("high_latency")["value"] == pytest.approx(40, abs=0.1)
        end_collections(30, seconds=1)
        assert check() == ([], ["high_latency"])

    def test_failures_have_no_duration(self) -> None:
        end_collections(200)
        end_collections(5, FAILED, seconds=300)
        assert check() == ([], [])


class TestCacheHitRate:
    def test_of_the_window_only(self) -> None:
        ask(hits=1, misses=1000)  # long ago
        begin_window()
        ask(hits=20, misses=29)
        assert check() == ([], [])  # 49 questions are too few
        ask(misses=1)
        assert check() == (["low_cache_hit_rate"], [])
        fired = alert("low_cache_hit_rate")
        assert (fired["value"], fired["severity"]) == (pytest.approx(0.4), "info")
        assert fired["message"] == "20 of 50 reads of the last 60 min were hits."
        ask(hits=10)
        assert check() == ([], ["low_cache_hit_rate"])

    def test_the_first_check_knows_no_window(self) -> None:
        ask(misses=1000)
        assert verdicts()["low_cache_hit_rate"] is Verdict.UNKNOWN

    def test_when_redis_was_lost_it_begins_anew(self) -> None:
        ask(hits=500, misses=500)
        begin_window()
        get_redis().delete("mengla:stats:total")
        ask(misses=400)
        assert verdicts()["low_cache_hit_rate"] is Verdict.UNKNOWN
        begin_window()
        ask(misses=50)
        assert verdicts()["low_cache_hit_rate"] is Verdict.BAD


class TestEmptyStreak:
    def test_of_each_action_by_itself(self) -> None:
        end_collections(2, EMPTY, action=Action.HOT, minutes_ago=2)
        end_collections(3, EMPTY, action=Action.CHANCE, minutes_ago=2)
        assert check() == (["empty_streak:chance"], [])
        assert (alert("empty_streak:chance")["action"], alert("empty_streak:chance")["value"]) == (
            "chance",
            3,
        )
        end_collections(1, EMPTY, action=Action.HOT)
        assert check() == (["empty_streak:hot"], [])
        end_collections(1, action=Action.CHANCE)
        assert check() == ([], ["empty_streak:chance"])

    def test_a_failure_neither_ends_nor_lengthens_it(self) -> None:
        end_collections(2, EMPTY, minutes_ago=3)
        end_collections(1, FAILED, minutes_ago=2)
        assert check() == ([], [])
        end_collections(1, EMPTY, minutes_ago=1)
        assert check() == (["empty_streak:hot"], [])

    def test_what_asked_nothing_says_nothing(self) -> None:
        end_collections(2, EMPTY, minutes_ago=3)
        end_collections(5, EMPTY, minutes_ago=2, execution_id="")
        assert check() == ([], [])
        end_collections(1, EMPTY, minutes_ago=1)
        assert check() == (["empty_streak:hot"], [])
        end_collections(1, minutes_ago=0.5, execution_id="")
        assert check() == ([], [])  # it goes on: nobody has got figures
        end_collections(1, minutes_ago=0.4)
        assert check() == ([], ["empty_streak:hot"])

    @pytest.mark.slow
    def test_a_week_of_another_action_is_not_looked_through(self, admin: APIClient) -> None:
        for day in range(1, 7):
            for hours, status in enumerate((CollectionStatus.SUCCEEDED, EMPTY, FAILED)):
                end_collections(600, status, action=Action.HIGH, minutes_ago=day * 1440 + hours * 60)
        end_collections(2000, CollectionStatus.CANCELLED, minutes_ago=1441)
        end_collections(2000, EMPTY, minutes_ago=1441, execution_id="")
        end_collections(4, EMPTY, minutes_ago=1442)
        database = connection.database
        database.command("profile", 2)
        try:
            checked = admin.post("/api/admin/alerts/check")
            health = admin.get("/api/admin/collect-health").json()["data"]
        finally:
            database.command("profile", 0)
        assert "empty_streak:hot" in checked.json()["data"]["fired"]
        assert health["is_complete"]
        assert (health["empty_streaks"]["data"]["hot"], health["empty_streaks"]["data"]["high"]) == (4, 0)
        name = f"{database.name}.{collection_of(Collection).name}"
        asked = list(database["system.profile"].find({"ns": name}))
        database.drop_collection("system.profile")
        assert len(asked) >= 10
        assert max(one.get("docsExamined", 0) for one in asked) <= 200
        assert max(one.get("keysExamined", 0) for one in asked) <= 200


class TestQueueStuck:
    @pytest.mark.parametrize("priority", [Priority.READER, Priority.MANUAL])
    def test_what_people_asked_for_waits_too_long(self, priority: Priority) -> None:
        wait_in_queue(minutes=29, priority=priority)
        end_collections(1)
        assert check() == ([], [])
        wait_in_queue(minutes=31, priority=priority)
        assert check() == (["queue_stuck"], [])
        assert alert("queue_stuck")["value"] == pytest.approx(31, abs=0.1)
        forget_collections()
        assert check() == ([], ["queue_stuck"])

    def test_a_long_backfill_only_when_nothing_moves(self) -> None:
        wait_in_queue(minutes=600, priority=Priority.BACKFILL, count=5)
        end_collections(1)
        assert check() == ([], [])
        forget_collections()
        wait_in_queue(minutes=600, priority=Priority.BACKFILL, count=5)
        assert check() == (["queue_stuck"], [])


class TestBreaker:
    def test_open_half_open_closed(self, settings: Any) -> None:
        settings.CB_TIMEOUT = 0.1
        settings.CB_SUCCESS_THRESHOLD = 1
        open_breaker(settings.CB_FAILURE_THRESHOLD)
        assert check() == (["breaker_open"], [])
        get_redis().hset(breaker.KEY, "opened_at", 0)
        assert breaker.ask_permission().wait_seconds == 0
        assert verdicts()["breaker_open"] is Verdict.UNKNOWN
        assert check() == ([], [])
        breaker.record_success()
        assert check() == ([], ["breaker_open"])

    @pytest.mark.parametrize(
        ("reason", "setting"),
        [
            ("unauthorized", "Correct COLLECT_SERVICE_API_KEY."),
            ("unknown_task", "Correct COLLECT_TASK_NAME."),
            ("rejected", "Correct COLLECT_SERVICE_URL."),
            ("connect_error", "Start it, or correct COLLECT_SERVICE_URL."),
            ("service_error", "Check it and COLLECT_SERVICE_URL."),
            ("timeout", "Check it, and that it reaches MENGLA_WEBHOOK_URL."),
            ("execution_failed", "Check it."),
        ],
    )
    def test_the_message_names_the_setting(self, reason: str, setting: str, admin: APIClient) -> None:
        facts = {"state": "open", "opened_at": 0, "since": 1735700580000, "failures": 1, "reason": reason}
        get_redis().hset(breaker.KEY, mapping=facts)
        assert check() == (["breaker_open"], [])
        found = alert("breaker_open")
        assert found["severity"] == "critical"
        assert "since 2025-01-01 11:03:00. " in found["message"]
        assert found["message"].endswith(setting)
        shown = admin.get("/api/admin/alerts", headers={"Accept-Language": "zh-CN"}).json()["data"]["alerts"]
        (chinese,) = [one["message"] for one in shown if one["rule"] == "breaker_open"]
        assert "采集服务" in chinese
        assert "2025-01-01 11:03:00" in chinese


class TestWorkers:
    def test_silent_for_longer_than_the_threshold(self, settings: Any) -> None:
        let_worker_be_silent(seconds=settings.ALERT_WORKER_SILENT_SECONDS - 20)
        assert check() == ([], [])
        let_worker_be_silent(seconds=settings.ALERT_WORKER_SILENT_SECONDS + 1)
        assert check() == (["worker_silent"], [])
        note_heartbeat()
        assert check() == ([], ["worker_silent"])

    def test_never_a_worker(self) -> None:
        named_collection("core_heartbeats").delete_many({})
        assert check() == (["worker_silent"], [])
        assert alert("worker_silent")["message"] == "No worker has ever reported."


def test_thresholds_come_from_the_settings(settings: Any) -> None:
    settings.ALERT_SUCCESS_RATE_WARNING = 0.5
    settings.ALERT_SUCCESS_RATE_CRITICAL = 0.1
    settings.ALERT_LATENCY_SECONDS = 0.5
    settings.ALERT_EMPTY_STREAK = 1
    settings.ALERT_QUEUE_STUCK_MINUTES = 1
    settings.ALERT_MIN_COLLECTIONS = 2
    settings.ALERT_WINDOW_MINUTES = 5
    end_collections(2, EMPTY, minutes_ago=2)
    end_collections(3, FAILED, minutes_ago=2)
    wait_in_queue(minutes=2)
    fired, _ = check()
    assert fired == ["low_success_rate", "high_latency", "empty_streak:hot", "queue_stuck"]
