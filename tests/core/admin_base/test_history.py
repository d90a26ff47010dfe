"""The history is stored as codes and parameters, and shown in the language of the reader."""

from __future__ import annotations

import json
from typing import Any

import pytest
from django.contrib.admin.models import CHANGE, LogEntry
from django.test import Client, RequestFactory
from django.utils import timezone
from django.utils.translation import gettext_lazy, ngettext_lazy
from django_q.models import Schedule

from apps.admin.models import Alert
from apps.auth.models import ApiToken
from apps.core.admin_base.history import note_history
from apps.core.scheduling.schedules import sync_schedules
from apps.core.stored_messages import HISTORY
from apps.mengla.admin.collections import _RETRIED
from apps.mengla.runs.collect import TASK_NAMES
from apps.sync_tasks.choices import Trigger
from apps.sync_tasks.services import start_run

pytestmark = [pytest.mark.mongo, pytest.mark.redis, pytest.mark.django_db]

HISTORY_LIST = "/admin/admin/logentry/"
CHINESE = {"Accept-Language": "zh-hans"}
ENGLISH = {"Accept-Language": "en"}


def text(client: Client, path: str, language: dict[str, str]) -> str:
    response = client.get(path, headers=language)
    assert response.status_code == 200
    return " ".join(response.content.decode().split())


def do(site: Client, operation: str, language: dict[str, str]) -> None:
    site.post(operation, follow=True, headers=language)  # the next page shows the message, once


def pause(site: Client, language: dict[str, str]) -> str:
    sync_schedules()
    row = f"/admin/django_q/schedule/{Schedule.objects.get(name='daily_collect').pk}/"
    site.post(f"{row}operation/pause/", headers=language)
    return row


def a_run() -> str:
    return start_run(
        task_id="daily_collect",
        name=TASK_NAMES["daily_collect"],
        trigger=Trigger.MANUAL,
        requested_by="tests",
        parameters={},
        period="202506~202509",
    ).run_id


@pytest.mark.parametrize("writer", [ENGLISH, CHINESE])
def test_an_entry_is_read_in_the_language_of_the_reader(site: Client, writer: dict[str, str]) -> None:
    row = pause(site, writer)
    entry = LogEntry.objects.get()
    for path in (HISTORY_LIST, f"{HISTORY_LIST}{entry.pk}/change/", f"{row}history/", "/admin/"):
        assert "Paused Daily collection." in text(site, path, ENGLISH), path
        chinese = text(site, path, CHINESE)
        assert "已暂停“每日采集”。" in chinese, path
        assert "Paused" not in chinese, path
    assert "Daily collection" not in text(site, f"{HISTORY_LIST}{entry.pk}/change/", CHINESE)


def test_new_times_of_a_schedule_are_told_in_the_language_of_the_reader(site: Client) -> None:
    sync_schedules()
    page = f"/admin/django_q/schedule/{Schedule.objects.get(name='daily_collect').pk}/change/"
    site.post(page, {"cron": "30 5 * * *"}, headers=CHINESE)
    assert "Changed the times to 30 5 * * *." in text(site, HISTORY_LIST, ENGLISH)
    chinese = text(site, HISTORY_LIST, CHINESE)
    assert "已将执行时间改为 30 5 * * *。" in chinese
    assert "每日采集" in chinese


@pytest.mark.parametrize("writer", [ENGLISH, CHINESE])
def test_names_within_an_entry_are_translated_too(site: Client, writer: dict[str, str]) -> None:
    do(site, f"/admin/sync_tasks/synctask/{a_run()}/operation/cancel/", writer)
    english, chinese = (text(site, HISTORY_LIST, language) for language in (ENGLISH, CHINESE))
    assert english.count("Daily collection 2025-06 to 2025-09") == 2  # the object, and within the change
    assert "每日采集" not in english
    assert chinese.count("每日采集 2025-06 至 2025-09") == 2
    assert "Daily collection" not in chinese


