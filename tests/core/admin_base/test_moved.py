"""``ADMIN_PATH`` moves the admin with everything that leads to it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from importlib import import_module, reload
from typing import Any

import pytest
from django.conf import settings as given
from django.test import Client
from django.urls import clear_url_caches, reverse
from rest_framework.test import APIClient

from tests.admin_pages import model_admins

pytestmark = [pytest.mark.mongo, pytest.mark.redis, pytest.mark.django_db]

# An address of the admin where it was, in a page or a script; those of the API have another beginning.
OLD = re.compile(r"""(?<!/api)(?<![\w.])/admin/""")
MODELS = sorted(one.opts.label_lower for one in model_admins())


def load_addresses() -> None:
    reload(import_module(given.ROOT_URLCONF))
    clear_url_caches()


@pytest.fixture(autouse=True)
def _moved(settings: Any) -> Iterator[None]:
    old = settings.ADMIN_PATH
    settings.ADMIN_PATH = "ops/room/"
    load_addresses()
    yield
    settings.ADMIN_PATH = old
    load_addresses()


def pages() -> list[str]:
    own = ("index", "collector_coverage", "collector_data", "collector_run_task", "password_change")
    lists = [f"{label.replace('.', '_')}_changelist" for label in MODELS]
    return [reverse(f"admin:{name}") for name in (*own, *lists)]


def test_every_page_is_there_and_leads_to_nowhere_else(site: Client) -> None:
    for address in pages():
        assert address.startswith("/ops/room/")
        page = site.get(address)
        assert page.status_code == 200, address
        assert OLD.search(page.content.decode()) is None, address


def test_the_login_leads_in_and_its_limit_holds(client: Client, admin_user: Any) -> None:
    assert client.get("/ops/room/").headers["Location"] == "/ops/room/login/?next=/ops/room/"
    assert client.get("/ops/room").headers["Location"] == "/ops/room/"
    form = {"username": admin_user.username, "password": "wrong", "next": "/ops/room/"}
    statuses = [client.post("/ops/room/login/", form).status_code for _ in range(11)]
    assert statuses == [200] * 10 + [429]


def test_the_root_leads_to_it(client: Client) -> None:
    assert client.get("/").headers["Location"] == "/ops/room/"


def test_the_old_address_is_free(site: Client) -> None:
    for address in ("/admin/", "/admin/login/", "/admin/mengla/record/"):
        page = site.get(address)
        assert page.status_code == 404
        assert OLD.search(page.content.decode()) is None


def test_the_api_stays_where_it_is(admin: APIClient) -> None:
    assert admin.get("/api/admin/scheduler/status").status_code == 200
