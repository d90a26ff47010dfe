"""``--wait``: followed to its end, shown on stderr, told on stdout, and how it ended is the exit code."""

from __future__ import annotations

import io
import os
import signal
import threading
from typing import Any

import pytest

from apps.core.liveness.processes import note_heartbeat
from apps.core.management.stopping import StopSignals
from apps.mengla.management import run_commands
from apps.mengla.runs import collect
from apps.sync_tasks import services as runs
from tests.integration.waiting import wait_until
from tests.mengla.commands.support import Ended, Terminal, run, stored_runs, the_run, working
from tests.mengla.runs.support import run_document

pytestmark = [pytest.mark.django_db, pytest.mark.mongo, pytest.mark.redis]
HOT = ("month", "--date", "2025-06", "--category", "1000", "1001", "2000", "--action", "hot")
RANGE = ("--from", "2025-05", "--to", "2025-06", "--category", "1000", "--action", "hot")


def wait_for(*arguments: str, failing: int = 0, stderr: io.StringIO | None = None) -> Ended:
    with working(failing=failing):
        return run(*arguments, "--wait", stderr=stderr)


# --- How it ended ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("failing", "code", "status", "error_message"),
    [
        (0, 0, "COMPLETED", None),
        (1, 3, "COMPLETED", "1 of 3 collections failed."),
        (3, 1, "FAILED", "3 of 3 collections failed."),
    ],
)
def test_the_exit_code_says_how_the_run_ended(
    failing: int, code: int, status: str, error_message: str | None
) -> None:
    ended = wait_for("collect", *HOT, "--json", failing=failing)
    assert ended.code == code
    result = ended.result
    assert (result["status"], result["error_message"]) == (status, error_message)
    assert (result["progress"]["total"], result["progress"]["failed"]) == (3, failing)
    assert result["progress"]["completed"] == 3 - failing
    assert [(one["action"], one["error"], one["message"]) for one in result["failures"]] == [
        ("hot", "execution_failed", "made to fail")
    ] * failing


@pytest.mark.parametrize("name", ["backfill", "fill"])
def test_ranges_are_waited_for_too(name: str) -> None:
    ended = wait_for(name, *RANGE, "--json")
    assert (ended.code, ended.result["progress"]["completed"]) == (0, 2)


def test_the_backfill_check_is_waited_for_too(settings: Any) -> None:
    settings.BACKFILL_DAYS = settings.BACKFILL_QUARTERS = settings.BACKFILL_YEARS = 0
    settings.BACKFILL_MONTHS = 1
    ended = wait_for("backfill_check", "--json")
    assert (ended.code, ended.result["progress"]["completed"]) == (0, 10)


def test_a_run_with_nothing_to_do_is_done_at_once() -> None:
    assert wait_for("collect", *HOT).code == 0
    ended = wait_for("collect", *HOT, "--json")
    assert (ended.code, ended.result["status"], ended.result["skipped"]) == (0, "COMPLETED", {"fresh": 3})


def test_a_run_cancelled_by_another_user_is_a_failure() -> None:
    def cancel() -> None:
        wait_until(stored_runs, timeout_seconds=20, what="the run starts")
        runs.cancel_run(run_id=str(the_run()["_id"]), cancelled_by="somebody")

    other = threading.Thread(target=cancel)
    other.start()
    ended = run("collect", *HOT, "--wait", "--json")
    other.join()
    assert (ended.code, ended.result["status"]) == (1, "CANCELLED")
    assert ended.result["error_message"] == "Cancelled by somebody."


# --- What is shown --------------------------------------------------------------------------------


def test_stdout_holds_the_result_alone_and_stderr_the_progress() -> None:
    ended = wait_for("collect", *HOT, failing=1)
    run_id = str(the_run()["_id"])
    assert ended.code == 3
    first, *rest = ended.out.splitlines()
    assert first.startswith(
        f"Sync task {run_id}, Monthly collection 2025-06: Completed with failures; done 2, empty 0, "
        "failed 1 of 3, in "
    )
    assert first.endswith((" ms.", " s."))
    assert rest[0] == "1 of 3 collections failed."
    titles, failure = rest[-2:]
    assert titles.split() == ["data", "set", "category", "period", "attempts", "error", "reason"]
    assert failure.split(maxsplit=6)[1:] == [
        *("类目1000", "(1000)", "2025-06", "1", "execution_failed", "made to fail")
    ]
    shown = ended.err.splitlines()
    assert shown[0] == f"Sync task {run_id}"
    assert shown[-1] == "Collecting: 3/3  done 2, empty 0, failed 1"
    assert "Collecting" not in ended.out


def test_a_terminal_gets_a_bar_with_counts_and_rate() -> None:
    screen = Terminal()
    assert wait_for("collect", *HOT, stderr=screen).code == 0
    shown = screen.getvalue()
    assert "━" in shown
    assert "3/3" in shown
    assert "done 3, empty 0, failed 0" in shown


