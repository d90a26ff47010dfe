"""Firing, resolved, silenced: each change happens once, is told once and is kept in a bounded history."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest
from bson import ObjectId
from django.test import Client
from rest_framework.test import APIClient

from apps.admin.alerts import evaluation, events, silences, state
from apps.admin.alerts.events import list_history
from apps.admin.alerts.rules import Judgement, Verdict
from apps.admin.alerts.selectors import list_alerts
from apps.admin.choices import AlertEventKind, AlertRule
from apps.admin.models import Alert, AlertEvent, AlertNotice, AlertSilence
from apps.core.liveness.processes import note_heartbeat
from apps.core.storage.mongo import collection_of, utc_now
from apps.core.storage.redis import get_redis
from tests.admin.alerts.receiver import Receiver
from tests.admin.alerts.support import (
    alert,
    change_alert,
    check,
    cool_down,
    let_first_check_be_awaited,
    let_last_check_be,
    let_worker_be_silent,
)
from tests.http import METRICS_HEADERS

pytestmark = [pytest.mark.django_db, pytest.mark.mongo, pytest.mark.redis]

Log = Callable[[], list[dict[str, Any]]]


@pytest.fixture(autouse=True)
def _worker_lives(db: None) -> None:
    note_heartbeat()


def fire() -> tuple[list[str], list[str]]:
    let_worker_be_silent(seconds=1000)
    return check()


def end() -> tuple[list[str], list[str]]:
    note_heartbeat()
    return check()


def status_of(rule: str) -> str:
    (found,) = [one for one in list_alerts() if one["rule"] == rule and not one["action"]]
    return str(found["status"])


def history() -> list[tuple[str, str]]:
    return [(event["rule"], event["kind"]) for event in list_history(limit=1000)]


def told() -> list[str]:
    found = collection_of(AlertNotice).find({}, sort=[("created_at", 1), ("_id", 1)])
    return [notice["event"]["kind"] for notice in found]


class TestOnce:
    def test_a_firing_and_a_recovery(self, receiver: Receiver, written_log: Log) -> None:
        assert status_of("worker_silent") == "ok"
        assert fire() == (["worker_silent"], [])
        assert fire() == fire() == ([], [])
        assert status_of("worker_silent") == "firing"
        assert end() == ([], ["worker_silent"])
        assert end() == ([], [])
        assert status_of("worker_silent") == "resolved"
        assert history() == [("worker_silent", "resolved"), ("worker_silent", "fired")]
        assert told() == ["fired", "resolved"]
        lines = [line for line in written_log() if line["logger"] == "collector.alerts"]
        assert [(line["event"], line["level"]) for line in lines] == [
            ("alert_fired", "warning"),
            ("alert_resolved", "info"),
        ]
        assert lines[0]["rule"] == "worker_silent"

    def test_many_checks_at_the_same_moment(self, receiver: Receiver) -> None:
        let_worker_be_silent(seconds=1000)
        begin = threading.Barrier(8)

        def check_with_the_others(_: int) -> tuple[list[str], list[str]]:
            begin.wait()
            return check()

        with ThreadPoolExecutor(8) as pool:
            fired = [key for found, _ in pool.map(check_with_the_others, range(8)) for key in found]
            note_heartbeat()
            resolved = [key for _, found in pool.map(check_with_the_others, range(8)) for key in found]
        assert (fired, resolved) == (["worker_silent"], ["worker_silent"])
        check()
        assert sorted(history()) == [("worker_silent", "fired"), ("worker_silent", "resolved")]
        assert told() == ["fired", "resolved"]
        assert alert("worker_silent")["episode"] == 1

    def test_it_survives_a_lost_redis(self, receiver: Receiver) -> None:
        fire()
        get_redis().flushdb()
        assert fire() == ([], [])
        get_redis().flushdb()
        assert end() == ([], ["worker_silent"])
        assert told() == ["fired", "resolved"]

    def test_a_check_killed_after_the_change_is_completed_by_the_next(
        self, receiver: Receiver, monkeypatch: pytest.MonkeyPatch, written_log: Log
    ) -> None:
        for killed_at in ("_insert_once", "_log"):
            with monkeypatch.context() as patch:
                patch.setattr(events, killed_at, _killed)
                with pytest.raises(KeyboardInterrupt):
                    fire()
            if killed_at == "_insert_once":
                assert (history(), told()) == ([], [])
            fire()
            assert told()[-1] == "fired"
            end()
            cool_down("worker_silent")
        assert history() == [("worker_silent", "resolved"), ("worker_silent", "fired")] * 2
        assert told() == ["fired", "resolved"] * 2

    def test_what_was_stored_before_the_kill_is_not_stored_again(
        self, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        alerts = collection_of(Alert)
        fire()
        # As if it had been killed just before the event was taken from the alert.
        (event,) = collection_of(AlertEvent).find()
        pending = event | {"is_told": True, "is_in_history": False}
        alerts.update_one({"_id": "worker_silent"}, {"$set": {"pending_events": [pending]}})
        assert fire() == ([], [])
        assert (history(), told()) == ([("worker_silent", "fired")], ["fired"])
        assert alert("worker_silent")["pending_events"] == []

    def test_an_event_that_an_older_process_left_is_handed_over(self, receiver: Receiver) -> None:
        fire()
        (event,) = collection_of(AlertEvent).find()
        assert event["message_parts"]["code"] == "old_report"
        del event["message_parts"]
        pending = event | {"_id": ObjectId(), "message": "Old.", "is_told": True, "is_in_history": False}
        collection_of(Alert).update_one({"_id": "worker_silent"}, {"$set": {"pending_events": [pending]}})
        fire()
        newest = next(collection_of(AlertEvent).find().sort("$natural", -1))
        assert (newest["message"], newest["message_parts"]) == ("Old.", None)


class TestCooldown:
    def test_the_state_changes_at_once_and_it_is_told_after_the_cooldown(
        self, receiver: Receiver, settings: Any
    ) -> None:
        settings.ALERT_COOLDOWN_MINUTES = 30
        fire()
        end()
        assert told() == ["fired", "resolved"]
        assert fire() == (["worker_silent"], [])
        assert status_of("worker_silent") == "firing"
        assert alert("worker_silent")["episode"] == 2
        assert history()[0] == ("worker_silent", "fired")
        change_alert("worker_silent", told_at=utc_now() - timedelta(minutes=29))
        fire()
        assert told() == ["fired", "resolved"]
        change_alert("worker_silent", told_at=utc_now() - timedelta(minutes=30))
        assert fire() == fire() == ([], [])
        assert told() == ["fired", "resolved", "fired"]
        assert len(history()) == 3
        end()
        assert told() == ["fired", "resolved", "fired", "resolved"]

    def test_what_has_ended_by_then_is_not_told(self, receiver: Receiver) -> None:
        fire()
        end()
        for _ in range(3):  # it comes and goes
            assert fire() == (["worker_silent"], [])
            assert end() == ([], ["worker_silent"])
        assert status_of("worker_silent") == "resolved"
        assert told() == ["fired", "resolved"]
        assert len(history()) == 8
        cool_down("worker_silent")
        end()
        assert told() == ["fired", "resolved"]
        fire()  # the cooldown began when it was told, not when it came and went
        assert told() == ["fired", "resolved", "fired"]

    def test_whoever_looks_sees_it_at_once(self, admin: APIClient, client: Client) -> None:
        fire()
        end()
        fire()
        (shown,) = [
            one for one in admin.get("/api/admin/alerts").json()["data"]["alerts"] if one["is_firing"]
        ]
        assert (shown["rule"], shown["status"]) == ("worker_silent", "firing")
        firing = 'collector_alert_firing{action="",rule="worker_silent",severity="critical"} 1.0'
        assert firing in client.get("/metrics", headers=METRICS_HEADERS).content.decode()

    def test_many_checks_at_the_same_moment_tell_once_when_it_is_over(self, receiver: Receiver) -> None:
        fire()
        end()
        fire()
        cool_down("worker_silent")
        with ThreadPoolExecutor(8) as pool:
            list(pool.map(lambda _: check(), range(16)))
        assert told() == ["fired", "resolved", "fired"]

    def test_without_a_cooldown_at_once(self, settings: Any) -> None:
        settings.ALERT_COOLDOWN_MINUTES = 0
        for _ in range(3):
            assert fire() == (["worker_silent"], [])
            assert end() == ([], ["worker_silent"])
        assert len(history()) == 6


class TestSilence:
    def silence(self, minutes: int = 60) -> None:
        silences.silence_rule(AlertRule.WORKER_SILENT, minutes=minutes, silenced_by="tests")

    def lift(self) -> None:
        collection_of(AlertSilence).update_many({}, {"$set": {"silenced_until": utc_now()}})

    def test_nobody_is_told_and_the_history_knows(self, receiver: Receiver) -> None:
        self.silence()
        assert status_of("worker_silent") == "silenced"
        assert fire() == (["worker_silent"], [])
        assert end() == ([], ["worker_silent"])
        assert told() == []
        assert [event["is_silenced"] for event in list_history(limit=10)] == [True, True]

    def test_what_still_fires_when_it_ends_is_told_then(self, receiver: Receiver) -> None:
        self.silence()
        fire()
        self.lift()
        assert fire() == ([], [])
        assert fire() == ([], [])
        assert status_of("worker_silent") == "firing"
        assert told() == ["fired"]
        assert history() == [("worker_silent", "fired")]
        end()
        assert told() == ["fired", "resolved"]

    def test_whoever_was_told_of_the_beginning_is_told_of_the_end(self, receiver: Receiver) -> None:
        fire()
        self.silence()
        end()
        assert told() == ["fired", "resolved"]

    def test_other_rules_are_told(self, receiver: Receiver) -> None:
        silences.silence_rule(AlertRule.BREAKER_OPEN, minutes=1, silenced_by="tests")
        fire()
        assert told() == ["fired"]

    def test_a_later_silence_replaces_the_former(self) -> None:
        self.silence(600)
        self.silence(1)
        (stored,) = collection_of(AlertSilence).find()
        assert stored["silenced_until"] < utc_now() + timedelta(minutes=2)


class TestHistory:
    def test_1500_alerts_leave_the_newest_1000(self) -> None:
        stored = {"kind": "fired", "rule": "empty_streak", "at": utc_now()}
        earlier = [{**stored, "_id": ObjectId(), "action": f"a{number}"} for number in range(1300)]
        collection_of(AlertEvent).insert_many(earlier)
        for number in range(1300, 1500):
            bad = Judgement(AlertRule.EMPTY_STREAK, Verdict.BAD, 3.0, 3.0, "empty", action=f"a{number}")
            kind = state.apply(bad, None, is_silenced=False, now=utc_now())
            assert kind is AlertEventKind.FIRED
        assert events.hand_over_events() == 200
        assert collection_of(AlertEvent).count_documents({}) == 1000
        kept = {event["action"] for event in list_history(limit=1000)}
        assert kept == {f"a{number}" for number in range(500, 1500)}
        assert collection_of(AlertEvent).options()["max"] == 1000

    def test_writers_at_the_same_time_cannot_exceed_it(self) -> None:
        def write(_: int) -> None:
            now = utc_now()
            for _number in range(150):
                event = {"_id": ObjectId(), "kind": "fired", "rule": "queue_stuck", "at": now}
                collection_of(AlertEvent).insert_one(event)

        with ThreadPoolExecutor(8) as pool:
            list(pool.map(write, range(8)))
        assert collection_of(AlertEvent).count_documents({}) == 1000


class TestWhoChecks:
    def test_a_minute_is_checked_once(self) -> None:
        let_last_check_be(timedelta(minutes=1))
        results = [evaluation.run_scheduled_check() for _ in range(5)]
        # The minute may end in between.
        assert 1 <= sum(result is not None for result in results) <= 2
        assert results[0] is not None

    def test_at_the_same_moment_too(self) -> None:
        now = utc_now()
        with ThreadPoolExecutor(8) as pool:
            claims = list(pool.map(lambda _: evaluation._claim_minute(now), range(32)))
        assert sum(claims) == 1
        assert evaluation._claim_minute(now + timedelta(minutes=1))
        assert not evaluation._claim_minute(now)  # a task that comes too late

    def test_one_by_hand_takes_no_minute(self) -> None:
        evaluation.check_by_hand()
        assert evaluation._claim_minute(utc_now())

    def test_dead_workers_are_found_without_them(self, receiver: Receiver) -> None:
        let_last_check_be(timedelta(minutes=10))
        let_worker_be_silent(seconds=600)
        result = evaluation.check_if_late()
        assert result is not None
        assert result.fired == ["worker_silent"]
        assert evaluation.check_if_late() is None

    def test_nobody_checks_for_workers_that_do(self) -> None:
        let_worker_be_silent(seconds=1000)
        let_last_check_be(timedelta(seconds=100))
        assert evaluation.check_if_late() is None

    def test_before_the_first_check_the_clock_starts(self) -> None:
        let_worker_be_silent(seconds=1000)
        assert evaluation.check_if_late() is None
        assert evaluation.last_checked_at() is None
        let_first_check_be_awaited(timedelta(minutes=4))
        assert evaluation.check_if_late() is not None

    @pytest.mark.parametrize(
        ("cron", "minutes"), [("* * * * *", 3), ("*/10 * * * *", 21), ("0 * * * *", 121)]
    )
    def test_late_is_when_two_checks_stayed_away(self, settings: Any, cron: str, minutes: int) -> None:
        settings.CRON_ALERT_CHECK = cron
        checked_at = utc_now().replace(minute=0, second=1, microsecond=0)
        assert not evaluation.is_late(checked_at, now=checked_at + timedelta(minutes=minutes - 1))
        assert evaluation.is_late(checked_at, now=checked_at + timedelta(minutes=minutes))


def _killed(*_: Any) -> None:
    raise KeyboardInterrupt
