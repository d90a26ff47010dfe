"""Schedules, django-q2's own pages and the history log in the admin."""

from __future__ import annotations

import html
from datetime import timedelta

import pytest
from bson import ObjectId
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import User
from django.test import Client
from django.utils import timezone
from django_q.models import Schedule, Task

from apps.core.admin_base.history import change_text
from apps.core.scheduling.schedules import list_schedules, sync_schedules
from apps.core.storage.flags import SCHEDULER_PAUSED, set_flag

pytestmark = [pytest.mark.mongo, pytest.mark.redis, pytest.mark.django_db]

LIST = "/admin/django_q/schedule/"


@pytest.fixture(autouse=True)
def _schedules(db: None) -> None:
    sync_schedules()


def page_of(name: str) -> str:
    return f"{LIST}{Schedule.objects.get(name=name).pk}/"


def text(client: Client, path: str) -> str:
    answer = client.get(path)
    assert answer.status_code == 200
    return " ".join(answer.content.decode().split())


# --- Schedules ------------------------------------------------------------------------------------


def test_schedules_are_told_in_words_and_in_the_time_of_the_market(site: Client) -> None:
    page = text(site, LIST)
    assert "Every day at 02:00" in page
    assert "Every minute" in page
    daily = next(schedule for schedule in list_schedules() if schedule.name == "daily_collect")
    assert f"{daily.next_run_local:%Y-%m-%d} 02:00" in page


def test_a_time_is_changed_through_the_service(site: Client) -> None:
    answer = site.post(f"{page_of('daily_collect')}change/", {"cron": "30  5 * * 1"}, follow=True)
    assert answer.status_code == 200
    daily = next(schedule for schedule in list_schedules() if schedule.name == "daily_collect")
    assert (daily.cron, daily.is_edited) == ("30 5 * * 1", True)
    assert f"{daily.next_run_local:%H:%M %w}" == "05:30 1"
    assert Schedule.objects.get(name="daily_collect").func == "apps.mengla.tasks.daily_collect"
    assert LogEntry.objects.get().user.get_username() == "chief"


@pytest.mark.parametrize(
    "cron",
    ["", "x", "* * * *", "61 * * * *", "0 0 30 2 *", "H H * * *", "1 " * 90, "\x00", "０ 2 * * *", "@daily"],
)
def test_what_is_no_cron_expression_changes_nothing(site: Client, cron: str) -> None:
    answer = site.post(f"{page_of('daily_collect')}change/", {"cron": cron})
    assert answer.status_code == 200
    assert answer.context["adminform"].form.errors["cron"]
    assert Schedule.objects.get(name="daily_collect").cron == "0 2 * * *"


def test_a_schedule_is_paused_and_resumed(site: Client) -> None:
    change = f"{page_of('daily_collect')}operation/"
    site.post(f"{change}pause/")
    daily = next(schedule for schedule in list_schedules() if schedule.name == "daily_collect")
    assert daily.is_paused
    sync_schedules()  # a restart leaves it paused
    assert Schedule.objects.get(name="daily_collect").repeats == 0
    Schedule.objects.filter(name="daily_collect").update(next_run=timezone.now() - timedelta(days=9))
    site.post(f"{change}resume/")
    resumed = Schedule.objects.get(name="daily_collect")
    assert resumed.repeats == -1
    assert resumed.next_run > timezone.now()
    assert [change_text(entry) for entry in LogEntry.objects.order_by("pk")] == [
        "Paused Daily collection.",
        "Resumed Daily collection.",
    ]


def test_what_is_so_already_is_not_asked_for(site: Client) -> None:
    page = f"{page_of('daily_collect')}operation/"
    for slug in ("pause", "resume"):
        if slug == "pause":
            site.post(f"{page}pause/")
            said = "This schedule is already paused."
        else:
            site.post(f"{page}resume/")
            said = "This schedule is not paused."
        before = LogEntry.objects.count()
        for answer in (site.get(f"{page}{slug}/", follow=True), site.post(f"{page}{slug}/", follow=True)):
            assert said in answer.content.decode()
        assert LogEntry.objects.count() == before


def test_a_schedule_has_the_name_for_people(site: Client) -> None:
    shown = text(site, f"{page_of('daily_collect')}change/")
    assert "Daily collection" in shown
    assert "module.tasks.function" not in shown
    assert "apps.mengla.tasks" not in shown


def test_the_upkeep_of_the_installation_cannot_be_paused(site: Client) -> None:
    page = page_of("tick")
    assert "operation/pause" not in text(site, f"{page}change/")
    assert "cannot be paused" in text_after_post(site, f"{page}operation/pause/")
    assert Schedule.objects.get(name="tick").repeats == -1


def text_after_post(client: Client, path: str) -> str:
    return client.post(path, follow=True).content.decode()


def test_the_list_says_when_all_schedules_are_paused(site: Client) -> None:
    assert "All schedules are paused" not in text(site, LIST)
    set_flag(SCHEDULER_PAUSED, is_set=True, changed_by="chief")
    assert "All schedules are paused" in text(site, LIST)


def test_who_may_only_look_changes_no_schedule(looker: Client) -> None:
    page = page_of("daily_collect")
    shown = text(looker, f"{page}change/")
    assert 'name="cron"' not in shown
    assert "operation/" not in shown
    assert looker.post(f"{page}change/", {"cron": "0 5 * * *"}).status_code == 403
    for slug in ("pause", "resume"):
        assert looker.post(f"{page}operation/{slug}/").status_code == 403
    stored = Schedule.objects.get(name="daily_collect")
    assert (stored.cron, stored.repeats) == ("0 2 * * *", -1)
    assert not LogEntry.objects.exists()


