"""The groups that migrations create: what docs/operations.md says of them is what they may do."""

from __future__ import annotations

import re
from collections.abc import Callable
from importlib import import_module
from typing import Any

import pytest
from django.apps import apps
from django.contrib.auth.models import Group, Permission, User
from django.db.migrations.loader import MigrationLoader
from django.test import Client
from rest_framework.test import APIClient

from tests.admin_pages import model_admins
from tests.conftest import log_in
from tests.contract.test_rights import login_of
from tests.factories import UNKNOWN_ID
from tests.programs import ROOT

pytestmark = [
    pytest.mark.django_db,
    pytest.mark.mongo,
    pytest.mark.redis,
    pytest.mark.usefixtures("sample_tree"),
]
MIGRATION = import_module("apps.admin.migrations.0007_roles")
ROLES = ("viewer", "analyst", "operator", "admin")
PASSWORD = "a long test password"
Request = tuple[str, str, Any]
# The requests that each row of the table is about: pages of the admin, and addresses of the API.
PROBES: dict[str, list[Request]] = {
    "see the dashboard, sync tasks and collections": [
        ("get", "/admin/live/", None),
        ("get", "/admin/operations/", None),
        ("get", "/admin/diagnostics/", None),
        ("get", "/admin/run-task/", None),
        ("get", "/admin/sync_tasks/synctask/", None),
        ("get", "/admin/mengla/collection/", None),
    ],
    "see data, coverage, records and categories; download figures": [
        ("get", "/admin/data/", None),
        ("get", "/admin/data/export/?format=csv&action=hot&granularity=month", None),
        ("get", "/admin/coverage/", None),
        ("get", "/admin/mengla/record/", None),
        ("get", "/admin/categories/category/", None),
    ],
    "see panels, schedules, alerts, silences, notices, worker messages and the history": [
        ("get", "/admin/panels/panelmodule/", None),
        ("get", "/admin/django_q/schedule/", None),
        ("get", "/admin/django_q/failure/", None),
        ("get", "/admin/django_q/success/", None),
        ("get", "/admin/alerts/", None),
        ("get", "/admin/alerts/queue_stuck/", None),
        ("get", "/admin/collector_admin/alert/", None),
        ("get", "/admin/collector_admin/alertevent/", None),
        ("get", "/admin/collector_admin/alertsilence/", None),
        ("get", "/admin/collector_admin/alertnotice/", None),
        ("get", "/admin/admin/logentry/", None),
    ],
    "see API tokens, users and groups": [
        ("get", "/admin/collector_auth/apitoken/", None),
        ("get", "/admin/auth/user/", None),
        ("get", "/admin/auth/group/", None),
    ],
    "have missing figures collected; fill a range; retry and cancel single collections": [
        ("post", "/admin/coverage/fill/", {}),
        ("get", "/admin/operations/collect/", None),
        ("get", f"/admin/mengla/collection/{UNKNOWN_ID}/operation/retry/", None),
        ("get", f"/admin/mengla/collection/{UNKNOWN_ID}/operation/cancel/", None),
        ("post", "/api/panel/data/fill", {}),
        ("post", "/api/admin/backfill", {}),
    ],
    "start, cancel and retry sync tasks; run a schedule now": [
        ("post", "/admin/run-task/", {"task": "nothing"}),
        ("get", "/admin/run-task/?task=daily_collect", None),
        ("get", f"/admin/sync_tasks/synctask/{UNKNOWN_ID}/operation/cancel/", None),
        ("get", f"/admin/sync_tasks/synctask/{UNKNOWN_ID}/operation/retry/", None),
        ("post", f"/api/sync-tasks/{UNKNOWN_ID}/cancel", {}),
    ],
    "change, pause and resume schedules": [
        ("get", f"/admin/django_q/schedule/{UNKNOWN_ID}/operation/pause/", None),
        ("get", "/admin/operations/pause/", None),
        ("get", "/admin/operations/resume/", None),
        ("post", "/api/admin/scheduler/pause", {}),
        ("post", "/api/admin/scheduler/resume", {}),
    ],
    "silence alerts; send a test notice": [
        ("get", "/admin/alerts/queue_stuck/silence/", None),
        ("get", "/admin/alerts/test/", None),
        ("post", "/api/admin/alerts/silence", {}),
    ],
    "warm up the caches; clear L1": [
        ("get", "/admin/operations/warm-up/", None),
        ("get", "/admin/operations/clear-l1/", None),
        ("post", "/api/admin/cache/warmup", {"limit": 0}),
        ("post", "/api/admin/cache/clear-l1", {}),
    ],
    "reset the breaker": [
        ("get", "/admin/operations/reset-breaker/", None),
        ("post", "/api/admin/circuit-breakers/reset", {}),
    ],
    "cancel all sync tasks and collections": [
        ("get", "/admin/operations/cancel-all/", None),
        ("post", "/api/admin/tasks/cancel-all", {}),
    ],
    "change the panels": [("put", "/api/panel-config", {"layout": {"defaultPeriod": "day"}})],
    "delete sync tasks, and the records that only they wrote": [
        ("get", f"/admin/sync_tasks/synctask/{UNKNOWN_ID}/operation/delete_with_data/", None),
        ("delete", f"/api/sync-tasks/{UNKNOWN_ID}", {"delete_data": True}),
    ],
    "purge collected data; clear both caches; remove duplicates": [
        ("get", "/admin/operations/clear-caches/", None),
        ("get", "/admin/operations/purge/", None),
        ("get", "/admin/operations/remove-duplicates/", None),
        ("post", "/api/admin/data/purge", {}),
        ("post", "/api/admin/duplicates/remove", {"apply": True}),
    ],
    "create and revoke API tokens": [
        ("get", "/admin/collector_auth/apitoken/add/", None),
        ("post", "/api/auth/generate-token", {}),
        ("delete", f"/api/auth/tokens/{UNKNOWN_ID}", {}),
    ],
    "create and change users; give them staff status and groups": [("get", "/admin/auth/user/add/", None)],
}


