"""Cursors: each is good for its own list with the same filters, and for nothing else."""

from __future__ import annotations

import base64
import random
from typing import Any

import pytest
from rest_framework.test import APIClient

from apps.auth import services
from apps.sync_tasks.choices import Trigger
from apps.sync_tasks.services import start_run
from tests.mengla.support import hot, store

pytestmark = [pytest.mark.django_db, pytest.mark.mongo, pytest.mark.redis, pytest.mark.usefixtures("listed")]

# Each list with filters that more than one page of it matches.
LISTS: dict[str, dict[str, str]] = {
    "/api/mengla/records": {"action": "hot"},
    "/api/sync-tasks": {"trigger": "manual"},
    "/api/auth/tokens": {},
}
OTHER_FILTERS: dict[str, list[dict[str, str]]] = {
    "/api/mengla/records": [{}, {"action": "high"}, {"action": "hot", "catId": "1001"}, {"empty": "false"}],
    "/api/sync-tasks": [{}, {"trigger": "scheduled"}, {"trigger": "manual", "from": "2020-01-01"}],
    "/api/auth/tokens": [],
}


@pytest.fixture
def listed(sample_tree: Any) -> None:
    for number in range(3):
        store(hot(f"20250{number + 1}"))
        services.create_token(label=f"token {number}", created_by="tests")
        start_run(
            task_id=f"task{number}", name="", parameters={}, trigger=Trigger.MANUAL, requested_by="tests"
        )


def page(client: APIClient, path: str, parameters: dict[str, str]) -> Any:
    return client.get(path, {"limit": "1"} | parameters)


def cursor_of(client: APIClient, path: str) -> str:
    cursor: str = page(client, path, LISTS[path]).json()["data"]["next_cursor"]
    assert cursor
    return cursor


def assert_refused(response: Any, cursor: str) -> None:
    assert response.status_code == 400, cursor
    assert response.json()["fields"] == {"cursor": ["Invalid cursor."]}


@pytest.mark.parametrize("path", LISTS)
def test_it_continues_its_list(path: str, admin: APIClient) -> None:
    assert page(admin, path, LISTS[path] | {"cursor": cursor_of(admin, path)}).status_code == 200
    # Another number of rows is the same list.
    assert admin.get(path, LISTS[path] | {"cursor": cursor_of(admin, path), "limit": "7"}).status_code == 200


@pytest.mark.parametrize("path", LISTS)
def test_no_command_takes_it_for_an_option(path: str, admin: APIClient) -> None:
    beginnings = {cursor_of(admin, path)[0]}
    for number in range(20):
        services.create_token(label=f"another {number}", created_by="tests")
        beginnings.add(cursor_of(admin, path)[0])
    assert all(one.isalnum() for one in beginnings)


@pytest.mark.parametrize("path", LISTS)
def test_it_is_refused_by_every_other_list(path: str, admin: APIClient) -> None:
    cursor = cursor_of(admin, path)
    for other in set(LISTS) - {path}:
        for filters in ({}, LISTS[other]):
            assert_refused(page(admin, other, filters | {"cursor": cursor}), cursor)


@pytest.mark.parametrize("path", LISTS)
def test_it_is_refused_with_other_filters(path: str, admin: APIClient) -> None:
    cursor = cursor_of(admin, path)
    for filters in OTHER_FILTERS[path]:
        assert_refused(page(admin, path, filters | {"cursor": cursor}), cursor)


@pytest.mark.parametrize("path", LISTS)
def test_damage_is_refused(path: str, admin: APIClient) -> None:
    cursor = cursor_of(admin, path)
    noise = random.Random(7)
    odd = ["x", "null", " ", "=", "$ne", "类目", cursor + "x", cursor + "=", f" {cursor}", cursor * 2]
    odd += [cursor[:length] for length in range(1, len(cursor))]
    odd += [base64.urlsafe_b64encode(noise.randbytes(length)).decode() for length in (1, 9, 10, 40, 200)]
    odd += [f"{cursor[:at]}{'B' if cursor[at] == 'A' else 'A'}{cursor[at + 1 :]}" for at in range(0, 60, 3)]
    for one in odd:
        assert_refused(page(admin, path, LISTS[path] | {"cursor": one}), one)
