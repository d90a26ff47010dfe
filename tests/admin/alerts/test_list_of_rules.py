"""The list of all rules: what the last evaluation found, also when all is well; silences before a firing."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
import redis
from django.utils import translation

from apps.admin.alerts import evaluation, readings, silences
from apps.admin.alerts.rules import judge_all
from apps.admin.alerts.selectors import find_rule, list_alerts, list_rules
from apps.admin.alerts.words import MESSAGES, REASONS
from apps.admin.choices import AlertRule
from apps.admin.models import Alert, AlertNotice, AlertSilence
from apps.core.errors import InvalidInput
from apps.core.liveness.processes import note_heartbeat
from apps.core.storage.mongo import collection_of, named_collection, utc_now
from apps.core.storage.redis import get_redis
from apps.mengla.choices import Action, CollectionStatus
from apps.mengla.upstream import breaker
from tests.admin.alerts.receiver import Receiver
from tests.admin.alerts.support import (
    ask,
    begin_window,
    change_alert,
    check,
    end_collections,
    forget_collections,
    let_worker_be_silent,
    open_breaker,
    wait_in_queue,
)

pytestmark = [pytest.mark.django_db, pytest.mark.mongo, pytest.mark.redis]
EMPTY, FAILED = CollectionStatus.EMPTY, CollectionStatus.FAILED


@pytest.fixture(autouse=True)
def _worker_lives(db: None) -> None:
    note_heartbeat()


def rows() -> dict[str, dict[str, Any]]:
    return {row["key"]: row for row in list_rules()}


def message_of(key: str, language: str = "en") -> str:
    found = collection_of(Alert).find_one({"_id": key})
    assert found is not None
    with translation.override(language):
        return MESSAGES.shown(found)


class TestTheList:
    def test_before_the_first_evaluation_nothing_is_known(self) -> None:
        found = rows()
        assert {row["state"] for row in found.values()} == {"unknown"}
        assert {row["reason"] for row in found.values()} == {"The rule has not been evaluated yet."}
        assert len(found) == len(AlertRule) - 1 + len(Action)
        assert found["worker_silent"]["threshold"] == 180

    def test_healthy_rules_have_their_present_values(self) -> None:
        end_collections(20, seconds=2)
        check()
        found = rows()
        for key, value, threshold, unit, setting in (
            ("low_success_rate", 1.0, 0.95, "share", "ALERT_SUCCESS_RATE_WARNING"),
            ("high_latency", 2.0, 30.0, "seconds", "ALERT_LATENCY_SECONDS"),
            ("empty_streak:hot", 0.0, 3.0, "count", "ALERT_EMPTY_STREAK"),
            ("queue_stuck", 0.0, 30.0, "minutes", "ALERT_QUEUE_STUCK_MINUTES"),
            ("breaker_open", 0.0, 5.0, "count", "CB_FAILURE_THRESHOLD"),
            ("wrong_signatures", 0.0, 3.0, "count", ""),
        ):
            row = found[key]
            assert (row["state"], row["unit"], row["setting"]) == ("healthy", unit, setting), key
            assert (row["value"], row["threshold"]) == (pytest.approx(value, abs=0.1), threshold), key
            assert (row["reason"], row["message"], row["last_fired_at"]) == ("", "", None), key

    def test_a_firing_rule_says_since_when_and_why(self) -> None:
        open_breaker(5)
        check()
        row = rows()["breaker_open"]
        assert (row["state"], row["value"], row["severity"]) == ("firing", 5.0, "critical")
        assert "unreachable" in row["message"]
        assert row["firing_since"] == row["last_fired_at"]
        breaker.reset()
        check()
        row = rows()["breaker_open"]
        assert (row["state"], row["firing_since"], row["message"]) == ("healthy", None, "")
        assert row["last_fired_at"] is not None

    def test_an_unknown_rule_says_why(self, settings: Any) -> None:
        check()
        assert rows()["low_success_rate"]["reason"] == (
            "No collection got an answer or failed in the last 60 min."
        )
        end_collections(3, FAILED)
        check()
        row = rows()["critical_success_rate"]
        assert (row["state"], row["value"]) == ("unknown", 0.0)
        assert row["reason"] == "Too few collections in the last 60 min: 3. At least 10 are needed."
        with translation.override("zh-hans"):
            assert REASONS.shown(row) == "最近 60 分钟内的采集任务太少：3 个，至少需要 10 个。"

    def test_without_redis_the_rules_that_need_it_are_unknown(self, monkeypatch: pytest.MonkeyPatch) -> None:
        check()
        assert rows()["breaker_open"]["state"] == "healthy"

        def gone() -> None:
            raise redis.ConnectionError

        monkeypatch.setattr("apps.mengla.dispatch.breaker_control.read_breaker", gone)
        check()
        row = rows()["breaker_open"]
        assert (row["state"], row["reason"], row["value"]) == ("unknown", "Redis did not respond.", None)
        assert rows()["worker_silent"]["state"] == "healthy"

    def test_a_look_evaluates_nothing_and_a_late_evaluation_changes_nothing(self) -> None:
        check()
        before = rows()
        let_worker_be_silent(seconds=1000)
        assert rows() == before
        readings.store(judge_all(now=utc_now()), now=utc_now() - timedelta(minutes=5))
        assert rows() == before

    def test_one_row(self) -> None:
        check()
        row = find_rule("empty_streak:hot")
        assert row is not None
        assert (row["rule"], row["action"]) == ("empty_streak", "hot")
        for key in ("", "nope", "empty_streak:nope", "worker_silent:hot", "worker_silent:", ":", "a" * 5000):
            assert find_rule(key) is None, key


class TestSilenceBeforeAFiring:
    def test_a_rule_that_never_fired_is_silenced_and_its_firing_is_not_notified(
        self, receiver: Receiver
    ) -> None:
        silences.silence_rule(AlertRule.WORKER_SILENT, minutes=60, silenced_by="chief", reason="a move")
        row = rows()["worker_silent"]
        assert (row["silenced_by"], row["silence_reason"]) == ("chief", "a move")
        let_worker_be_silent(seconds=1000)
        assert check() == (["worker_silent"], [])
        assert collection_of(AlertNotice).count_documents({}) == 0

    def test_a_data_set_is_silenced_alone(self, receiver: Receiver) -> None:
        silences.silence_rule(AlertRule.EMPTY_STREAK, minutes=60, silenced_by="chief", action="hot")
        end_collections(3, EMPTY, action=Action.HOT, minutes_ago=2)
        end_collections(3, EMPTY, action=Action.CHANCE, minutes_ago=2)
        check()
        notices = list(collection_of(AlertNotice).find())
        assert [one["event"]["action"] for one in notices] == ["chance"]
        found = rows()
        assert found["empty_streak:hot"]["silence_key"] == "empty_streak:hot"
        assert found["empty_streak:chance"]["silence_key"] is None
        statuses = {one["action"]: one["status"] for one in list_alerts() if one["rule"] == "empty_streak"}
        assert statuses == {"chance": "firing", "hot": "silenced"}
        assert silences.end_silence(AlertRule.EMPTY_STREAK, ended_by="chief", action="hot")
        assert not silences.end_silence(AlertRule.EMPTY_STREAK, ended_by="chief", action="hot")

    def test_the_silence_of_a_rule_covers_its_data_sets(self) -> None:
        silences.silence_rule(AlertRule.EMPTY_STREAK, minutes=60, silenced_by="chief")
        assert rows()["empty_streak:high"]["silence_key"] == "empty_streak"

    def test_an_expired_silence_vanishes(self) -> None:
        silences.silence_rule(AlertRule.QUEUE_STUCK, minutes=1, silenced_by="chief")
        over = {"$set": {"silenced_until": utc_now() - timedelta(seconds=1)}}
        collection_of(AlertSilence).update_one({}, over)
        assert rows()["queue_stuck"]["silenced_until"] is None
        assert not silences.end_silence(AlertRule.QUEUE_STUCK, ended_by="chief")
        silences.silence_rule(AlertRule.QUEUE_STUCK, minutes=1, silenced_by="chief")
        collection_of(AlertSilence).update_one({}, over)
        check()
        assert collection_of(AlertSilence).count_documents({}) == 0

    @pytest.mark.parametrize(("rule", "action"), [("worker_silent", "hot"), ("empty_streak", "nope")])
    def test_an_action_that_the_rule_does_not_have(self, rule: str, action: str) -> None:
        with pytest.raises(InvalidInput) as caught:
            silences.silence_rule(AlertRule(rule), minutes=1, silenced_by="chief", action=action)
        assert set(caught.value.fields) == {"action"}
        assert collection_of(AlertSilence).count_documents({}) == 0


class TestWordsOfTheEnd:
    def let_it_have_fired(self, key: str, minutes: float = 12) -> None:
        change_alert(key, fired_at=utc_now() - timedelta(minutes=minutes))

    def test_the_breaker(self, receiver: Receiver) -> None:
        open_breaker(5)
        check()
        self.let_it_have_fired("breaker_open")
        breaker.reset()
        assert check() == ([], ["breaker_open"])
        wanted = "The collection service responds again; it was down for 12 min 0 s."
        assert message_of("breaker_open") == wanted
        assert message_of("breaker_open", "zh-hans") == "采集服务已恢复响应，中断持续了 12 分 0 秒。"
        notices = list(collection_of(AlertNotice).find({"event.kind": "resolved"}))
        assert [one["event"]["message"] for one in notices] == [wanted]

    def test_each_rule_says_what_became_better(self, settings: Any) -> None:
        begin_window()
        ask(hits=1, misses=99)
        end_collections(10, FAILED, minutes_ago=2)
        end_collections(10, EMPTY, seconds=100, minutes_ago=2)
        end_collections(3, EMPTY, minutes_ago=1)
        wait_in_queue(minutes=31)
        let_worker_be_silent(seconds=1000)
        fired, _ = check()
        assert len(fired) == 7
        for key in fired:
            self.let_it_have_fired(key)
        forget_collections()
        note_heartbeat()
        ask(hits=900)
        end_collections(100)
        _, resolved = check()
        assert sorted(resolved) == sorted(fired)
        said = {key: message_of(key) for key in fired}
        assert said["low_success_rate"].startswith("Collections get answers again: 100.0 % in the last")
        assert said["high_latency"].startswith("Collections are fast again: 1.0 s on average.")
        assert said["low_cache_hit_rate"].startswith("Reads are hits again: 90.1 % in the last 60 min.")
        assert said["empty_streak:hot"].startswith("Answers have figures again")
        assert said["queue_stuck"] == "The queue moves again; it was stuck for 12 min 0 s."
        assert said["worker_silent"].startswith("A worker reports again")
        for key, text in said.items():
            assert "12 min" in text, key
            assert "12 分" in message_of(key, "zh-hans"), key

    def test_an_alert_without_a_beginning_and_one_that_ends_at_once(self) -> None:
        open_breaker(5)
        check()
        change_alert("breaker_open", fired_at=None)
        breaker.reset()
        check()
        assert message_of("breaker_open") == ("The collection service responds again; it was down for 0 ms.")

    def test_single_objects_have_their_own_words(self, settings: Any) -> None:
        settings.ALERT_EMPTY_STREAK = settings.ALERT_MIN_COLLECTIONS = settings.ALERT_MIN_READS = 1
        begin_window()
        ask(misses=1)
        end_collections(1, EMPTY, minutes_ago=2)
        check()
        assert message_of("empty_streak:hot") == "The last answer was empty."
        assert message_of("low_cache_hit_rate") == "The only read of the last 60 min was no hit."
        forget_collections()
        end_collections(1, FAILED)
        get_redis().hset(breaker.KEY, mapping={"state": "open", "failures": 1})
        check()
        assert message_of("low_success_rate") == "The only collection of the last 60 min got no answer."
        assert message_of("breaker_open") == "The collection service did not answer the last request."
        get_redis().hset(breaker.KEY, mapping={"failures": 0})
        check()
        assert message_of("breaker_open") == "The collection service did not answer the last request."

    def test_what_an_older_release_stored_is_still_shown(self) -> None:
        text = "The collection service did not answer 3 times in a row."
        stored = {"message": text, "message_parts": {"code": "unanswered", "parameters": {"count": 3}}}
        assert MESSAGES.shown(stored) == text
        with translation.override("zh-hans"):
            assert MESSAGES.shown(stored) == "采集服务已连续 3 次无响应。"


def test_readings_of_all_processes_are_one_document() -> None:
    for _ in range(3):
        evaluation.check()
    assert named_collection("alert_checks").count_documents({"_id": "readings"}) == 1
