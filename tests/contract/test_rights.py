"""Who may change what through the API: staff what their permissions allow, and nothing is forgotten."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.auth.models import Group, Permission, User
from rest_framework.test import APIClient

from apps.auth import selectors, services
from apps.auth.tokens.caller_cache import FRESH_SECONDS, CallerCache
from apps.mengla.models import Record
from tests.conftest import bearer_client
from tests.contract.routes import Route, api_routes, assert_contract
from tests.factories import UNKNOWN_ID

pytestmark = [pytest.mark.django_db, pytest.mark.mongo, pytest.mark.redis]

PASSWORD = "a long test password"
UNSAFE_METHODS = ("post", "put", "patch", "delete")
# What changes nothing, or only what any reader causes by asking for figures.
READING = {
    ("post", "api/auth/login"),
    ("post", "api/mengla/query"),
    ("post", "api/mengla/high"),
    ("post", "api/mengla/hot"),
    ("post", "api/mengla/chance"),
    ("post", "api/mengla/industry-view"),
    ("post", "api/mengla/industry-trend"),
    ("post", "api/admin/mengla/status"),
    ("post", "api/admin/alerts/check"),
    ("post", "api/admin/duplicates/remove"),  # only counts, unless it is to apply
}
PURGE = "collector_admin.purge_data"
# method, address, body, the permission that is enough
CHANGES: list[tuple[str, str, Any, str]] = [
    ("put", "panel-config", {"layout": {"defaultPeriod": "day"}}, "panels.change_panelmodule"),
    ("put", "panel/config", {"layout": {"defaultPeriod": "day"}}, "panels.change_panelmodule"),
    ("post", "panel/tasks/mengla_single_day/run", {}, "sync_tasks.change_synctask"),
    ("post", "panel/data/fill", {}, "mengla.change_collection"),
    ("post", f"sync-tasks/{UNKNOWN_ID}/cancel", {}, "sync_tasks.change_synctask"),
    ("post", f"sync-tasks/{UNKNOWN_ID}/retry", {}, "sync_tasks.change_synctask"),
    ("delete", f"sync-tasks/{UNKNOWN_ID}", {}, "sync_tasks.delete_synctask"),
    ("post", "auth/generate-token", {"label": "mine", "scope": "admin"}, "collector_auth.add_apitoken"),
    ("delete", f"auth/tokens/{UNKNOWN_ID}", {}, "collector_auth.change_apitoken"),
    ("post", "admin/mengla/enqueue-full-crawl", {}, "sync_tasks.change_synctask"),
    ("post", "admin/backfill", {}, "mengla.change_collection"),
    ("post", "admin/cache/warmup", {}, "sync_tasks.change_synctask"),
    ("post", "admin/alerts/silence", {}, "collector_admin.change_alert"),
    ("post", "admin/alerts/silence/end", {}, "collector_admin.change_alert"),
    ("post", "admin/alerts/test", {}, "collector_admin.change_alert"),
    ("post", "admin/tasks/cancel-all", {"confirm": True}, "collector_admin.cancel_all"),
    ("post", "admin/cache/clear-l1", {}, "collector_admin.clear_caches"),
    ("post", "admin/circuit-breakers/reset", {}, "collector_admin.reset_breaker"),
    ("post", "admin/scheduler/pause", {}, "django_q.change_schedule"),
    ("post", "admin/scheduler/resume", {}, "django_q.change_schedule"),
    ("post", "admin/data/purge", {"confirm": True, "targets": ["mongodb"]}, PURGE),
    ("post", "admin/duplicates/remove", {"apply": True}, PURGE),
]


def login_of(user: User) -> APIClient:
    """Return a client with a login token of this user; a crash is an answer."""
    user.set_password(PASSWORD)
    user.save()
    login = services.log_in(username=user.get_username(), password=PASSWORD, address="192.0.2.1")
    return bearer_client(login.token, raise_request_exception=False)


def staff_with(*permissions: str) -> APIClient:
    """Return a client of a staff user who has exactly these permissions."""
    user = User.objects.create_user("clerk", is_staff=True)
    user.user_permissions.set([permission_of(one) for one in permissions])
    return login_of(user)


def permission_of(name: str) -> Permission:
    app, codename = name.split(".")
    return Permission.objects.get(content_type__app_label=app, codename=codename)


@pytest.fixture
def viewer(db: None) -> APIClient:
    """The login of a staff user who may see everything in the admin and change nothing."""
    user = User.objects.create_user("viewer", is_staff=True)
    user.user_permissions.set(Permission.objects.filter(codename__startswith="view_"))
    return login_of(user)


@pytest.mark.parametrize("route", api_routes(), ids=str)
def test_who_may_only_look_changes_nothing(route: Route, viewer: APIClient) -> None:
    for method in UNSAFE_METHODS:
        answer = getattr(viewer, method)(route.path(UNKNOWN_ID), data={})
        reported = f"{method} {route}: {answer.content[:300]!r}"
        assert_contract(answer, of=reported)  # that a 405 is one, too
        if (method, route.template) in READING:
            assert answer.status_code not in (403, 405), reported
        else:
            assert answer.status_code in (403, 405), reported


@pytest.mark.parametrize("route", api_routes(), ids=str)
def test_who_may_only_look_sees_everything(route: Route, viewer: APIClient) -> None:
    assert viewer.get(route.path(UNKNOWN_ID)).status_code in (200, 202, 400, 404, 405)


def test_the_reading_addresses_are_there() -> None:
    assert {template for _method, template in READING} <= {route.template for route in api_routes()}


@pytest.mark.parametrize(("method", "path", "body", "permission"), CHANGES, ids=lambda one: str(one)[:40])
@pytest.mark.usefixtures("sample_tree")
def test_a_change_takes_the_permission_of_the_same_change_in_the_admin(
    method: str, path: str, body: Any, permission: str
) -> None:
    user = User.objects.create_user("clerk", is_staff=True)
    others = Permission.objects.exclude(pk=permission_of(permission).pk)
    user.user_permissions.set(others)
    refused = getattr(login_of(user), method)(f"/api/{path}", data=body)
    assert refused.status_code == 403
    reported = refused.json()
    assert (reported["success"], reported["error"]) == (False, "PERMISSION_DENIED")
    assert reported["message"] == "You have no permission for this."

    able = User.objects.create_user("able", is_staff=True)
    able.user_permissions.set([permission_of(permission)])
    assert getattr(login_of(able), method)(f"/api/{path}", data=body).status_code not in (401, 403, 405)


@pytest.mark.parametrize(("method", "path", "body", "permission"), CHANGES, ids=lambda one: str(one)[:40])
def test_an_api_token_of_scope_admin_may_do_everything(
    admin: APIClient, method: str, path: str, body: Any, permission: str
) -> None:
    assert getattr(admin, method)(f"/api/{path}", data=body).status_code not in (401, 403, 405)


def test_deleting_the_records_of_a_run_takes_the_right_to_delete_records() -> None:
    client = staff_with("sync_tasks.delete_synctask")
    address = f"/api/sync-tasks/{UNKNOWN_ID}"
    assert client.delete(address, {"delete_data": False}).status_code == 404
    for given in (True, "true", 1, None):
        assert client.delete(address, {"delete_data": given}).status_code == 403
    both = User.objects.create_user("both", is_staff=True)
    both.user_permissions.set(
        [permission_of("sync_tasks.delete_synctask"), permission_of("mengla.delete_record")]
    )
    assert login_of(both).delete(address, {"delete_data": True}).status_code == 404


def test_duplicates_are_counted_by_everybody_and_deleted_by_few(viewer: APIClient) -> None:
    assert viewer.post("/api/admin/duplicates/remove", {"apply": False}).json()["data"]["applied"] is False
    for given in (True, "true", 1, [True]):
        assert viewer.post("/api/admin/duplicates/remove", {"apply": given}).status_code == 403
    assert viewer.post("/api/admin/duplicates/remove", [{"apply": True}]).status_code == 400
    assert not Record.objects.exists()


def test_rights_of_a_group_count_and_end_within_a_second(monkeypatch: pytest.MonkeyPatch) -> None:
    passed_seconds = 0.0
    monkeypatch.setattr(selectors, "known_callers", CallerCache(timer=lambda: passed_seconds))
    group = Group.objects.create(name="designers")
    group.permissions.set([permission_of("panels.change_panelmodule")])
    user = User.objects.create_user("designer", is_staff=True)
    user.groups.add(group)
    client = login_of(user)
    body = {"layout": {"defaultPeriod": "day"}}
    assert client.put("/api/panel-config", body).status_code == 200
    user.groups.clear()
    passed_seconds = FRESH_SECONDS
    refused = client.put("/api/panel-config", {"layout": {"defaultPeriod": "year"}})
    assert refused.status_code == 403
    assert client.get("/api/panel-config").json()["data"]["layout"]["defaultPeriod"] == "day"
