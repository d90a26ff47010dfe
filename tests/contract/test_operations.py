"""The addresses of operators: each exists, is for admins, and answers in the envelope."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest
from rest_framework.test import APIClient

from apps.mengla.runs.planning import plan_run
from tests.contract.routes import assert_contract

pytestmark = [
    pytest.mark.django_db,
    pytest.mark.mongo,
    pytest.mark.redis,
    pytest.mark.usefixtures("sample_tree"),
]

RANGE = {"granularity": "month", "startDate": "2025-01", "endDate": "2025-02"}


@dataclass(frozen=True)
class Lever:
    """An address, a body that is right, and the names that its answer's data has at least."""

    method: str
    address: str
    names: str
    body: Any = None
    status: int = 200

    def pull(self, client: APIClient, *, method: str = "", slash: str = "") -> Any:
        """Send the request, or the same with another method, and check what holds for every answer."""
        send = getattr(client, method or self.method)
        response = send(f"/api/admin{self.address}{slash}", self.body)
        assert_contract(response, of=f"{method or self.method} {self.address}")
        return response

    def __str__(self) -> str:
        return self.address


LEVERS = (
    Lever("post", "/mengla/status", "granularity startDate endDate status totals", RANGE),
    Lever("post", "/mengla/enqueue-full-crawl", "sync_task_id", {}, 202),
    Lever("post", "/backfill", "sync_task_id", RANGE, 202),
    Lever("get", "/cache/stats", "l1 l2 today"),
    Lever("post", "/cache/warmup", "sync_task_id", {"limit": 10}, 202),
    Lever("post", "/cache/clear-l1", "cleared"),
    Lever("get", "/circuit-breakers", "breakers"),
    Lever("post", "/circuit-breakers/reset", "breakers"),
    Lever("get", "/scheduler/status", "pause schedules clusters heartbeats"),
    Lever("post", "/scheduler/pause", "paused changed_by changed_at"),
    Lever("post", "/scheduler/resume", "paused changed_by changed_at"),
    Lever("post", "/tasks/cancel-all", "runs collections in_flight is_complete", {"confirm": True}),
    Lever("get", "/collect-health", "date mongodb redis counts queue in_flight"),
    Lever("get", "/system/status", "process mongodb redis queue scheduler"),
    Lever("post", "/data/purge", "records is_complete", {"confirm": True, "targets": ["l1"]}),
    Lever("post", "/duplicates/remove", "applied groups duplicates deleted", {"apply": False}),
)


@pytest.mark.parametrize("slash", ["", "/"])
@pytest.mark.parametrize("lever", LEVERS, ids=str)
def test_an_admin_gets_what_is_promised(admin: APIClient, lever: Lever, slash: str) -> None:
    response = lever.pull(admin, slash=slash)
    assert response.status_code == lever.status, response.content
    data = response.json()["data"]
    assert set(lever.names.split()) <= set(data)
    if lever.status == 202:
        address = response.headers["Location"]
        assert address == f"/api/sync-tasks/{data['sync_task_id']}"
        assert admin.get(address).json()["data"]["trigger"] == "api"
        plan_run(data["sync_task_id"])  # and a worker can do what was started


@pytest.mark.parametrize("lever", LEVERS, ids=str)
def test_others_get_nothing(api: APIClient, reader: APIClient, lever: Lever) -> None:
    for client, status in ((api, 401), (reader, 403)):
        response = lever.pull(client)
        assert response.status_code == status
        assert "data" not in response.json()


@pytest.mark.parametrize("lever", LEVERS, ids=str)
def test_other_methods_are_refused(admin: APIClient, lever: Lever) -> None:
    for method in {"get", "post", "put", "patch", "delete"} - {lever.method}:
        assert lever.pull(admin, method=method).status_code == 405
