"""Every way of starting the product refuses a bad environment with one message and no traceback."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

from apps.core import checks
from config import env
from tests.programs import run_python

COMMANDS = [
    ("check",),
    ("serve", "--port", "1"),
    ("qcluster",),
    ("migrate",),
    ("sync_schedules",),
    ("--help",),
    ("nonsense",),
]
# Nothing listens there: a command that went on would fail with a traceback or hang.
NOWHERE = {
    "MONGO_URI": "mongodb://127.0.0.1:1/?serverSelectionTimeoutMS=100",
    "REDIS_URI": "redis://127.0.0.1:1/0",
}
PRODUCTION = {
    "ENV": "production",
    "SECRET_KEY": "a-production-key-of-some-fifty-characters-in-length",
    "WEBHOOK_SECRET": "a-webhook-secret",
    "ALLOWED_HOSTS": "mengla.example.com",
    "TRUSTED_PROXIES": "10.0.0.1",
}

pytestmark = pytest.mark.slow


def manage(*arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run manage.py with only these variables of the product."""
    return run_python("manage.py", *arguments, env=environment_of(**variables))


def environment_of(**variables: str) -> dict[str, str]:
    """Return an environment with only these variables of the product."""
    common = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
    return {**common, "ENV_FILE": "", **variables}


def assert_refused(result: subprocess.CompletedProcess[str], *names: str) -> None:
    """The process ended with the list of exactly these problems, and with nothing else."""
    assert result.returncode in (1, 2), result
    assert result.stdout == ""
    lines = result.stderr.splitlines()
    assert lines[0].startswith("The environment has ")
    assert lines[-1] == "Every variable is described in docs/configuration.md."
    assert sorted(line.split()[1] for line in lines[1:-1]) == sorted(names)
    assert "Traceback" not in result.stderr


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_nothing_starts_without_the_two_addresses(command: tuple[str, ...]) -> None:
    assert_refused(manage(*command), "MONGO_URI", "REDIS_URI")


@pytest.mark.parametrize("command", COMMANDS[:4], ids=" ".join)
def test_all_problems_are_told_at_once(command: tuple[str, ...]) -> None:
    result = manage(
        *command,
        REDIS_URI="localhost",
        COLLECT_INTERVAL_SECONDS="abc",
        MAX_INFLIGHT_REQUESTS="0",
        CORS_ALLOWED_ORIGINS="*",
        ADMIN_PASSWORD="Tr0ub4d",
    )
    assert_refused(
        result,
        "MONGO_URI",
        "REDIS_URI",
        "COLLECT_INTERVAL_SECONDS",
        "MAX_INFLIGHT_REQUESTS",
        "CORS_ALLOWED_ORIGINS",
        "ADMIN_PASSWORD",
    )
    assert "Tr0ub4d" not in result.stderr


@pytest.mark.parametrize("command", COMMANDS[:4], ids=" ".join)
def test_production_does_not_start_without_its_secrets(command: tuple[str, ...]) -> None:
    result = manage(*command, **NOWHERE, ENV="production")
    assert_refused(result, "SECRET_KEY", "WEBHOOK_SECRET", "ALLOWED_HOSTS")


@pytest.mark.parametrize("command", COMMANDS[:4], ids=" ".join)
def test_production_does_not_start_with_debug(command: tuple[str, ...]) -> None:
    assert_refused(manage(*command, **NOWHERE, **PRODUCTION, DEBUG="true"), "DEBUG")


@pytest.mark.parametrize("command", COMMANDS[:4], ids=" ".join)
def test_production_does_not_post_unsigned_alerts(command: tuple[str, ...]) -> None:
    address = "https://alerts.example.com/s3cret-path"
    result = manage(*command, **NOWHERE, **PRODUCTION, ALERT_WEBHOOK_URL=address)
    assert_refused(result, "ALERT_WEBHOOK_SECRET")
    assert "s3cret" not in result.stderr


def test_a_good_environment_passes_the_check_and_connects_to_nothing() -> None:
    alerts = {"ALERT_WEBHOOK_URL": "https://alerts.example.com/hook", "ALERT_WEBHOOK_SECRET": "the-key-of-it"}
    for variables in (NOWHERE, NOWHERE | PRODUCTION, NOWHERE | PRODUCTION | alerts):
        result = manage("check", **variables)
        assert (result.returncode, result.stderr) == (0, ""), result
        assert "no issues" in result.stdout


