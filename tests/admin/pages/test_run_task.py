"""The page from which people start panel tasks."""

from __future__ import annotations

import html

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Permission, User
from django.test import Client

from apps.panels.panel_tasks import TASKS
from apps.sync_tasks.selectors import last_run_of

pytestmark = [
    pytest.mark.mongo,
    pytest.mark.redis,
    pytest.mark.django_db,
    pytest.mark.usefixtures("sample_tree"),
]
PAGE = "/admin/run-task/"


@pytest.fixture
def site(client: Client) -> Client:
    client.force_login(User.objects.create_superuser("chief"))
    return client


@pytest.mark.parametrize("task_id", sorted(TASKS))
def test_every_panel_task_is_started_and_its_run_is_shown(site: Client, task_id: str) -> None:
    assert f'data-task="{task_id}"' in site.get(PAGE).content.decode()
    answer = site.post(PAGE, {"task": task_id, "confirmed": "yes"})
    run = last_run_of(task_id)
    assert run is not None
    assert (run["trigger"], run["requested_by"]) == ("manual", "chief")
    assert answer.headers["Location"] == f"/admin/sync_tasks/synctask/{run['_id']}/change/"
    assert site.get(answer.headers["Location"]).status_code == 200
    entry = LogEntry.objects.get()
    assert (entry.user.get_username(), entry.object_id) == ("chief", str(run["_id"]))
    assert f'data-task="{task_id}"' not in site.get(PAGE).content.decode()  # it runs


def test_a_large_task_is_asked_about_with_the_number_of_its_collections(site: Client) -> None:
    page = site.post(PAGE, {"task": "mengla_granular_force"}).content.decode()
    assert last_run_of("mengla_granular_force") is None
    site.post(PAGE, {"task": "mengla_granular_force", "confirmed": "yes"})
    run = last_run_of("mengla_granular_force")
    assert run is not None
    assert f"This queues {run['expected_total']} collections." in page


def test_a_task_that_runs_is_not_started_again(site: Client) -> None:
    site.post(PAGE, {"task": "daily_collect"})
    page = html.unescape(site.post(PAGE, {"task": "daily_collect"}, follow=True).content.decode())
    assert "This task is already running" in page
    assert LogEntry.objects.count() == 1


@pytest.mark.parametrize("task_id", ["", "nonsense", "\x00", "x" * 5000])
def test_an_unknown_task_is_not_found(site: Client, task_id: str) -> None:
    assert site.post(PAGE, {"task": task_id}).status_code == 404


def test_who_may_only_look_starts_nothing(client: Client) -> None:
    user = User.objects.create_user("looker", is_staff=True)
    user.user_permissions.set(Permission.objects.filter(codename="view_synctask"))
    client.force_login(user)
    page = client.get(PAGE)
    assert page.status_code == 200
    assert "data-task" not in page.content.decode()
    assert client.post(PAGE, {"task": "daily_collect"}).status_code == 403
    assert last_run_of("daily_collect") is None


def test_strangers_do_not_see_the_page(client: Client) -> None:
    assert client.get(PAGE).status_code == 302
    client.force_login(User.objects.create_user("stranger", is_staff=True))
    assert client.get(PAGE).status_code == 403


def test_a_post_without_a_csrf_token_is_refused() -> None:
    client = Client(enforce_csrf_checks=True)
    client.force_login(User.objects.create_superuser("chief"))
    assert client.post(PAGE, {"task": "daily_collect"}).status_code == 403
    assert last_run_of("daily_collect") is None