@pytest.fixture
def roles() -> None:
    """The groups, as the migration creates them."""
    MIGRATION.create_roles(apps, None)


@pytest.fixture
def user_in(roles: None) -> Callable[..., User]:
    def make(role: str, name: str = "") -> User:
        user = User.objects.create_user(name or f"one-{role}", password=PASSWORD, is_staff=True)
        user.groups.add(Group.objects.get(name=role))
        return user

    return make


def table() -> dict[str, set[str]]:
    """What the page says: the roles that may do what each row names."""
    page = (ROOT / "docs/operations.md").read_text()
    section = re.split(r"^##+ ", page, flags=re.MULTILINE)
    (text,) = [one for one in section if one.startswith("Who may what\n")]
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in text.splitlines() if "|" in line]
    assert tuple(rows[0][1:]) == ROLES
    assert {cell for row in rows[2:] for cell in row[1:]} == {"yes", "-"}
    return {
        what: {role for role, cell in zip(ROLES, cells, strict=True) if cell == "yes"}
        for what, *cells in rows[2:]
    }


def test_the_table_is_tested_as_a_whole() -> None:
    assert set(table()) == set(PROBES)


@pytest.mark.parametrize("role", ROLES)
def test_a_role_may_what_the_table_says(role: str, user_in: Callable[..., User]) -> None:
    user = user_in(role)
    pages, api = Client(raise_request_exception=False), login_of(user)
    log_in(pages, user)
    wrong = []
    for what, allowed in table().items():
        for request in PROBES[what]:
            status = status_of(request, pages, api)
            assert status not in (405, 500), (role, request, status)
            if (status != 403) != (role in allowed):
                wrong.append((what, request, status))
    assert wrong == []


def status_of(request: Request, pages: Client, api: APIClient) -> int:
    method, path, body = request
    client = api if path.startswith("/api/") else pages
    response = getattr(client, method)(path, body)
    assert "/login/" not in response.headers.get("Location", "")
    return int(response.status_code)


