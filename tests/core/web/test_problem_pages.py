"""What people get instead of a page that is not there, or not for them."""

from __future__ import annotations

import logging

import pytest
from django.contrib.auth.models import User
from django.test import Client

pytestmark = [pytest.mark.mongo, pytest.mark.redis, pytest.mark.django_db]
CHINESE = {"Accept-Language": "zh-CN"}


@pytest.fixture
def staff(client: Client) -> Client:
    client.force_login(User.objects.create_user("staff", is_staff=True))
    return client


@pytest.mark.parametrize(
    ("path", "status", "words"),
    [
        ("/admin/data/", 403, "没有权限"),
        ("/admin/nothing/at/all/", 404, "未找到"),
        ("/nothing/", 404, "未找到"),
        ("/admin/sync_tasks/synctask/live/?ids=x", 403, "没有权限"),
    ],
)
def test_staff_stay_inside_of_the_admin(staff: Client, path: str, status: int, words: str) -> None:
    answer = staff.get(path, headers=CHINESE)
    page = answer.content.decode()
    assert answer.status_code == status
    assert words in page
    assert "nav-sidebar" in page
    assert 'href="/admin/"' in page


def test_strangers_get_a_page_without_the_menu(client: Client) -> None:
    answer = client.get("/nothing/", headers=CHINESE)
    page = answer.content.decode()
    assert answer.status_code == 404
    assert "未找到" in page
    assert 'href="/admin/"' in page
    assert "nav-sidebar" not in page


def test_an_unreadable_request_is_told(client: Client) -> None:
    client.force_login(User.objects.create_superuser("chief"))
    answer = client.get("/admin/sync_tasks/synctask/live/?ids=x", headers=CHINESE)
    assert answer.status_code == 400
    assert "无法读取" in answer.content.decode()


def test_a_form_of_another_session_is_told() -> None:
    client = Client(enforce_csrf_checks=True)
    answer = client.post("/admin/login/", {"username": "x"}, headers=CHINESE)
    assert answer.status_code == 403
    assert "已过期" in answer.content.decode()


@pytest.mark.parametrize("path", ["/admin/", "/admin/data/", "/admin/auth/user/"])
def test_an_address_that_is_too_long_for_a_redirect_is_told_without_a_traceback(
    client: Client, path: str
) -> None:
    answer = client.get(f"{path}?{'x' * 60_000}", headers=CHINESE)
    assert answer.status_code == 400
    assert "无法读取" in answer.content.decode()
    assert not logging.getLogger("django.security.DisallowedRedirect").isEnabledFor(logging.ERROR)
