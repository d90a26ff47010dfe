"""The panels in the Django admin: the order, the switches, the layout, and one module's form."""

from __future__ import annotations

import html
from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import User
from django.test import Client
from rest_framework.test import APIClient

from apps.panels import services
from apps.panels.selectors import read_config

pytestmark = [pytest.mark.mongo, pytest.mark.redis, pytest.mark.django_db]
LIST = "/admin/panels/panelmodule/"
IDS = ["overview", "high", "hot", "chance"]


def text(client: Client, path: str = LIST) -> str:
    answer = client.get(path)
    assert answer.status_code == 200
    return html.unescape(" ".join(answer.content.decode().split()))


def change(client: Client, **given: Any) -> str:
    answer = client.post(LIST, {"version": read_config().version} | given, follow=True)
    assert answer.status_code == 200
    return html.unescape(answer.content.decode())


def order() -> list[str]:
    return [module.id for module in read_config().modules]


def test_a_new_order_is_what_the_api_gives(site: Client, reader: APIClient) -> None:
    wanted = ["chance", "overview", "hot", "high"]
    assert "The panels were changed." in change(site, change="order", order=",".join(wanted))
    modules = reader.get("/api/panel-config").json()["data"]["modules"]
    assert [module["id"] for module in modules] == wanted
    page = text(site)
    places = [page.index(f'data-module="{module_id}"') for module_id in wanted]
    assert places == sorted(places)


def test_a_module_is_moved_by_one_place(site: Client) -> None:
    change(site, change="down", module="overview")
    assert order() == ["high", "overview", "hot", "chance"]
    change(site, change="up", module="chance")
    assert order() == ["high", "overview", "chance", "hot"]
    change(site, change="up", module="high")
    assert order() == ["high", "overview", "chance", "hot"]


def test_a_module_is_hidden_and_shown(site: Client) -> None:
    change(site, change="hide", module="hot")
    assert [module.id for module in read_config().modules if not module.is_enabled] == ["hot"]
    assert "Hidden" in text(site)
    change(site, change="show", module="hot")
    assert all(module.is_enabled for module in read_config().modules)


def test_the_layout_is_changed(site: Client) -> None:
    change(site, change="layout", default_period="quarter")
    layout = read_config().layout
    assert (layout.default_period, layout.shows_rank_period_selector) == ("quarter", False)


def test_a_page_that_is_out_of_date_changes_nothing(site: Client) -> None:
    old = read_config().version
    services.set_module_enabled("high", is_enabled=False, changed_by="another")
    before = read_config()
    assert "has changed in the meantime" in change(
        site, version=old, change="order", order="chance,hot,high,overview"
    )
    assert read_config() == before


@pytest.mark.parametrize(
    "given",
    [
        {"change": "order", "order": ""},
        {"change": "order", "order": "overview,overview,hot,chance"},
        {"change": "order", "order": "a,b,c,d"},
        {"change": "hide", "module": "nope"},
        {"change": "up", "module": "\0"},
        {"change": "down"},
        {"change": "layout", "default_period": "week"},
        {"change": "explode"},
        {},
        {"change": "hide", "module": "hot", "version": "x"},
        {"change": "hide", "module": "hot", "version": "9" * 400},
        {"change": "hide", "module": "hot", "version": "-1"},
    ],
)
def test_nonsense_is_refused_and_changes_nothing(site: Client, given: dict[str, str]) -> None:
    before = read_config()
    answer = site.post(LIST, {"version": before.version} | given)
    assert answer.status_code in {302, 400}
    assert read_config() == before
    if answer.status_code == 302:
        assert "The panels were changed." not in text(site)


@pytest.mark.parametrize(
    "given",
    [
        {"change": "up", "module": "overview"},
        {"change": "down", "module": "chance"},
        {"change": "order", "order": ",".join(IDS)},
        {"change": "show", "module": "hot"},
        {"change": "layout", "default_period": "month", "shows_rank_period_selector": "on"},
    ],
)
def test_a_change_of_nothing_is_not_stored_nor_logged(
    site: Client, written_log: Callable[[], list[dict[str, Any]]], given: dict[str, str]
) -> None:
    before = read_config()
    assert "Nothing has changed." in change(site, **given)
    assert read_config() == before
    assert not LogEntry.objects.exists()
    assert not [line for line in written_log() if line["event"] == "panel_config_changed"]
    # So the page that another user has open is still valid.
    assert "The panels were changed." in change(site, version=before.version, change="hide", module="hot")


def test_a_form_that_is_sent_as_it_was_shown_changes_nothing(site: Client) -> None:
    before = read_config()
    hot = next(module for module in before.modules if module.id == "hot")
    given = {"name": hot.name, "is_enabled": "on", "props": "{}", "version": before.version}
    assert site.post(f"{LIST}hot/change/", given).status_code == 302
    assert read_config() == before
    assert not LogEntry.objects.exists()


def test_the_form_changes_one_module(site: Client) -> None:
    path = f"{LIST}hot/change/"
    assert "热销Top行业" in text(site, path)
    given = {
        "name": "爆款 & co",
        "is_enabled": "on",
        "props": '{"limit": 10}',
        "version": read_config().version,
    }
    assert site.post(path, given).status_code == 302
    module = next(module for module in read_config().modules if module.id == "hot")
    assert (module.name, module.is_enabled, module.props) == ("爆款 & co", True, {"limit": 10})


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("name", ""),
        ("name", "x" * 51),
        ("props", "{"),
        ("props", "[" * 900 + "]" * 900),
        ("props", '{"a": "' + "x" * 9000 + '"}'),
        ("version", "999"),
        ("version", "x"),
    ],
)
def test_the_form_refuses_what_the_api_refuses(site: Client, field: str, value: str) -> None:
    before = read_config()
    given = {"name": "fine", "is_enabled": "on", "props": "{}", "version": before.version, field: value}
    answer = site.post(f"{LIST}hot/change/", given, follow=True)
    assert answer.status_code == 200
    assert read_config() == before


def test_every_change_is_in_the_history(site: Client) -> None:
    change(site, change="hide", module="hot")
    change(site, change="order", order="chance,overview,hot,high")
    entries = [(one.object_id, one.user.get_username()) for one in LogEntry.objects.order_by("id")]
    assert entries == [("hot", "chief"), ("chance", "chief")]
    assert "hot.is_enabled=False" in LogEntry.objects.order_by("id")[0].get_change_message()


def test_who_may_only_look_sees_everything_and_changes_nothing(looker: Client) -> None:
    page = text(looker)
    assert "热销Top行业" in page
    assert "draggable" not in page and 'name="change"' not in page
    before = read_config()
    refused = looker.post(LIST, {"version": before.version, "change": "hide", "module": "hot"})
    assert refused.status_code == 403
    given = {"name": "x", "is_enabled": "on", "props": "{}", "version": before.version}
    assert looker.post(f"{LIST}hot/change/", given).status_code == 403
    assert read_config() == before


def test_staff_without_the_permission_see_nothing(client: Client) -> None:
    client.force_login(User.objects.create_user("nobody", is_staff=True))
    assert client.get(LIST).status_code == 403
    assert LIST not in client.get("/admin/").content.decode()


def test_modules_are_neither_added_nor_deleted(site: Client) -> None:
    assert site.get(f"{LIST}add/").status_code == 403
    assert site.post(f"{LIST}hot/delete/", {"post": "yes"}).status_code == 403
    assert order() == IDS