def test_a_silence_names_the_rule_in_the_language_of_the_reader(site: Client) -> None:
    now = timezone.now()
    Alert.objects.create(pk="worker_silent", rule="worker_silent", severity="critical", fired_at=now)
    do(site, "/admin/collector_admin/alert/worker_silent/operation/silence-1h/", CHINESE)
    site.post("/admin/alerts/worker_silent/silence/", {"hours": "1"}, headers=CHINESE)
    entry = LogEntry.objects.latest("pk")
    assert "No worker" not in text(site, f"{HISTORY_LIST}{entry.pk}/change/", CHINESE)
    english, chinese = (text(site, HISTORY_LIST, language) for language in (ENGLISH, CHINESE))
    rule = "No worker reports"
    assert f"“{rule}” is silenced until" in english
    assert rule not in chinese


def test_singular_and_plural_are_those_of_the_reader() -> None:
    plural = ngettext_lazy("Deleted it and %(count)d row.", "Deleted it and %(count)d rows.", "count")
    deleted = HISTORY.register("test_deleted", plural)
    assert (deleted(count=1), deleted(count=2)) == ("Deleted it and 1 row.", "Deleted it and 2 rows.")
    assert HISTORY.shown(json.loads(json.dumps(HISTORY.stored(deleted(count=2))))) == "Deleted it and 2 rows."


def test_two_messages_cannot_have_the_same_code() -> None:
    HISTORY.register("test_once", "once")
    with pytest.raises(ValueError, match="test_once"):
        HISTORY.register("test_once", "twice")


def test_a_change_of_no_row_has_one_entry(site: Client) -> None:
    note_history(request_of_chief(site), [], _RETRIED(id="6a"), about=gettext_lazy("Schedules"))
    entry = LogEntry.objects.get()
    assert (entry.content_type, entry.object_id, entry.object_repr) == (None, None, "Schedules")
    for path in (HISTORY_LIST, f"{HISTORY_LIST}{entry.pk}/change/", "/admin/"):
        assert "Retrying as collection 6a." in text(site, path, ENGLISH)
        assert "6a" in text(site, path, CHINESE)
        assert "Retrying" not in text(site, path, CHINESE)


@pytest.mark.parametrize(
    ("stored", "shown"),
    [
        ("Paused daily_collect.", "Paused daily_collect."),  # of an older release
        ("已暂停 daily_collect。", "已暂停 daily_collect。"),
        ('[{"changed": {"fields": ["Cron"]}}]', "已修改Cron。"),  # of Django's forms
        (
            '{"text": "Of a newer release.", "text_parts": {"code": "unknown_9", "parameters": {}}}',
            "Of a newer",
        ),
        ('{"text": 3}', "{&quot;text&quot;: 3}"),
        ("{", "{"),
        ("null", "null"),
        ("", "Change"),
    ],
)
def test_other_entries_stay_readable(site: Client, stored: str, shown: str) -> None:
    user_id = request_of_chief(site).user.pk
    LogEntry.objects.create(user_id=user_id, object_repr="x", action_flag=CHANGE, change_message=stored)
    assert shown in text(site, HISTORY_LIST, CHINESE if "已" in shown else ENGLISH)


def test_a_token_is_created_and_revoked_in_the_history(site: Client) -> None:
    form = {"label": "night", "scope": "reader", "expires_hours": "1"}
    site.post("/admin/collector_auth/apitoken/add/", form, headers=CHINESE)
    site.post(
        f"/admin/collector_auth/apitoken/{ApiToken.objects.get().pk}/operation/revoke/", headers=CHINESE
    )
    shown = text(site, HISTORY_LIST, ENGLISH)
    assert "Created the token." in shown
    assert "Revoked the token night." in shown


def test_a_run_is_stored_with_its_english_name(site: Client) -> None:
    do(site, f"/admin/sync_tasks/synctask/{a_run()}/operation/cancel/", CHINESE)
    assert LogEntry.objects.get().object_repr == "Daily collection 2025-06 to 2025-09"


def request_of_chief(site: Client) -> Any:
    request = RequestFactory().get("/")
    request.user = site.get("/admin/").wsgi_request.user
    return request
