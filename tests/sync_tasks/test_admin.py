"""Runs in the Django admin."""

from __future__ import annotations

import pytest
from django.contrib.auth.models import User
from django.test import Client

from apps.sync_tasks import services
from tests.sync_tasks.conftest import end, start, start_planned

pytestmark = [pytest.mark.mongo, pytest.mark.redis, pytest.mark.django_db]

LIST = "/admin/sync_tasks/synctask/"


@pytest.fixture
def site(client: Client) -> Client:
    client.force_login(User.objects.create_superuser("chief"))
    return client


def test_pages_show_the_run(site: Client) -> None:
    end(start_planned("daily_collect", name="Other"))
    run_id = start("fill", name="<b>补采</b>", period="202506")
    pages = (LIST, f"{LIST}{run_id}/change/", f"{LIST}?q=fill", f"{LIST}?status__exact=RUNNING")
    for path in pages:
        response = site.get(path)
        assert response.status_code == 200, path
        page = response.content.decode()
        assert "&lt;b&gt;补采&lt;/b&gt;" in page
        assert "202506" in page
    for path in pages[2:]:
        assert "Other" not in site.get(path).content.decode()


def test_runs_are_neither_added_nor_deleted_nor_edited(site: Client) -> None:
    run_id = start()
    assert site.get(f"{LIST}add/").status_code == 403
    assert site.post(f"{LIST}{run_id}/delete/", {"post": "yes"}).status_code == 403
    assert site.post(f"{LIST}{run_id}/change/", {"status": "FAILED"}).status_code == 403
    assert services.is_running(run_id)
