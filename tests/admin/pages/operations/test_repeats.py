"""An operation that changes nothing says so and leaves no trace: on the page, by the API, by a command."""

from __future__ import annotations

import html
from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.test import Client
from rest_framework.test import APIClient

from apps.core.scheduling.schedules import list_schedules, sync_schedules
from apps.core.storage.flags import SCHEDULER_PAUSED, read_flag
from apps.mengla.choices import CollectionError
from apps.mengla.upstream import breaker
from tests.admin.calls import BASE, data_of
from tests.mengla.commands.support import run

pytestmark = [
    pytest.mark.django_db,
    pytest.mark.mongo,
    pytest.mark.redis,
    pytest.mark.usefixtures("sample_tree"),
]
PAGE = "/admin/operations/"


def text(response: Any) -> str:
    assert response.status_code == 200
    return html.unescape(" ".join(response.content.decode().split()))


def test_pausing_again_keeps_who_paused_and_since_when(site: Client, admin: APIClient) -> None:
    site.post(f"{PAGE}pause/")
    paused = read_flag(SCHEDULER_PAUSED)
    asked, again = text(site.get(f"{PAGE}pause/")), text(site.post(f"{PAGE}pause/", follow=True))
    for page in (asked, again):
        assert "All schedules are already paused, by chief at " in page
    assert "Pause all schedules</button>" not in asked
    answer = data_of(admin.post(f"{BASE}/scheduler/pause"))
    assert (answer["changed"], answer["changed_by"]) == (False, "chief")
    told = run("scheduler", "pause", "--yes").out
    assert "already paused, by chief" in told
    assert read_flag(SCHEDULER_PAUSED) == paused
    assert LogEntry.objects.count() == 1
    assert data_of(admin.post(f"{BASE}/scheduler/resume"))["changed"] is True


def test_what_is_not_paused_is_not_resumed(site: Client, admin: APIClient) -> None:
    for response in (site.get(f"{PAGE}resume/"), site.post(f"{PAGE}resume/", follow=True)):
        assert "The schedules are not paused." in text(response)
    assert data_of(admin.post(f"{BASE}/scheduler/resume"))["changed"] is False
    assert "not paused" in run("scheduler", "resume", "--yes").out
    assert read_flag(SCHEDULER_PAUSED).changed_at is None
    assert not LogEntry.objects.exists()


def test_one_schedule_is_paused_once(site: Client) -> None:
    sync_schedules()
    assert "Paused daily_collect." in run("scheduler", "pause", "daily_collect", "--yes").out
    assert "already paused" in run("scheduler", "pause", "daily_collect", "--yes").out
    run("scheduler", "resume", "daily_collect", "--yes")
    due = list_schedules()
    assert "not paused" in run("scheduler", "resume", "daily_collect", "--yes").out
    assert list_schedules() == due


def test_a_closed_breaker_is_not_reset(site: Client, admin: APIClient) -> None:
    assert "There was nothing to reset." in text(site.post(f"{PAGE}reset-breaker/", follow=True))
    assert data_of(admin.post(f"{BASE}/circuit-breakers/reset"))["changed"] is False
    assert "There was nothing to reset." in run("breaker", "reset", "--yes").out
    breaker.record_refusal(CollectionError.UNAUTHORIZED)
    assert data_of(admin.post(f"{BASE}/circuit-breakers/reset"))["changed"] is True
    assert not LogEntry.objects.exists()


@pytest.mark.parametrize(
    ("slug", "given", "said"),
    [
        ("cancel-all", {}, "There was nothing to cancel."),
        ("purge", {"word": "PURGE"}, "There was nothing to delete."),
        ("remove-duplicates", {}, "There was nothing to delete."),
    ],
)
def test_nothing_is_no_change(site: Client, slug: str, given: dict[str, str], said: str) -> None:
    assert said in text(site.post(f"{PAGE}{slug}/", given, follow=True))
    assert not LogEntry.objects.exists()
