"""API tokens, users, groups and the login in the Django admin."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Permission, User
from django.test import Client
from django.utils import timezone

from apps.auth import selectors, services
from apps.auth.choices import TokenScope
from apps.auth.models import ApiToken
from apps.auth.tokens.credentials import hash_api_token

pytestmark = [pytest.mark.mongo, pytest.mark.redis, pytest.mark.django_db]

LIST = "/admin/collector_auth/apitoken/"
LOGIN = "/admin/login/"
PASSWORD = "a long and secret password"


# --- API tokens -----------------------------------------------------------------------------------


def test_pages_show_the_token_and_never_its_hash(
    site: Client, reader_credential: services.CreatedToken
) -> None:
    for path in (LIST, f"{LIST}{reader_credential.id}/change/", f"{LIST}?q=reader", f"{LIST}?scope=reader"):
        response = site.get(path)
        assert response.status_code == 200, path
        page = response.content.decode()
        assert "reader program" in page
        assert hash_api_token(reader_credential.token) not in page


def test_a_new_token_is_shown_once_and_works(site: Client) -> None:
    form = {"label": "nightly report", "scope": "reader", "expires_hours": "24"}
    answer = site.post(f"{LIST}add/", form)
    token = re.findall(r'id="token-text"[^>]*>([^<]+)<', answer.content.decode())[0]
    assert selectors.resolve_bearer(token, now=timezone.now()).scope == TokenScope.READER
    assert "no-store" in answer.headers["Cache-Control"]
    stored = ApiToken.objects.get()
    assert (stored.label, stored.created_by) == ("nightly report", "chief")
    for path in (LIST, f"{LIST}{stored.pk}/change/"):
        assert token not in site.get(path).content.decode()
    entry = LogEntry.objects.get()
    assert (entry.user.get_username(), entry.object_id) == ("chief", str(stored.pk))
    assert token not in entry.change_message


@pytest.mark.parametrize(
    "form",
    [
        {},
        {"label": "x", "scope": "reader", "expires_hours": "24"},
        {"label": "two\x00words", "scope": "reader", "expires_hours": "24"},
        {"label": "a\u202eb", "scope": "reader", "expires_hours": "24"},
        {"label": "fine", "scope": "root", "expires_hours": "24"},
        {"label": "fine", "scope": "reader", "expires_hours": "9" * 400},
        {"label": "fine", "scope": "reader", "expires_hours": "0"},
    ],
)
def test_a_bad_form_creates_nothing_and_says_why(site: Client, form: dict[str, str]) -> None:
    answer = site.post(f"{LIST}add/", form)
    assert answer.status_code == 200
    assert answer.context["form"].errors
    assert not ApiToken.objects.exists()


def test_revoke_asks_and_goes_through_the_service(
    site: Client, reader_credential: services.CreatedToken, admin_credential: services.CreatedToken
) -> None:
    services.revoke_token(token_id=admin_credential.id, revoked_by="boss")
    form = {"action": "revoke", "_selected_action": [reader_credential.id, admin_credential.id]}
    question = site.post(LIST, form).content.decode()
    assert "Revoke the token reader program?" in question
    assert ApiToken.objects.filter(revoked_at__isnull=True).count() == 1
    page = site.post(LIST, form | {"confirmed": "yes"}, follow=True).content.decode()
    assert "done for 1 row" in page
    assert "1 row was skipped" in page
    assert not ApiToken.objects.filter(revoked_at__isnull=True).exists()
    entry = LogEntry.objects.get()
    assert (entry.user.get_username(), entry.object_id) == ("chief", reader_credential.id)
    assert "Revoked the token" in entry.change_message


def test_one_token_is_revoked_from_its_page(site: Client, reader_credential: services.CreatedToken) -> None:
    change = f"{LIST}{reader_credential.id}/change/"
    operation = f"{LIST}{reader_credential.id}/operation/revoke/"
    assert operation in site.get(change).content.decode()
    assert site.get(operation).status_code == 200  # asks only
    assert ApiToken.objects.filter(revoked_at__isnull=True).exists()
    assert "Revoked the token" in site.post(operation, follow=True).content.decode()
    assert not ApiToken.objects.filter(revoked_at__isnull=True).exists()
    assert operation not in site.get(change).content.decode()


def test_all_of_a_list_is_never_taken(site: Client, reader_credential: services.CreatedToken) -> None:
    form = {"action": "revoke", "_selected_action": [reader_credential.id], "select_across": "1"}
    assert site.post(LIST, form | {"confirmed": "yes"}).status_code == 400
    assert ApiToken.objects.filter(revoked_at__isnull=True).exists()


def test_tokens_are_neither_deleted_nor_edited(
    site: Client, reader_credential: services.CreatedToken
) -> None:
    assert site.post(f"{LIST}{reader_credential.id}/delete/", {"post": "yes"}).status_code == 403
    site.post(f"{LIST}{reader_credential.id}/change/", {"label": "changed", "scope": "admin"})
    token = ApiToken.objects.get(pk=reader_credential.id)
    assert (token.label, token.scope) == ("reader program", "reader")


def test_who_may_only_look_changes_nothing(looker: Client, reader_credential: services.CreatedToken) -> None:
    operation = f"{LIST}{reader_credential.id}/operation/revoke/"
    assert operation not in looker.get(f"{LIST}{reader_credential.id}/change/").content.decode()
    assert f"{LIST}add/" not in looker.get(LIST).content.decode()
    for path in (operation, f"{LIST}add/"):
        assert looker.get(path).status_code == 403
        form = {"label": "mine", "scope": "admin", "expires_hours": "24"}
        assert looker.post(path, form).status_code == 403
    form = {"action": "revoke", "_selected_action": [reader_credential.id], "confirmed": "yes"}
    looker.post(LIST, form)
    assert ApiToken.objects.filter(revoked_at__isnull=True).count() == 1


def test_a_post_without_a_csrf_token_is_refused(reader_credential: services.CreatedToken) -> None:
    client = Client(enforce_csrf_checks=True)
    client.force_login(User.objects.create_superuser("chief"))
    assert client.post(f"{LIST}{reader_credential.id}/operation/revoke/").status_code == 403
    assert client.post(f"{LIST}add/", {"label": "mine"}).status_code == 403
    assert client.post(LOGIN, {"username": "chief", "password": PASSWORD}).status_code == 403


# --- Users and groups -----------------------------------------------------------------------------


def test_users_are_created_changed_and_never_deleted(site: Client) -> None:
    form = {"username": "new", "usable_password": "true", "password1": PASSWORD, "password2": PASSWORD}
    assert site.post("/admin/auth/user/add/", form).status_code == 302
    user = User.objects.get(username="new")
    assert user.check_password(PASSWORD)
    page = site.get(f"/admin/auth/user/{user.pk}/change/")
    assert page.status_code == 200
    assert user.password not in page.content.decode()
    assert site.get(f"/admin/auth/user/{user.pk}/password/").status_code == 200
    assert site.post(f"/admin/auth/user/{user.pk}/delete/", {"post": "yes"}).status_code == 403
    assert site.get("/admin/auth/user/?q=new&is_staff__exact=0").status_code == 200
    assert site.get("/admin/auth/group/add/").status_code == 200


def test_users_cannot_give_themselves_more_rights(client: Client) -> None:
    chief = User.objects.create_superuser("chief", password=PASSWORD)
    clerk = User.objects.create_user("clerk", is_staff=True)
    clerk.user_permissions.set(Permission.objects.filter(codename__endswith="_user"))
    clerk.user_permissions.add(*Permission.objects.filter(codename__endswith="_group"))
    client.force_login(clerk)
    form = {"username": "clerk", "is_active": "on", "is_staff": "on", "is_superuser": "on"}
    client.post(f"/admin/auth/user/{clerk.pk}/change/", form)
    assert not User.objects.get(pk=clerk.pk).is_superuser
    other = {"usable_password": "true", "password1": "another long one", "password2": "another long one"}
    assert client.post(f"/admin/auth/user/{chief.pk}/password/", other).status_code == 403
    assert client.post(f"/admin/auth/user/{chief.pk}/change/", {"username": "x"}).status_code == 403
    assert client.post("/admin/auth/group/add/", {"name": "all"}).status_code == 403
    assert User.objects.get(pk=chief.pk).check_password(PASSWORD)


# --- Login ----------------------------------------------------------------------------------------


def test_the_login_is_audited_and_holds_no_password(
    client: Client, written_log: Callable[[], list[dict[str, Any]]]
) -> None:
    User.objects.create_superuser("chief", password=PASSWORD)
    wrong = client.post(LOGIN, {"username": "chief", "password": "wrong password"})
    assert wrong.status_code == 200
    right = client.post(LOGIN, {"username": "chief", "password": PASSWORD, "next": "/admin/"})
    assert right.status_code == 302
    assert client.get("/admin/").status_code == 200
    logins = [line for line in written_log() if line.get("event") == "login"]
    assert [line["outcome"] for line in logins] == ["refused", "accepted"]
    assert all(line["username"] == "chief" and line["address"] == "127.0.0.1" for line in logins)
    assert all(PASSWORD not in str(line) and "wrong password" not in str(line) for line in written_log())


def test_a_try_without_a_password_or_with_an_impossible_name_is_audited_too(
    client: Client, written_log: Callable[[], list[dict[str, Any]]]
) -> None:
    for given in ({"username": "chief"}, {"username": "x" * 151, "password": PASSWORD}, {}):
        assert client.post(LOGIN, given).status_code == 200
    logins = [line for line in written_log() if line.get("event") == "login"]
    assert [(line["outcome"], line["username"]) for line in logins] == [("invalid", None)] * 3


def test_logins_are_throttled_together_with_those_of_the_api(client: Client, api: Client) -> None:
    User.objects.create_superuser("chief", password=PASSWORD)
    for _ in range(10):
        assert client.post(LOGIN, {"username": "chief", "password": "wrong one"}).status_code == 200
    answer = client.post(LOGIN, {"username": "chief", "password": PASSWORD})
    assert answer.status_code == 429
    assert 1 <= int(answer.headers["Retry-After"]) <= 60
    assert "Too many login attempts" in answer.content.decode()
    assert api.post("/api/auth/login", {"username": "chief", "password": PASSWORD}).status_code == 429


def test_users_without_the_staff_flag_stay_outside(client: Client) -> None:
    User.objects.create_user("reader", password=PASSWORD)
    assert client.post(LOGIN, {"username": "reader", "password": PASSWORD}).status_code == 200
    assert client.get("/admin/").status_code == 302


@pytest.mark.parametrize("username", ["a\x00b", "x" * 200, "a\u202eb", "😀", " "])
@pytest.mark.parametrize("password", ["\x00", "y" * 5000, "p"])
def test_the_login_takes_anything(client: Client, username: str, password: str) -> None:
    answer = client.post(LOGIN, {"username": username, "password": password})
    assert answer.status_code in {200, 429}


# --- In the reader's language ---------------------------------------------------------------------


def test_permissions_are_named_in_the_readers_language(site: Client) -> None:
    for path in ("/admin/auth/group/add/", f"/admin/auth/user/{User.objects.get().pk}/change/"):
        page = site.get(path, headers={"Accept-Language": "zh-CN"}).content.decode()
        assert "可查看同步任务" in page
        assert "Can view" not in page
    assert "Can view sync task" in site.get("/admin/auth/group/add/").content.decode()


def test_the_scripts_of_the_forms_speak_the_readers_language(site: Client) -> None:
    answer = site.get("/admin/jsi18n/", headers={"Accept-Language": "zh-CN"})
    (catalogue,) = re.findall(r"newcatalog = (\{.*?\});", answer.content.decode(), re.DOTALL)
    texts = json.loads(catalogue)
    assert texts["(click to clear)"] == "（点击清除）"
    assert texts["Filter"] == "过滤"  # Django's own


@pytest.mark.parametrize("character", ["\x1b", "\u202e", "\u200b", "\x9b"])
def test_names_that_pages_show_are_printable(site: Client, character: str) -> None:
    answer = site.post("/admin/auth/group/add/", {"name": f"read{character}ers"})
    assert answer.status_code == 200
    assert "characters that are not allowed" in answer.content.decode()
    user = User.objects.get()
    form = {"username": "chief", "is_active": "on", "is_staff": "on", "first_name": f"An{character}a"}
    answer = site.post(f"/admin/auth/user/{user.pk}/change/", form)
    assert answer.status_code == 200
    assert "characters that are not allowed" in answer.content.decode()
    user.refresh_from_db()
    assert user.first_name == ""
