"""Every log line of a request names the request, in every component and however the request ends."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client
from rest_framework.test import APIClient

from tests.http import METRICS_HEADERS

pytestmark = [pytest.mark.django_db, pytest.mark.mongo, pytest.mark.redis]

Log = Callable[[], list[dict[str, Any]]]
ADDRESSES = (
    "/ready",
    "/admin/",
    "/admin/data/",
    "/api/admin/system/status",
    "/api/admin/collect-health",
    "/api/admin/alerts",
    "/api/categories",
    "/api/mengla?action=hot&catId=1001&dateType=month&timest=2025-06",
    "/api/sync-tasks",
)


def ask(client: Any, address: str) -> None:
    response = client.get(address, HTTP_X_REQUEST_ID=f"find-{len(address)}")
    assert response.headers["X-Request-ID"].startswith("find-")


def nameless(lines: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The lines without the id of a request of this test."""
    return [line for line in lines if not line.get("request_id", "").startswith("find-")]


@pytest.mark.parametrize("gone", ["mongo_gone", "redis_gone"])
def test_while_a_server_is_gone(
    admin: APIClient, site: Client, gone: str, written_log: Log, request: pytest.FixtureRequest
) -> None:
    for address in ADDRESSES:  # known before, so that not all of them end at the login
        (site if address.startswith("/admin/") else admin).get(address)
    request.getfixturevalue(gone)()
    before = len(written_log())
    for address in ADDRESSES:
        ask(site if address.startswith("/admin/") else admin, address)
    ask(Client(headers=METRICS_HEADERS), "/metrics")
    lines = written_log()[before:]
    assert "Service Unavailable: /ready" in {line["event"] for line in lines}
    assert nameless(lines) == []


@pytest.mark.parametrize("address", ["/ready", "/api/admin/system/status"])
def test_of_a_crash_too(admin_token: str, address: str, written_log: Log, monkeypatch: Any) -> None:
    def crash(*_args: Any, **_kwargs: Any) -> Any:
        raise ValueError("broken")

    for view in ("apps.core.web.views.check_dependencies", "apps.admin.health.views.system_status"):
        monkeypatch.setattr(view, crash)
    client = Client(raise_request_exception=False, headers={"Authorization": f"Bearer {admin_token}"})
    ask(client, address)
    assert "error" in {line["level"] for line in written_log()}
    assert nameless(written_log()) == []
