"""The addresses under ``/api/admin/alerts``."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest
from rest_framework.test import APIClient

from apps.admin.choices import AlertRule
from apps.core.liveness.processes import note_heartbeat
from apps.core.scheduling.schedules import declared_schedules
from apps.core.storage.mongo import named_collection, utc_now
from apps.core.storage.outages import redis_outage
from tests.admin.alerts.support import let_last_check_be, let_worker_be_silent

pytestmark = [pytest.mark.django_db, pytest.mark.mongo, pytest.mark.redis]

Log = Callable[[], list[dict[str, Any]]]
BASE = "/api/admin/alerts"


@pytest.fixture(autouse=True)
def _worker_lives(db: None) -> None:
    note_heartbeat()


def data_of(answer: Any) -> dict[str, Any]:
    assert answer.status_code == 200, answer.content
    data: dict[str, Any] = answer.json()["data"]
    return data


def by_rule(data: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {f"{one['rule']}:{one['action']}".rstrip(":"): one for one in data["alerts"]}


def silence(admin: APIClient, rule: Any = "worker_silent", minutes: Any = 60) -> Any:
    return admin.post(f"{BASE}/silence", {"rule_name": rule, "duration_minutes": minutes})


def test_an_alert_from_its_beginning_to_its_end(admin: APIClient) -> None:
    assert set(by_rule(data_of(admin.get(BASE)))) == set(AlertRule.values)
    assert {one["status"] for one in data_of(admin.get(BASE))["alerts"]} == {"ok"}
    let_worker_be_silent(seconds=1000)
    checked = data_of(admin.post(f"{BASE}/check"))
    assert (checked["fired"], checked["resolved"]) == (["worker_silent"], [])
    listed = data_of(admin.get(BASE))
    assert listed["checked_at"] == checked["checked_at"]
    fired = by_rule(listed)["worker_silent"]
    assert (fired["status"], fired["is_firing"], fired["severity"]) == ("firing", True, "critical")
    assert (fired["threshold"], fired["resolved_at"]) == (180.0, None)
    assert datetime.fromisoformat(fired["fired_at"]).utcoffset() == timedelta(0)
    note_heartbeat()
    assert data_of(admin.post(f"{BASE}/check"))["resolved"] == ["worker_silent"]
    assert by_rule(data_of(admin.get(BASE)))["worker_silent"]["status"] == "resolved"
    events = data_of(admin.get(f"{BASE}/history"))["events"]
    assert [(event["rule"], event["kind"]) for event in events] == [
        ("worker_silent", "resolved"),
        ("worker_silent", "fired"),
    ]
    assert len(events[0]["id"]) == 24
    assert len(data_of(admin.get(f"{BASE}/history", {"limit": 1}))["events"]) == 1


def test_alerts_and_their_history_are_told_in_the_readers_language(admin: APIClient) -> None:
    let_worker_be_silent(seconds=600)
    admin.post(f"{BASE}/check", headers={"Accept-Language": "zh-CN"})  # its language is not what is stored
    # The age of the report moves on while the test runs.
    english, chinese = r"The last report of a worker is 60\d s old\.", r"工作进程上次上报于 60\d 秒前。"
    for headers, expected in (({}, english), ({"Accept-Language": "zh-CN"}, chinese)):
        alert = by_rule(data_of(admin.get(BASE, headers=headers)))["worker_silent"]
        (event,) = data_of(admin.get(f"{BASE}/history", headers=headers))["events"]
        for shown in (alert["message"], event["message"]):
            assert re.fullmatch(expected, shown), shown


def test_the_workers_silence_is_seen_by_whoever_asks(admin: APIClient) -> None:
    let_worker_be_silent(seconds=600)
    let_last_check_be(timedelta(minutes=10))
    assert by_rule(data_of(admin.get(BASE)))["worker_silent"]["status"] == "firing"


class TestSilence:
    def test_a_rule(self, admin: APIClient, written_log: Log) -> None:
        data = data_of(silence(admin, minutes=90))
        assert (data["rule_name"], data["silenced_by"]) == ("worker_silent", "admin")
        until = datetime.fromisoformat(data["silenced_until"]).replace(tzinfo=None)
        assert abs((until - utc_now()).total_seconds() - 5400) < 60
        let_worker_be_silent(seconds=1000)
        shown = by_rule(data_of(admin.post(f"{BASE}/check")))["worker_silent"]
        assert (shown["status"], shown["is_firing"]) == ("silenced", True)
        assert (shown["silenced_until"], shown["silenced_by"]) == (data["silenced_until"], "admin")
        assert data_of(admin.get(f"{BASE}/history"))["events"][0]["is_silenced"] is True
        (line,) = [one for one in written_log() if one["event"] == "alert_silenced"]
        assert (line["logger"], line["rule"], line["minutes"]) == ("collector.audit", "worker_silent", 90)

    def test_one_that_is_over_says_nothing(self, admin: APIClient) -> None:
        silence(admin)
        past = utc_now() - timedelta(seconds=1)
        named_collection("alert_silences").update_many({}, {"$set": {"silenced_until": past}})
        shown = by_rule(data_of(admin.get(BASE)))["worker_silent"]
        assert (shown["status"], shown["silenced_until"]) == ("ok", None)

    @pytest.mark.parametrize("minutes", [1, 43_200])
    def test_the_limits_themselves(self, admin: APIClient, minutes: int) -> None:
        assert silence(admin, minutes=minutes).status_code == 200

    @pytest.mark.parametrize(
        "minutes", [0, -1, 43_201, 10**400, 1.5, "60", True, None, [], {"$gt": 0}, "x", "\x00"]
    )
    def test_minutes_that_are_none(self, admin: APIClient, minutes: Any) -> None:
        answer = silence(admin, minutes=minutes)
        assert answer.status_code == 400
        # A number of 400 digits is no JSON for us; the others are told by their name.
        assert list(answer.json().get("fields", {"duration_minutes": 1})) == ["duration_minutes"]
        assert named_collection("alert_silences").count_documents({}) == 0

    @pytest.mark.parametrize(
        "rule",
        ["", "nothing", "x" * 5000, None, 5, [], ["worker_silent"], {"$ne": ""}, "a\x00", "WORKER_SILENT"],
    )
    def test_rules_that_are_none(self, admin: APIClient, rule: Any) -> None:
        answer = silence(admin, rule)
        assert answer.status_code == 400
        assert list(answer.json()["fields"]) == ["rule_name"]

    def test_nothing_is_missing_silently(self, admin: APIClient) -> None:
        answer = admin.post(f"{BASE}/silence", {})
        assert set(answer.json()["fields"]) == {"rule_name", "duration_minutes"}


@pytest.mark.parametrize("limit", ["0", "1001", "-1", "x", "1.5", "9" * 400])
def test_limits_that_are_none(admin: APIClient, limit: str) -> None:
    answer = admin.get(f"{BASE}/history", {"limit": limit})
    assert (answer.status_code, list(answer.json()["fields"])) == (400, ["limit"])


@pytest.mark.parametrize(
    ("method", "path"), [("get", ""), ("get", "/history"), ("post", "/check"), ("post", "/silence")]
)
class TestWho:
    def test_only_admins(self, api: APIClient, reader: APIClient, method: str, path: str) -> None:
        assert getattr(api, method)(BASE + path).status_code == 401
        assert getattr(reader, method)(BASE + path).status_code == 403


def test_without_redis_the_rules_of_mongodb_are_checked(admin: APIClient) -> None:
    let_worker_be_silent(seconds=1000)
    redis_outage.note()
    assert data_of(admin.post(f"{BASE}/check"))["fired"] == ["worker_silent"]


def test_it_is_scheduled_every_minute(settings: Any) -> None:
    (schedule,) = [one for one in declared_schedules() if one.name == "alert_check"]
    assert (schedule.cron, schedule.intended_date_kwarg) == (settings.CRON_ALERT_CHECK, None)
