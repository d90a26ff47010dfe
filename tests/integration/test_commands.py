"""Commands as an operator has them: real processes beside a real worker, stopped by real signals."""

from __future__ import annotations

import json
import re
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from apps.launcher.processes import ManagedProcess
from tests.integration.conftest import run_stack
from tests.integration.stack import Shape, Stack
from tests.integration.waiting import wait_until
from tests.programs import ROOT

pytestmark = [pytest.mark.slow, pytest.mark.mongo, pytest.mark.redis]
Document = dict[str, Any]
END_SECONDS = 90
# A run takes several times as long as a command waits between two lines of progress.
SLOW: dict[str, Any] = {"delay_seconds": 0.5, "concurrency": 1}


@pytest.fixture(scope="module")
def operated(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """A product with everything in it."""
    variables = {
        "COLLECT_RETRY_DELAY_SECONDS": "0",
        "TTL_YEAR_SECONDS": "3600",
        "CB_FAILURE_THRESHOLD": "1000",  # many fail by chance, one after the other
    }
    shape = Shape(web_workers=1, variables=variables)
    yield from run_stack("operated", tmp_path_factory.mktemp("operated"), shape)


class Command:
    """A running ``manage.py`` command; stdout and stderr are kept apart."""

    def __init__(self, stack: Stack, directory: Path, *arguments: str) -> None:
        self.out_path = directory / "stdout"
        program = 'out=$1; shift; exec "$@" > "$out"'
        self.process = ManagedProcess(
            ["bash", "-c", program, "bash", str(self.out_path), sys.executable, "manage.py", *arguments],
            name=f"command-{arguments[0]}",
            log_path=directory / "stderr",
            env=stack.environment,
            cwd=ROOT,
        ).start()

    @property
    def out(self) -> str:
        return self.out_path.read_text("utf-8")

    @property
    def err(self) -> str:
        return self.process.log_text()

    def wait(self) -> int:
        return self.process.wait(END_SECONDS)

    def wait_until_some_are_done(self) -> str:
        """Wait until it shows progress in the middle of its run; returns the run's id."""
        shown = re.compile(r"^Collecting: [1-9]\d*/\d+  done", re.MULTILINE)
        wait_until(lambda: shown.search(self.err), timeout_seconds=60, what=f"progress: {self.err}")
        found = re.search(r"^Sync task (\w{24})$", self.err, re.MULTILINE)
        assert found is not None
        return found[1]


@pytest.fixture
def command(operated: Stack, tmp_path: Path) -> Iterator[Any]:
    """Start commands that are gone at the end of the test."""
    started: list[Command] = []

    def start(*arguments: str) -> Command:
        directory = tmp_path / str(len(started))
        directory.mkdir()
        started.append(Command(operated, directory, *arguments))
        return started[-1]

    operated.reset()
    yield start
    for one in started:
        one.process.kill()


def task(stack: Stack, run_id: str) -> Document:
    data: Document = stack.get(f"/api/sync-tasks/{run_id}").json()["data"]
    return data


def wait_for_status(stack: Stack, run_id: str, status: str) -> Document:
    return wait_until(
        lambda: found if (found := task(stack, run_id))["status"] == status else None,
        timeout_seconds=END_SECONDS,
        what=f"run {run_id} is {status}",
    )


def test_collect_waits_to_the_end_and_the_api_tells_the_same_numbers(operated: Stack, command: Any) -> None:
    collecting = command("collect", "month", "--date", "2025-06", "--wait", "--json")
    assert collecting.wait() == 0, collecting.err
    result = json.loads(collecting.out)
    assert (result["status"], result["period"]) == ("COMPLETED", "202506")
    assert result["progress"]["completed"] == result["progress"]["total"] == 15
    assert result == operated.told_today(result) | {"failures": []}


@pytest.mark.parametrize(("number", "month"), [(signal.SIGINT, "2024-06"), (signal.SIGTERM, "2024-07")])
def test_a_stopped_command_leaves_its_run_to_the_worker(
    operated: Stack, command: Any, number: signal.Signals, month: str
) -> None:
    operated.simulator.set_knobs(**SLOW)
    collecting = command("collect", "month", "--date", month, "--wait", "--force")
    run_id = collecting.wait_until_some_are_done()
    collecting.process.send_signal(number)
    assert collecting.wait() == 1
    first, *_rest = collecting.out.splitlines()
    assert first == f"Stopped by {number.name}. Sync task {run_id} continues in the worker."
    assert "Traceback" not in collecting.err
    assert task(operated, run_id)["status"] == "RUNNING"
    operated.simulator.reset_knobs()
    ended = wait_for_status(operated, run_id, "COMPLETED")
    assert ended["progress"]["completed"] == ended["progress"]["total"] == 15


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_stopped_command_takes_its_run_along_when_told_to(
    operated: Stack, command: Any, number: signal.Signals
) -> None:
    operated.simulator.set_knobs(**SLOW)
    given = ("--from", "2023-01", "--to", "2023-12", "--force", "--wait", "--cancel-on-exit", "--json")
    filling = command("backfill", *given)
    run_id = filling.wait_until_some_are_done()
    filling.process.send_signal(number)
    assert filling.wait() == 1
    result = json.loads(filling.out)
    assert (result["id"], result["status"], result["stopped_by"]) == (run_id, "CANCELLED", number.name)
    assert "Traceback" not in filling.err
    ended = task(operated, run_id)
    assert ended["progress"]["cancelled"] > 0
    # What was under way may end; nothing else is sent any more. The API counts what a majority has, which
    # may be a moment behind what this test would find in the database.
    progress = wait_until(
        lambda: None if (told := task(operated, run_id)["progress"])["active"] else told,
        timeout_seconds=30,
        what="nothing of it is left in the queue",
    )
    counted = {
        name: operated.database.mengla_collections.count_documents({"run_ids": run_id, "status": status})
        for name, status in {"completed": "SUCCEEDED", "failed": "FAILED", "cancelled": "CANCELLED"}.items()
    }
    assert {name: progress[name] for name in counted} == counted
    assert (progress["active"], progress["percent"], sum(counted.values())) == (0, 100, progress["total"])
    asked = operated.simulator.stats()["execute_requests"]
    assert asked < ended["progress"]["total"]


def test_a_command_follows_its_run_through_the_death_of_the_worker(operated: Stack, command: Any) -> None:
    operated.simulator.set_knobs(**SLOW)
    collecting = command("collect", "quarter", "--date", "2024-Q3", "--wait", "--json")
    collecting.wait_until_some_are_done()
    operated.kill(operated.clusters[0])
    operated.simulator.reset_knobs()
    operated.start_cluster().wait_until_ready()
    wait_until(
        lambda: operated.tick() or not collecting.process.is_alive(),
        timeout_seconds=END_SECONDS,
        what="the command ends",
    )
    assert collecting.wait() == 0, collecting.err
    assert json.loads(collecting.out)["progress"]["completed"] == 15


def test_failures_are_told_and_a_retry_mends_them(operated: Stack, command: Any) -> None:
    operated.simulator.set_knobs(delay_seconds=0.02, failure_rate=0.6)
    collecting = command("collect", "year", "--date", "2022", "--wait", "--json")
    assert collecting.wait() == 3, collecting.err
    result = json.loads(collecting.out)
    failed = result["progress"]["failed"]
    assert len(result["failures"]) == failed > 0
    assert {one["error"] for one in result["failures"]} == {"execution_failed"}
    assert all(one["message"] for one in result["failures"])
    operated.simulator.reset_knobs()
    retrying = command("sync_tasks", "retry", result["id"], "--wait", "--json")
    assert retrying.wait() == 0, retrying.err
    assert json.loads(retrying.out)["progress"]["completed"] == failed
