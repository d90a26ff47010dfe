"""Every page of the admin: it opens, it asks nothing of other hosts, and it says so when a server is down."""

from __future__ import annotations

import re

import pytest
from django.contrib.auth.models import Permission, User
from django.test import Client
from django.urls import reverse

from tests.admin_pages import model_admins

pytestmark = [pytest.mark.mongo, pytest.mark.redis, pytest.mark.django_db]

# An address that a browser would fetch by itself.
LOADED = re.compile(r"<(?:script|link|img|iframe|source)\b[^>]*?\b(?:src|href)=[\"']([^\"']*)", re.IGNORECASE)
MODELS = sorted(one.opts.label_lower for one in model_admins())
QUERIES = (
    "q=%00",
    "q=(",
    "p=x",
    "p=999999",
    "p=-1",
    "e=1",
    "o=1",
    "o=x",
    "all=",
    "_facets=1",
    "pk=1",
    "id__regex=.",
)


def list_address(label: str) -> str:
    return reverse(f"admin:{label.replace('.', '_')}_changelist")


@pytest.mark.parametrize("label", MODELS)
def test_every_list_opens_and_loads_nothing_from_another_host(site: Client, label: str) -> None:
    page = site.get(list_address(label))
    assert page.status_code == 200
    loaded = LOADED.findall(page.content.decode())
    assert loaded
    assert [address for address in loaded if not address.startswith(("/static/", "/admin/"))] == []


def test_a_list_that_is_not_counted_states_no_number(site: Client) -> None:
    page = site.get(list_address("mengla.record")).content.decode()
    assert "50000" not in page
    assert "Show all" not in page


@pytest.mark.parametrize("label", MODELS)
def test_no_query_breaks_a_list(site: Client, label: str) -> None:
    for query in QUERIES:
        answer = site.get(f"{list_address(label)}?{query}", follow=True)
        assert answer.status_code in {200, 400}, query


def test_undeclared_lookups_are_refused(site: Client) -> None:
    assert site.get("/admin/sync_tasks/synctask/?error_message__regex=.").status_code == 400


def test_the_sidebar_shows_what_the_user_may_see(client: Client) -> None:
    user = User.objects.create_user("looker", is_staff=True)
    user.user_permissions.add(Permission.objects.get(codename="view_category"))
    client.force_login(user)
    page = client.get(reverse("admin:index")).content.decode()
    assert list_address("categories.category") in page
    assert list_address("auth.user") not in page


@pytest.mark.parametrize("query", ["s=tasks", "s=", "s=x&page=abc", "s=%00", f"s={'x' * 5000}"])
def test_the_search_of_the_sidebar_takes_anything(site: Client, query: str) -> None:
    assert site.get(f"/admin/search/?{query}").status_code in {200, 400}


def test_the_language_follows_the_browser_and_can_be_switched(client: Client) -> None:
    def language_of(**headers: str) -> str:
        page = client.get("/admin/login/", **headers).content.decode()
        return re.findall(r'<html lang="([^"]+)"', page)[0]

    assert language_of() == "en"
    assert language_of(HTTP_ACCEPT_LANGUAGE="zh-CN,zh;q=0.9") == "zh-hans"
    client.post("/i18n/setlang/", {"language": "zh-hans", "next": "/admin/login/"})
    assert language_of() == "zh-hans"
