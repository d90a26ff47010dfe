"""The units: systemd accepts them, they start what exists, and they can do little."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest
from django.core.management import get_commands

from apps.core.web.draining import CLOSING_SECONDS
from apps.launcher.management.commands.serve import KILL_AFTER_SECONDS
from tests.deploy.files import UNITS, known_variables, unit_lines
from tests.missing import leave_out
from tests.programs import ROOT

SERVICES = ("mengla-migrate.service", "mengla-web.service", "mengla-worker.service")
PROGRAM = "/srv/mengla/.venv/bin/python manage.py "
MOST_EXPOSURE = 1.5  # of ten; what is left are sockets, the host's files to read, and @resources


@pytest.fixture
def analyze() -> str:
    found = shutil.which("systemd-analyze")
    if found is None:
        leave_out("systemd-analyze is not installed: apt-get install systemd")
    return found


def test_they_are_all_here() -> None:
    assert sorted(path.name for path in UNITS.iterdir()) == sorted([*SERVICES, "mengla.target"])


def test_systemd_accepts_them(analyze: str, tmp_path: Path) -> None:
    """The program is looked for, too, so that of this machine takes the place of the installed one."""
    for path in UNITS.iterdir():
        text = path.read_text().replace("/srv/mengla/.venv/bin/python", shutil.which("true") or "")
        (tmp_path / path.name).write_text(text.replace("/srv/mengla", str(ROOT)))
    result = subprocess.run(
        [analyze, "verify", "--man=no", *sorted(tmp_path.iterdir())],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (result.returncode, result.stderr) == (0, "")


@pytest.mark.parametrize("name", SERVICES)
def test_a_service_can_do_little(name: str, analyze: str) -> None:
    result = subprocess.run(
        [analyze, "security", "--offline=true", "--no-pager", UNITS / name],
        capture_output=True,
        text=True,
        check=False,
    )
    (exposure,) = re.findall(r"Overall exposure level for \S+: ([\d.]+)", result.stdout)
    assert float(exposure) <= MOST_EXPOSURE, result.stdout


def test_they_start_commands_that_exist() -> None:
    lines = [line for name in SERVICES for line in unit_lines(name, "ExecStart")]
    assert all(line.startswith(PROGRAM) for line in lines)
    commands = [line.removeprefix(PROGRAM).split()[0] for line in lines]
    assert commands == ["migrate", "ensure_admin", "sync_schedules", "serve", "qcluster"]
    assert set(commands) <= set(get_commands())


@pytest.mark.parametrize("name", SERVICES)
def test_they_set_only_what_something_reads(name: str) -> None:
    pairs = [pair for line in unit_lines(name, "Environment") for pair in line.split()]
    assert {pair.partition("=")[0] for pair in pairs} <= known_variables()
    assert "ENV_FILE=/etc/mengla/mengla.env" in pairs
    assert unit_lines(name, "User") == ["mengla"]


def test_a_stop_waits_for_what_is_in_progress() -> None:
    (web,) = unit_lines("mengla-web.service", "TimeoutStopSec")
    assert int(web.removesuffix("s")) > CLOSING_SECONDS + KILL_AFTER_SECONDS
    assert unit_lines("mengla-worker.service", "TimeoutStopSec") == ["11min"]
    for name in SERVICES[1:]:
        assert unit_lines(name, "KillMode") == ["mixed"]
        assert unit_lines(name, "Restart") == ["always"]
        assert unit_lines(name, "StartLimitIntervalSec") == ["0"]  # it never gives up


def test_the_target_starts_what_is_enabled_on_this_host() -> None:
    """A host of workers enables the target and the worker, and gets no web server."""
    assert unit_lines("mengla.target", "Wants") == []
    for name in SERVICES[1:]:
        assert unit_lines(name, "WantedBy") == ["mengla.target"]
        assert unit_lines(name, "PartOf") == ["mengla.target"]


def test_migrations_come_first() -> None:
    for name in SERVICES[1:]:
        assert "mengla-migrate.service" in unit_lines(name, "After")[0].split()
        # They start although MongoDB is down at that moment; they check the database themselves.
        assert "mengla-migrate.service" in unit_lines(name, "Wants")[0].split()
        assert unit_lines(name, "Requires") == []
