"""Alerts in the Django admin: seen, silenced and told of again."""

from __future__ import annotations

import html
from collections.abc import Callable
from datetime import timedelta

import pytest
from django.contrib.admin.models import LogEntry
from django.test import Client
from django.utils import translation

from apps.admin.alerts.silences import find_silence
from apps.admin.alerts.words import EMPTY, MESSAGES
from apps.admin.choices import AlertEventKind, AlertRule
from apps.admin.models import Alert, AlertEvent
from apps.core.storage.mongo import collection_of, utc_now

pytestmark = [pytest.mark.mongo, pytest.mark.redis, pytest.mark.django_db]
LIST = "/admin/collector_admin/alert/"
KEY = "empty_streak:hot"


@pytest.fixture
def _firing() -> None:
    facts = {
        "rule": "empty_streak",
        "action": "hot",
        "severity": "warning",
        "message": "5 empty answers <b>.",
    }
    facts |= {"value": 5.0, "threshold": 3.0}
    now = utc_now()
    collection_of(Alert).insert_one(
        {"_id": KEY, **facts, "is_firing": True, "is_told": True, "episode": 2, "fired_at": now}
        | {"resolved_at": None, "updated_at": now, "pending_events": []}
    )
    collection_of(AlertEvent).insert_one({**facts, "kind": "fired", "is_silenced": False, "at": now})


def text(client: Client, path: str) -> str:
    answer = client.get(path)
    assert answer.status_code == 200
    return " ".join(answer.content.decode().split())


@pytest.mark.usefixtures("_firing")
def test_a_firing_alert_and_its_history_are_shown(site: Client) -> None:
    for path in (LIST, f"{LIST}{KEY}/change/", "/admin/collector_admin/alertevent/"):
        page = text(site, path)
        assert "5 empty answers &lt;b&gt;." in page
    assert "Firing" in text(site, LIST)
    assert "/admin/alerts/" in text(site, "/admin/mengla/record/")


@pytest.mark.usefixtures("_firing")
def test_alerts_and_events_are_named_in_the_readers_language(site: Client) -> None:
    (event,) = collection_of(AlertEvent).find()
    with translation.override("zh-hans"):
        rule, fired = str(AlertRule.EMPTY_STREAK.label), str(AlertEventKind.FIRED.label)
    site.defaults["HTTP_ACCEPT_LANGUAGE"] = "zh-CN"
    assert f"{rule} hot" in text(site, f"{LIST}{KEY}/change/")
    page = text(site, f"/admin/collector_admin/alertevent/{event['_id']}/change/")
    assert f"{rule}：{fired}" in page
    assert "empty_streak" not in page


def test_what_an_alert_says_is_shown_in_the_readers_language(site: Client) -> None:
    for model, facts in ((Alert, {"_id": KEY, "is_firing": True}), (AlertEvent, {"kind": "fired"})):
        stored = {"rule": "empty_streak", "action": "hot", "severity": "warning", "at": utc_now()}
        collection_of(model).insert_one(facts | stored | MESSAGES.stored(EMPTY(count=5)))
    for path in (LIST, f"{LIST}{KEY}/change/", "/admin/collector_admin/alertevent/"):
        assert "The last 5 answers were empty." in text(site, path)
    site.defaults["HTTP_ACCEPT_LANGUAGE"] = "zh-CN"
    for path in (LIST, f"{LIST}{KEY}/change/", "/admin/collector_admin/alertevent/"):
        assert "最近 5 次采集结果均为空。" in text(site, path)
    # An older process has written the text alone.
    for model in (Alert, AlertEvent):
        collection_of(model).update_many({}, {"$set": {"message": "6 empty <b>"}})
    for path in (LIST, f"{LIST}{KEY}/change/", "/admin/collector_admin/alertevent/"):
        assert "6 empty &lt;b&gt;" in text(site, path)


@pytest.mark.usefixtures("_firing")
@pytest.mark.parametrize(("slug", "hours"), [("silence-1h", 1), ("silence-24h", 24)])
def test_a_rule_is_silenced_after_a_question_and_told_of_again(site: Client, slug: str, hours: int) -> None:
    address = f"{LIST}{KEY}/operation/{slug}/"
    assert f"for {hours} {'hour' if hours == 1 else 'hours'}?" in html.unescape(text(site, address))
    assert find_silence(AlertRule.EMPTY_STREAK) is None
    assert site.post(address).status_code == 302
    silence = find_silence(AlertRule.EMPTY_STREAK)
    assert silence is not None
    assert silence["silenced_by"] == "chief"
    left = silence["silenced_until"] - utc_now()
    assert timedelta(hours=hours) - timedelta(minutes=5) < left <= timedelta(hours=hours)
    assert "by chief" in text(site, f"{LIST}{KEY}/change/")
    assert site.post(f"{LIST}{KEY}/operation/end-silence/").status_code == 302
    assert find_silence(AlertRule.EMPTY_STREAK) is None
    assert [one.object_id for one in LogEntry.objects.all()] == [KEY, KEY]


@pytest.mark.usefixtures("_firing")
def test_who_may_only_look_silences_nothing(staff: Callable[..., Client]) -> None:
    looker = staff("view_alert", "view_alertevent")
    assert "silence" not in text(looker, f"{LIST}{KEY}/change/").lower().replace("silenced", "")
    assert looker.post(f"{LIST}{KEY}/operation/silence-1h/").status_code == 403
    assert find_silence(AlertRule.EMPTY_STREAK) is None
    assert staff("view_record").get(LIST).status_code == 403


def test_an_unknown_alert(site: Client) -> None:
    assert site.post(f"{LIST}nope/operation/silence-1h/").status_code == 404
