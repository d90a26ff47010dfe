"""The simulator's command: its flags, stopped by a signal, refused in production."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import httpx
import pytest
from django.core.management import CommandError, call_command

from apps.mengla.management.commands import simulate_collector
from apps.mengla.simulator.state import SimulatorConfig
from tests.programs import ROOT

COMMAND = [sys.executable, "-W", "error", "manage.py", "simulate_collector"]


def start(command: list[str], env: dict[str, str]) -> tuple[subprocess.Popen[str], str]:
    process = subprocess.Popen(
        command, cwd=ROOT, env=env, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    assert process.stdout is not None
    line = process.stdout.readline()
    if not line.startswith("simulator listening on http://127.0.0.1:"):
        process.kill()
        raise AssertionError(line + "".join(process.communicate()))
    return process, line.split()[-1]


def finish(process: subprocess.Popen[str], number: signal.Signals) -> tuple[int, str, str]:
    process.send_signal(number)
    output, errors = process.communicate(timeout=20)
    return process.returncode, output, errors


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_runs_with_its_flags_and_stops_on_a_signal(tmp_path: Path, number: signal.Signals) -> None:
    key_file = tmp_path / "key"
    key_file.write_text("file-key\n")
    process, url = start(
        [*COMMAND, "--port", "0", "--api-key-file", str(key_file), "--failure-rate", "0.25", "--early"],
        dict(os.environ),
    )
    with httpx.Client(base_url=url) as http:
        knobs = http.get("/knobs").json()
        assert (knobs["failure_rate"], knobs["early"]) == (0.25, True)
        assert http.get("/api/managed-tasks").status_code == 401
        listed = http.get("/api/managed-tasks", headers={"Authorization": "Bearer file-key"})
        assert listed.json()["data"]["tasks"][-1]["name"] == "萌啦数据采集"
        task_id = listed.json()["data"]["tasks"][-1]["id"]
        refused = http.post(
            f"/api/managed-tasks/{task_id}/execute",
            headers={"Authorization": "Bearer file-key"},
            json={
                "parameters": {"module": "hot", "dateType": "MONTH", "timest": "2025-13"},
                "webhookUrl": "http://127.0.0.1:9",
            },
        )
        assert refused.status_code == 400, refused.text
        assert finish(process, number) == (0, "", "")


@pytest.mark.slow
def test_it_runs_with_the_settings_and_stops_on_a_signal() -> None:
    process, url = start(
        [*COMMAND, "--delay-seconds", "0.1"],
        {**os.environ, "COLLECT_SERVICE_API_KEY": "settings-key", "COLLECT_TASK_NAME": "其他任务"},
    )
    listed = httpx.get(f"{url}/api/managed-tasks", headers={"Authorization": "Bearer settings-key"})
    assert listed.json()["data"]["tasks"][-1]["name"] == "其他任务"
    assert finish(process, signal.SIGTERM)[0] == 0


@pytest.mark.slow
@pytest.mark.parametrize(
    ("flags", "status", "message"),
    [
        (["--port", "65536"], 2, "must be a port"),
        (["--port", "-1"], 2, "must be a port"),
        (["--failure-rate", "2"], 2, "must be a share between 0 and 1"),
        (["--delay-seconds", "nan"], 2, "must be a number of seconds"),
        (["--heartbeats", "1.5"], 2, "must be a whole number"),
        (["--webhook-secret-file", "/no/such/file"], 2, "cannot be read"),
        (["--host", "not a host"], 1, ""),
    ],
)
def test_bad_flags_are_told_in_one_line(flags: list[str], status: int, message: str) -> None:
    done = subprocess.run(
        [*COMMAND, *flags], cwd=ROOT, text=True, capture_output=True, timeout=20, check=False
    )
    assert (done.returncode, done.stdout) == (status, "")
    assert message in done.stderr.splitlines()[-1]
    assert "Traceback" not in done.stderr


def test_command_is_refused_in_production(settings: Any) -> None:
    settings.ENV = "production"
    with pytest.raises(CommandError, match="production"):
        call_command("simulate_collector")


def test_command_tells_that_a_port_is_taken() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken, pytest.raises(CommandError, match="in use"):
        call_command("simulate_collector", port=taken.getsockname()[1])


def test_command_takes_key_secret_and_task_from_the_settings(
    settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    configs: list[SimulatorConfig] = []
    monkeypatch.setattr(
        simulate_collector, "run_until_signal", lambda config, _announce: configs.append(config)
    )
    settings.COLLECT_SERVICE_API_KEY = "the-key"
    settings.WEBHOOK_SECRET = "the-secret"
    settings.COLLECT_TASK_NAME = "任务"
    call_command("simulate_collector")
    call_command("simulate_collector", "--webhook-secret", "other", "--seed", "5", "--concurrency", "4")
    plain, changed = configs
    assert (plain.api_key, plain.webhook_secret, plain.task_name) == ("the-key", "the-secret", "任务")
    assert (plain.host, plain.port) == ("127.0.0.1", 0)
    assert (changed.webhook_secret, changed.seed, changed.knobs.concurrency) == ("other", 5, 4)
    assert changed.api_key == "the-key"
