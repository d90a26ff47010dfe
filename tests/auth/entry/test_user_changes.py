"""A change of a user holds at once, in every process, also when MongoDB becomes silent right after it."""

from __future__ import annotations

import re
from collections.abc import Callable
from io import StringIO
from typing import Any

import pytest
from django.contrib.auth.models import Group, Permission, User
from django.core.management import call_command
from django.test import Client
from django.utils import timezone

from apps.auth import selectors, services
from apps.auth.errors import Unauthenticated
from apps.auth.principal import Principal
from apps.auth.tokens.caller_cache import CallerCache, user_key
from apps.core.storage import redis as core_redis
from tests.auth.conftest import FakeClock
from tests.silence import no_mongo

pytestmark = [pytest.mark.mongo, pytest.mark.redis, pytest.mark.django_db]

PASSWORD = "a long and secret password"
Elsewhere = Callable[[str], Principal | None]


@pytest.fixture
def group() -> Group:
    group = Group.objects.create(name="keepers")
    group.permissions.set(Permission.objects.filter(codename="view_record"))
    return group


@pytest.fixture
def user(group: Group) -> User:
    user = User.objects.create_user("ana", password=PASSWORD, is_staff=True)
    user.groups.add(group)
    user.user_permissions.set(Permission.objects.filter(codename="change_panelmodule"))
    return user


def log_in(password: str = PASSWORD) -> str:
    return services.log_in(username="ana", password=password, address="192.0.2.1").token


@pytest.fixture
def elsewhere(monkeypatch: pytest.MonkeyPatch, user: User, clock: FakeClock) -> Elsewhere:
    """Return what resolves a login in another process, which has known the user and finds no MongoDB now."""
    other = CallerCache(timer=clock)
    other.look_up(user_key(str(user.pk)), lambda: selectors.load_user_state(str(user.pk)))

    def resolve(token: str) -> Principal | None:
        with monkeypatch.context() as patched:
            patched.setattr(selectors, "known_callers", other)
            patched.setattr(selectors, "load_user_state", no_mongo)
            clock.advance(1)
            try:
                return selectors.resolve_bearer(token, now=timezone.now())
            except Unauthenticated:
                return None

    return resolve


def deactivate_in_the_admin(user: User, site: Client) -> None:
    address = f"/admin/auth/user/{user.pk}/change/"
    form = {"username": "ana", "groups": [], "user_permissions": [], "is_staff": "on"}
    assert site.post(address, form).status_code == 302


def change_password_in_the_admin(user: User, site: Client) -> None:
    form = {"password1": "another secret", "password2": "another secret", "usable_password": "true"}
    assert site.post(f"/admin/auth/user/{user.pk}/password/", form).status_code == 302


def change_password_by_command(user: User, site: Client) -> None:
    from django.contrib.auth.management.commands import changepassword

    command = changepassword.Command(stdout=StringIO())
    command._get_pass = lambda *_: "another secret"  # type: ignore[method-assign]
    call_command(command, "ana")


def save(user: User, site: Client) -> None:
    user.is_active = False
    user.save(update_fields=["is_active"])


def delete(user: User, site: Client) -> None:
    user.delete()


@pytest.mark.parametrize(
    "change",
    [
        deactivate_in_the_admin,
        change_password_in_the_admin,
        change_password_by_command,
        save,
        delete,
    ],
)
def test_a_login_ends(
    change: Callable[[User, Client], None], user: User, elsewhere: Elsewhere, site: Client
) -> None:
    token = log_in()
    assert elsewhere(token) is not None
    change(user, site)
    assert elsewhere(token) is None


def test_a_login_with_the_new_password_counts(user: User, elsewhere: Elsewhere) -> None:
    old = log_in()
    user.set_password("another secret")
    user.save()
    new = log_in("another secret")
    assert elsewhere(old) is None
    found = elsewhere(new)
    assert found is not None
    assert found.has_permissions({"panels.change_panelmodule"})


@pytest.mark.parametrize(
    ("withdraw", "lost"),
    [
        (lambda user, _: user.user_permissions.clear(), "panels.change_panelmodule"),
        (lambda user, _: user.user_permissions.get().user_set.clear(), "panels.change_panelmodule"),
        (lambda user, _: user.groups.clear(), "mengla.view_record"),
        (lambda user, group: group.user_set.remove(user), "mengla.view_record"),
        (lambda user, group: group.user_set.clear(), "mengla.view_record"),
        (lambda _, group: group.permissions.clear(), "mengla.view_record"),
        (lambda _, group: group.permissions.get().group_set.clear(), "mengla.view_record"),
        (lambda _, group: group.delete(), "mengla.view_record"),
    ],
)
def test_a_right_ends(
    withdraw: Callable[[User, Group], Any], lost: str, user: User, group: Group, elsewhere: Elsewhere
) -> None:
    token = log_in()
    before = elsewhere(token)
    assert before is not None
    assert before.has_permissions({lost})
    withdraw(user, group)
    after = elsewhere(token)
    assert after is not None
    assert not after.has_permissions({lost})


def test_of_two_changes_at_once_the_later_one_holds(user: User, elsewhere: Elsewhere) -> None:
    """The first one reads, the second one changes and marks, and then the first one marks."""
    token = log_in()
    cache, key = CallerCache(), user_key(str(user.pk))

    def read_and_be_overtaken() -> Any:
        state = selectors.load_user_state(str(user.pk))
        user.is_active = False
        user.save()
        return state

    cache.mark_changed(key, read_and_be_overtaken)
    assert elsewhere(token) is None


def test_who_cannot_be_read_after_a_change_is_refused(user: User, elsewhere: Elsewhere) -> None:
    token = log_in()
    CallerCache().mark_changed(user_key(str(user.pk)), no_mongo)
    assert elsewhere(token) is None


def test_a_login_and_a_new_user_are_no_changes(user: User) -> None:
    client = core_redis.get_redis()
    before = client.get("mengla:auth:changes")
    Client().post("/admin/login/", {"username": "ana", "password": PASSWORD})
    assert User.objects.get(username="ana").last_login is not None
    User.objects.create_user("new", password=PASSWORD)
    assert client.get("mengla:auth:changes") == before


def test_the_mark_outlives_every_copy(user: User) -> None:
    user.save()
    assert core_redis.get_redis().ttl(f"mengla:auth:changed:{user_key(str(user.pk))}") > 3600


def test_no_code_updates_users_past_their_signals() -> None:
    """``QuerySet.update`` and ``bulk_update`` send no signals."""
    from django.conf import settings

    past = re.compile(r"\b(User|Group)\.objects[^\n]*(\n\s+[^\n]*)?\.(update|bulk_update)\(")
    found = [
        str(path)
        for path in (settings.BASE_DIR / "apps").rglob("*.py")
        if past.search(path.read_text(encoding="utf-8"))
    ]
    assert found == []