def test_settings_that_do_not_fit_together_are_warned_of() -> None:
    result = manage(
        "check",
        **NOWHERE,
        COLLECT_SERVICE_URL="https://collect.example.com",
        ALERT_WEBHOOK_URL="https://alerts.example.com/s3cret-path",
        SETTLE_HOURS="12",
    )
    assert result.returncode == 0
    assert "(collector.W001) COLLECT_SERVICE_URL is set without COLLECT_SERVICE_API_KEY." in result.stderr
    assert "(collector.W002) The webhook address is a loopback address" in result.stderr
    assert "(collector.W004) ALERT_WEBHOOK_URL is set without ALERT_WEBHOOK_SECRET" in result.stderr
    assert "(collector.W005) CRON_DAILY_COLLECT fires before the figures of the period" in result.stderr
    assert "(collector.W005) CRON_MONTHLY_COLLECT" in result.stderr
    assert result.stderr.count("W005") == 2  # a quarter and a year are collected a day or two later
    assert "s3cret" not in result.stderr


def test_every_host_in_production_is_warned_of() -> None:
    every = manage("check", **NOWHERE, **(PRODUCTION | {"ALLOWED_HOSTS": "mengla.example.com,*"}))
    assert (every.returncode, "(collector.W007) ALLOWED_HOSTS=* in production" in every.stderr) == (0, True)
    assert "W007" not in manage("check", **NOWHERE, **PRODUCTION).stderr
    assert "W007" not in manage("check", **NOWHERE, ALLOWED_HOSTS="*").stderr


TRACES = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:4318"}


@pytest.mark.parametrize(
    ("variables", "told"),
    [
        ({}, ""),
        (TRACES, "E002"),
        (TRACES | {"OTEL_SDK_DISABLED": "True"}, ""),
        (TRACES | {"OTEL_TRACES_EXPORTER": "none"}, ""),
        ({"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": " "}, ""),
    ],
    ids=["off", "traced", "disabled", "elsewhere", "empty"],
)
def test_traces_without_their_packages_are_told(
    variables: dict[str, str], told: str, monkeypatch: pytest.MonkeyPatch, settings: Any
) -> None:
    settings.IS_TRACED = env.is_tracing_wanted(variables)
    monkeypatch.setattr(checks, "find_spec", lambda name: None)
    assert [one.id for one in checks.check_tracing(None)] == ([f"collector.{told}"] if told else [])


def test_reports_of_errors_without_their_package_are_told(
    monkeypatch: pytest.MonkeyPatch, settings: Any
) -> None:
    monkeypatch.setattr(checks, "find_spec", lambda name: None)
    assert checks.check_error_reports(None) == []
    settings.SENTRY_DSN = "https://0123@sentry.example.com/1"
    assert [one.id for one in checks.check_error_reports(None)] == ["collector.E004"]


def test_another_protocol_for_traces_is_refused() -> None:
    result = manage("check", **NOWHERE, **TRACES, OTEL_EXPORTER_OTLP_PROTOCOL="grpc")
    assert result.returncode == 1
    assert "(collector.E003) OTEL_EXPORTER_OTLP_PROTOCOL must be http/protobuf" in result.stderr
    assert manage("check", **NOWHERE, **TRACES).returncode == 0


@pytest.mark.parametrize("command", [("check",), ("qcluster",)], ids=" ".join)
def test_names_without_a_meaning_are_told_at_the_start(command: tuple[str, ...], tmp_path: Path) -> None:
    file = tmp_path / "former.env"
    file.write_text("BATCH_SIZE = s3cret\nADMIN_PASWORD=s3cret  # of the admin\n")
    result = manage(*command, **NOWHERE, ENV_FILE=str(file), COLLECT_CONCURRENCY="s3cret")
    assert result.stderr.count("(collector.W006) BATCH_SIZE (in former.env line 1) is not needed") == 1
    assert result.stderr.count("(collector.W006) COLLECT_CONCURRENCY (in the process environment)") == 1
    assert "ADMIN_PASWORD is unknown and not read. Is it ADMIN_PASSWORD?" in result.stderr
    assert "s3cret" not in result.stdout + result.stderr


def test_an_unnamed_proxy_causes_a_warning() -> None:
    https = {"APP_BASEURL": "https://mengla.example.com"}
    warned = manage("check", **NOWHERE, **https)
    assert "(collector.W003) The pages are used by https only" in warned.stderr
    named = manage("check", **NOWHERE, **https, TRUSTED_PROXIES="10.0.0.1")
    assert "W003" not in named.stderr


def test_the_web_server_application_refuses_too() -> None:
    environment = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    result = run_python("-c", "import config.wsgi", env={**environment, "ENV_FILE": ""})
    assert result.returncode == 1
    assert "MONGO_URI is missing" in result.stderr
    assert "REDIS_URI is missing" in result.stderr