def test_who_sees_a_list_is_in_the_table(user_in: Callable[..., User]) -> None:
    """A new list of the admin needs a row."""
    probed = {path for probes in PROBES.values() for _method, path, _body in probes}
    lists = {f"/admin/{one.opts.app_label}/{one.opts.model_name}/" for one in model_admins()}
    unsaid = {path for path in lists - probed if "/django_q/" not in path}
    assert unsaid == set()


@pytest.mark.parametrize("role", ["viewer", "analyst"])
def test_every_link_of_the_sidebar_and_the_dashboard_may_be_followed(
    role: str, user_in: Callable[..., User]
) -> None:
    client = Client()
    log_in(client, user_in(role))
    page = client.get("/admin/").content.decode()
    links = set(re.findall(r'href="(/admin/[^"#]*)"', page)) - {"/admin/logout/"}
    assert len(links) > 4
    refused = {link for link in links if client.get(link.replace("&amp;", "&")).status_code != 200}
    assert refused == set()


def test_the_groups_know_every_model() -> None:
    """A model with permissions that a later migration adds needs a migration for the groups, too."""
    known = MigrationLoader(None).project_state(("collector_admin", "0007_roles")).models
    ours = {
        (model._meta.app_label, model._meta.model_name)
        for label in (*MIGRATION._PRODUCT, *MIGRATION._ACCESS)
        for model in apps.get_app_config(label).get_models()
        if model._meta.default_permissions or model._meta.permissions
    }
    assert ours - set(known) == set()


def test_groups_are_created_once_and_then_belong_to_the_operators(roles: None) -> None:
    viewer = Group.objects.get(name="viewer")
    viewer.permissions.clear()
    Group.objects.get(name="analyst").delete()
    Group.objects.create(name="analyst")
    MIGRATION.create_roles(apps, None)
    assert viewer.permissions.count() == 0
    assert Group.objects.get(name="analyst").permissions.count() == 0
    assert Group.objects.count() == len(ROLES)


def test_a_migration_that_was_killed_goes_on(roles: None) -> None:
    wanted = set(Group.objects.get(name="operator").permissions.values_list("pk", flat=True))
    through: Any = Group.permissions.through
    through.objects.filter(permission_id=next(iter(wanted))).delete()
    Group.objects.filter(name="operator")._raw_delete("default")  # its permissions stay
    MIGRATION.create_roles(apps, None)
    assert set(Group.objects.get(name="operator").permissions.values_list("pk", flat=True)) == wanted


def test_an_admin_gives_what_it_has_and_no_more(user_in: Callable[..., User]) -> None:
    client = Client()
    log_in(client, user_in("admin"))
    form = {"username": "new", "usable_password": "true", "password1": PASSWORD, "password2": PASSWORD}
    page = client.get("/admin/auth/user/add/").content.decode()
    assert "Staff status" in page
    assert client.post("/admin/auth/user/add/", form).status_code == 302
    new = User.objects.get(username="new")
    operator = Group.objects.get(name="operator")
    change = {"username": "new", "is_active": "on", "is_staff": "on", "is_superuser": "on"}
    address = f"/admin/auth/user/{new.pk}/change/"
    assert client.post(address, change | {"groups": [str(operator.pk)]}).status_code == 302
    new.refresh_from_db()
    assert (new.is_staff, new.is_superuser, list(new.groups.all())) == (True, False, [operator])


def test_nobody_gets_at_the_rights_of_others_through_their_users(user_in: Callable[..., User]) -> None:
    clerk = user_in("viewer", "clerk")
    clerk.user_permissions.set(Permission.objects.filter(codename__endswith="_user"))
    client = Client()
    log_in(client, clerk)
    chief = user_in("operator", "chief")
    chief.is_active = False
    chief.save()
    other = {"usable_password": "true", "password1": "another long one", "password2": "another long one"}
    assert client.post(f"/admin/auth/user/{chief.pk}/password/", other).status_code == 403
    operator = str(Group.objects.get(name="operator").pk)
    form = {"username": "clerk", "is_active": "on", "is_staff": "on", "groups": [operator]}
    assert client.post(f"/admin/auth/user/{clerk.pk}/change/", form).status_code == 200  # a form error
    assert [group.name for group in clerk.groups.all()] == ["viewer"]
