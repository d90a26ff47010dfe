"""How browsers reach the pages of a production installation: by https, behind a proxy, with safe cookies."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.config.test_startup import NOWHERE, PRODUCTION, environment_of, manage
from tests.programs import run_python

FULL = PRODUCTION | {
    "APP_BASEURL": "https://mengla.example.com",
    "TRUSTED_PROXIES": "10.0.0.1",
    "JWT_SECRET": "another-production-key-of-some-fifty-characters-in-length",
}
HOST = {"HTTP_HOST": "mengla.example.com"}
BY_HTTP = HOST | {"REMOTE_ADDR": "10.0.0.1", "HTTP_X_FORWARDED_PROTO": "http"}
BY_HTTPS = HOST | {"REMOTE_ADDR": "10.0.0.1", "HTTP_X_FORWARDED_PROTO": "https"}
SILENT_PROXY = HOST | {"REMOTE_ADDR": "10.0.0.1"}
DIRECTLY = HOST | {"REMOTE_ADDR": "10.0.0.9", "HTTP_X_FORWARDED_PROTO": "https"}

pytestmark = pytest.mark.slow


def answers(*requests: dict[str, str], **variables: str) -> list[dict[str, Any]]:
    """What the product answers to each of the requests with these variables."""
    environment = environment_of(**NOWHERE, LOG_LEVEL="CRITICAL", **variables)
    result = run_python("-m", "tests.config.answers", json.dumps(requests), env=environment)
    assert result.returncode == 0, result
    found: list[dict[str, Any]] = json.loads(result.stdout.splitlines()[-1])
    return found


def test_production_behind_a_proxy() -> None:
    login = {"path": "/admin/login/"}
    machines = [
        {"path": "/health"},
        {"path": "/metrics"},
        {"path": "/api"},
        {"path": "/api/mengla"},
        {"path": "/api/webhook/mengla-notify", "method": "POST"},
    ]
    by_http, docs, directly, page, silent, *rest = answers(
        login | BY_HTTP,
        {"path": "/api/docs"} | BY_HTTP,
        login | DIRECTLY,
        login | BY_HTTPS,
        login | SILENT_PROXY,
        *(one | BY_HTTP for one in machines),
        **FULL,
    )
    for redirected, path in ((by_http, "/admin/login/"), (docs, "/api/docs"), (directly, "/admin/login/")):
        assert redirected["status"] == 301
        assert redirected["headers"]["Location"] == f"https://mengla.example.com{path}"
        assert redirected["cookies"] == []
    for shown in (page, silent):
        assert shown["status"] == 200
        assert shown["headers"]["Strict-Transport-Security"] == "max-age=31536000"
        assert "script-src 'self';" in shown["headers"]["Content-Security-Policy"]
        (cookie,) = shown["cookies"]
        assert cookie.startswith("__Host-csrftoken=")
        assert {"HttpOnly", "Secure", "Path=/", "SameSite=Lax"} <= set(cookie.split("; "))
        assert "Domain" not in cookie
    assert [one["status"] for one in rest] == [200, 403, 200, 401, 403]


def test_the_promises_of_hsts() -> None:
    (page,) = answers(
        {"path": "/admin/login/"} | BY_HTTPS,
        **FULL,
        HSTS_SECONDS="63072000",
        HSTS_SUBDOMAINS="true",
        HSTS_PRELOAD="true",
    )
    told = page["headers"]["Strict-Transport-Security"]
    assert told == "max-age=63072000; includeSubDomains; preload"


def test_https_may_be_switched_off() -> None:
    (page,) = answers({"path": "/admin/login/"} | BY_HTTP, **FULL, HTTPS_ONLY="false")
    assert page["status"] == 200
    assert "Strict-Transport-Security" not in page["headers"]
    (cookie,) = page["cookies"]
    assert cookie.startswith("csrftoken=")
    assert "Secure" not in cookie


def test_the_check_for_deployment_is_silent_with_a_full_environment() -> None:
    result = manage("check", "--deploy", **NOWHERE, **FULL)
    assert (result.returncode, result.stderr) == (0, ""), result
    assert "no issues" in result.stdout


@pytest.mark.parametrize(
    ("variables", "ids"),
    [
        (
            {"HTTPS_ONLY": "false", "HSTS_PRELOAD": "true", "SECRET_KEY": "x" * 40},
            "collector.W008 collector.W010 "
            "security.W004 security.W008 security.W009 security.W012 security.W016",
        ),
        (
            {"HSTS_SECONDS": "0", "TRUSTED_PROXIES": "", "APP_BASEURL": "http://mengla.example.com"},
            "collector.W003 collector.W009 security.W004 security.W008",
        ),
    ],
)
def test_the_check_for_deployment_names_each_thing_that_is_off(variables: dict[str, str], ids: str) -> None:
    result = manage("check", "--deploy", **NOWHERE, **(FULL | variables))
    found = {one for one in ids.split() if f"({one})" in result.stderr}
    assert found == set(ids.split()), result.stderr
    assert result.stderr.count(": (") == len(found), result.stderr
