"""The probes and the metrics answer whatever host they are asked by; nothing else does."""

from __future__ import annotations

from contextlib import closing
from typing import Any

import pytest
from django.test import Client

from apps.core.web.short_way import ShortWay
from tests.http import METRICS_HEADERS

pytestmark = [pytest.mark.django_db, pytest.mark.mongo, pytest.mark.redis]

HOSTS = (
    "10.0.0.12",
    "10.0.0.12:8000",
    "evil.example.com",
    "a b",
    "[::1",
    "127.0.0.1:port",
    "a_b",
    "\xe9",
    "",
)


@pytest.fixture(autouse=True)
def _one_host(settings: Any) -> None:
    settings.ALLOWED_HOSTS = ["mengla.example.com"]


@pytest.mark.parametrize("host", HOSTS)
@pytest.mark.parametrize(("path", "statuses"), [("/health", {200}), ("/ready", {200, 503})])
def test_a_probe_may_have_any_host(client: Client, path: str, statuses: set[int], host: str) -> None:
    ours = client.get(path, HTTP_HOST="mengla.example.com")
    other = client.get(path, HTTP_HOST=host)
    assert ours.status_code in statuses
    assert other.status_code == ours.status_code
    assert other.json()["status"] == ours.json()["status"]
    assert client.head(path, HTTP_HOST=host).status_code == ours.status_code
    changing = {"X-Request-ID", "Content-Length", "Expires"}
    for name, value in ours.headers.items():
        assert name in changing or other.headers[name] == value, name
    assert other.headers["Content-Length"] == str(len(other.content))
    assert other.headers["X-Frame-Options"] == "DENY"
    assert host == "" or host not in other.content.decode()


@pytest.mark.parametrize("host", HOSTS)
def test_prometheus_asks_by_the_address_of_the_server(client: Client, host: str) -> None:
    answer = client.get("/metrics", HTTP_HOST=host, headers=METRICS_HEADERS)
    assert (answer.status_code, b"collector_up{" in answer.content) == (200, True)
    assert answer.headers["X-Frame-Options"] == "DENY"
    assert client.get("/metrics", HTTP_HOST=host).status_code == 401


@pytest.mark.parametrize("host", [host for host in HOSTS if host])
@pytest.mark.parametrize(
    "path", ["/health/", "/healthy", "/ready/x", "/metrics/", "/admin/", "/", "/api/health", "/api/auth/me"]
)
def test_nothing_else_does(client: Client, path: str, host: str) -> None:
    answer = client.get(path, HTTP_HOST=host, headers=METRICS_HEADERS)
    assert answer.status_code == 400
    if path.startswith("/api/"):
        assert answer.json()["error"] == "VALIDATION_ERROR"


@pytest.mark.parametrize("path", ["/static/admin/css/base.css", "/health", "/api/categories", "/metrics"])
def test_no_layer_answers_before_the_host_is_checked(client: Client, settings: Any, path: str) -> None:
    settings.CORS_ALLOWED_ORIGINS = ["https://shop.example.com"]
    headers = {"Origin": "https://shop.example.com", "Access-Control-Request-Method": "POST"}
    ours = client.options(path, HTTP_HOST="mengla.example.com", headers=headers)
    refused = client.options(path, HTTP_HOST="evil.com", headers=headers)
    assert ours.status_code != 400
    assert refused.status_code == 400
    assert "Access-Control-Allow-Origin" not in refused.headers
    if path.startswith("/api/"):
        assert refused.json()["error"] == "VALIDATION_ERROR"
    if path.startswith("/static/"):
        with closing(client.get(path, HTTP_HOST="mengla.example.com")) as answer:  # it has opened the file
            assert answer.status_code == 200
        assert client.get(path, HTTP_HOST="evil.com").status_code == 400


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE"])
@pytest.mark.parametrize("path", ["/health", "/ready", "/metrics"])
def test_they_are_only_read(path: str, method: str) -> None:
    strict = Client(enforce_csrf_checks=True)
    answer = strict.generic(method, path, HTTP_HOST="mengla.example.com")
    assert answer.status_code == 405
    assert answer.headers["Allow"] == "GET, HEAD"
    assert answer.content == b""


def test_who_changes_something_is_no_probe(client: Client) -> None:
    assert client.post("/health", HTTP_HOST="10.0.0.12").status_code == 400


def test_no_short_way_leads_past_the_host(reader: Any) -> None:
    assert ShortWay is not None
    assert reader.get("/api/categories", HTTP_HOST="mengla.example.com").status_code == 200
    assert reader.get("/api/categories", HTTP_HOST="10.0.0.12").status_code == 400