@pytest.mark.parametrize("option", ["--no-progress", "--no-progress --json"])
def test_without_progress_a_terminal_gets_lines(option: str) -> None:
    screen = Terminal()
    ended = wait_for("collect", *HOT, *option.split(), stderr=screen)
    assert ended.code == 0
    shown = screen.getvalue().splitlines()
    assert shown[-1] == "Collecting: 3/3  done 3, empty 0, failed 0"
    assert not any("━" in line or "\x1b" in line for line in shown)


def test_rate_and_remaining_time_are_told_while_it_runs(settings: Any) -> None:
    settings.COLLECT_SERVICE_URL = "http://service"
    note_heartbeat()

    def cancel() -> None:
        wait_until(
            lambda: "1/3" in screen.getvalue(), timeout_seconds=20, what="the first collection is shown"
        )
        runs.cancel_run(run_id=str(the_run()["_id"]), cancelled_by="tests")

    screen = Terminal()
    other = threading.Thread(target=cancel)
    other.start()
    with working(is_stopped_at=1):
        run("collect", *HOT, "--wait", stderr=screen)
    other.join()
    running = [line for line in screen.getvalue().splitlines() if "1/3" in line and "/min" in line]
    assert running
    assert all("left" in line for line in running)


def test_when_nothing_happens_it_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run_commands, "_QUIET_SECONDS", 0.0)
    screen = Terminal()
    other = threading.Thread(
        target=lambda: (
            wait_until(lambda: "qcluster" in screen.getvalue(), timeout_seconds=20, what="the hint is shown"),
            runs.cancel_run(run_id=str(the_run()["_id"]), cancelled_by="tests"),
        )
    )
    other.start()
    run("collect", *HOT, "--wait", stderr=screen)
    other.join()
    assert screen.getvalue().count("No worker is running: start one with `manage.py qcluster`.") == 1


# --- Stopped --------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM"])
def test_a_signal_leaves_the_run_to_the_worker(name: str) -> None:
    with _signal_when_followed(name) as screen:
        ended = run("collect", *HOT, "--wait", stderr=screen)
    run_id = str(the_run()["_id"])
    assert ended.code == 1
    assert ended.out.splitlines()[0] == f"Stopped by {name}. Sync task {run_id} continues in the worker."
    assert the_run()["status"] == "RUNNING"
    # It really goes on.
    with working():
        assert run("sync_tasks", "show", run_id, "--wait").code == 0
    assert run_document(run_id)["status"] == "COMPLETED"


@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM"])
def test_cancel_on_exit_takes_the_run_along(name: str) -> None:
    with _signal_when_followed(name) as screen:
        ended = run("collect", *HOT, "--wait", "--cancel-on-exit", "--json", stderr=screen)
    assert ended.code == 1
    assert (ended.result["status"], ended.result["stopped_by"]) == ("CANCELLED", name)
    assert the_run()["status"] == "CANCELLED"


@pytest.mark.parametrize(("option", "status"), [("--json", "RUNNING"), ("--cancel-on-exit", "CANCELLED")])
def test_a_signal_while_it_starts_leaves_no_run_unspoken(
    option: str, status: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The signal comes between the insert of the run and the end of the start."""

    def request_planning(_run_id: str) -> None:
        os.kill(os.getpid(), signal.SIGTERM)

    monkeypatch.setattr(collect, "request_planning", request_planning)
    ended = run("collect", *HOT, "--wait", option)
    assert ended.code == 1
    assert str(the_run()["_id"]) in ended.out
    assert the_run()["status"] == status


def test_a_signal_before_anything_is_started_starts_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    def check(*_: object) -> None:
        os.kill(os.getpid(), signal.SIGTERM)

    monkeypatch.setattr(run_commands.FollowingCommand, "check_waiting", check)
    ended = run("collect", *HOT)
    assert (ended.code, ended.out, ended.err) == (1, "", "Stopped by SIGTERM.\n")
    assert stored_runs() == []


class _signal_when_followed:
    """Sends the signal to this process as soon as the command follows its run."""

    def __init__(self, name: str) -> None:
        self._signal = signal.Signals[name]
        self.screen = Terminal()

    def __enter__(self) -> io.StringIO:
        self._handler = threading.Thread(target=self._send)
        self._handler.start()
        return self.screen

    def __exit__(self, *_: object) -> None:
        self._handler.join()

    def _send(self) -> None:
        try:
            wait_until(lambda: "0/" in self.screen.getvalue(), timeout_seconds=20, what="the run is followed")
            assert isinstance(signal.getsignal(self._signal).__self__, StopSignals)  # type: ignore[union-attr]
        finally:  # else it would be followed for ever
            os.kill(os.getpid(), self._signal)