def test_schedules_are_neither_added_nor_deleted(site: Client) -> None:
    assert site.get(f"{LIST}add/").status_code == 403
    assert site.post(f"{page_of('tick')}delete/", {"post": "yes"}).status_code == 403


# --- django-q2's own pages and the history --------------------------------------------------------


def store_task(*, is_success: bool, name: str) -> Task:
    now = timezone.now()
    return Task.objects.create(
        id=ObjectId().__str__(),
        name=name,
        func="apps.mengla.tasks.tick",
        args=(1, "<b>"),
        started=now,
        stopped=now,
        success=is_success,
        result="<script>alert(1)</script>" * 20,
    )


@pytest.mark.parametrize(("page", "is_success"), [("success", True), ("failure", False)])
def test_messages_of_the_workers_are_shown_and_left_alone(site: Client, page: str, is_success: bool) -> None:
    task = store_task(is_success=is_success, name="zulu-mango")
    store_task(is_success=not is_success, name="other-kiwi")
    address = f"/admin/django_q/{page}/"
    for path in (address, f"{address}?q=zulu-mango", f"{address}{task.pk}/change/"):
        shown = text(site, path)
        assert "zulu-mango" in shown
        assert "other-kiwi" not in shown
        assert "<script>alert" not in shown
    assert site.get(f"{address}add/").status_code == 403
    assert site.post(f"{address}{task.pk}/delete/", {"post": "yes"}).status_code == 403


def test_the_history_tells_who_did_what(site: Client) -> None:
    site.post(f"{page_of('daily_collect')}operation/pause/")
    entry = LogEntry.objects.get()
    for path in ("/admin/admin/logentry/", f"/admin/admin/logentry/{entry.pk}/change/"):
        shown = text(site, path)
        assert "Paused Daily collection." in shown
        assert "chief" in shown
    assert site.post(f"/admin/admin/logentry/{entry.pk}/delete/", {"post": "yes"}).status_code == 403


# --- The look of lists ----------------------------------------------------------------------------


def test_all_is_offered_only_where_rows_are_hidden(site: Client) -> None:
    path = "/admin/auth/user/"
    assert "Show all" not in text(site, path)
    assert "Show all" in text(site, f"{path}?is_staff__exact=1")
    assert "Show all" in text(site, f"{path}?q=chief")


@pytest.mark.parametrize(
    ("path", "query", "problem"),
    [
        ("mengla/collection", "status=BOGUS", "The filter “status” has no value “BOGUS”."),
        ("mengla/collection", "ended=2026", "The filter “time of the end” has no value “2026”."),
        ("mengla/collection", "error_code=zzz", "The filter “error” has no value “zzz”."),
        ("mengla/collection", "run=xyz", "The filter “sync task ID” has no value “xyz”."),
        ("mengla/collection", "action=hot&action=high", "The filter “data set” is given several times."),
        ("mengla/collection", "status=X&priority=9", "The filter “priority” has no value “9”."),
        ("mengla/collection", "p=999999", "The list has no such page"),
        ("mengla/record", "is_empty=maybe", "has no value “maybe”."),
        ("mengla/record", f"granularity={'x' * 500}", f"has no value “{'x' * 40}…”."),
        ("sync_tasks/synctask", "outcome=bogus", "The filter “outcome” has no value “bogus”."),
        ("sync_tasks/synctask", "trigger=bogus", "has no value “bogus”."),
        ("sync_tasks/synctask", "trigger__exact=bogus", "has no value “bogus”."),
        ("collector_admin/alert", "is_firing__exact=2", "has no value “2”."),
        ("collector_admin/alert", "severity=<b>", "has no value “<b>”."),
        ("categories/category", "parent_id=77", "has no value “77”."),
        ("categories/category", "level=9", "has no value “9”."),
        ("collector_auth/apitoken", "scope__exact=root", "has no value “root”."),
        ("auth/user", "is_active__exact=x", "has no value “x”."),
    ],
)
def test_an_unknown_filter_value_is_refused(
    site: Client, sample_tree: object, path: str, query: str, problem: str
) -> None:
    response = site.get(f"/admin/{path}/?{query}")
    page = " ".join(html.unescape(response.content.decode()).split())
    assert response.status_code == 400
    assert problem in page
    assert f'href="/admin/{path}/"' in page and "Show the whole list" in page
    # Blank values, as forms send them, select all rows.
    name = query.partition("=")[0]
    if not name.endswith("__exact") and name not in ("trigger", "severity", "level"):
        assert site.get(f"/admin/{path}/?{name}=").status_code == 200


def test_an_empty_list_gives_no_advice_that_cannot_be_followed(site: Client) -> None:
    page = text(site, "/admin/django_q/failure/")
    assert "No results found" in page
    assert "Create a new item" not in page
    assert "Reset filters" not in page
    assert "Reset filters" in text(site, "/admin/django_q/failure/?q=nothing")
    assert "Add user" in text(site, "/admin/auth/user/?q=nobody-of-this-name")


def test_the_way_to_a_page_keeps_names_as_they_are(site: Client) -> None:
    chief = User.objects.get(username="chief")
    title = text(site, f"/admin/auth/user/{chief.pk}/change/").split("<h1")[1].split("</h1>")[0]
    assert "chief" in title
    assert "Chief" not in title
    sync_tasks = text(site, "/admin/sync_tasks/synctask/").split("<h1")[1].split("</h1>")[0]
    assert sync_tasks.count("Sync tasks") == 1
