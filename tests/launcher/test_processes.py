from __future__ import annotations

import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from apps.launcher.ports import free_port, listen_problem
from apps.launcher.processes import ManagedProcess, ProcessFailedError, ProcessGroup, describe_status

SLEEP = "import time; print('up', flush=True); time.sleep(600)"
STUBBORN = f"import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); {SLEEP}"
WITH_CHILD = f"import subprocess, sys; subprocess.Popen([sys.executable, '-c', {STUBBORN!r}]); {SLEEP}"


@pytest.fixture
def group() -> Iterator[ProcessGroup]:
    with ProcessGroup() as processes:
        yield processes


def python(script: str, tmp_path: Path, *, name: str = "part") -> ManagedProcess:
    return ManagedProcess([sys.executable, "-c", script], name=name, log_path=tmp_path / f"{name}.log")


def up(process: ManagedProcess, *, times: int = 1) -> ManagedProcess:
    return process.start().wait_until_ready(lambda: process.log_text().count("up") == times)


def test_stop_ends_children_that_do_not_listen(tmp_path: Path, group: ProcessGroup) -> None:
    process = group.add(python(WITH_CHILD, tmp_path))
    up(process, times=2)
    (child,) = psutil.Process(process.pid).children()
    process.stop()
    assert process.returncode == -signal.SIGTERM
    child.wait(10)
    process.stop()


def test_stop_kills_one_that_does_not_listen(tmp_path: Path, group: ProcessGroup) -> None:
    process = up(group.add(python(STUBBORN, tmp_path)))
    started = time.monotonic()
    process.stop(0.2)
    assert process.returncode == -signal.SIGKILL
    assert time.monotonic() - started < 5


def test_one_that_ends_early_is_told_with_its_log(tmp_path: Path) -> None:
    process = python("import sys; print('the reason'); sys.exit(3)", tmp_path)
    with pytest.raises(ProcessFailedError) as failure:
        process.start().wait_until_ready(lambda: False)
    assert failure.value.status == 3
    assert "part ended with exit status 3" in str(failure.value)
    assert "the reason" in str(failure.value)
    assert str(tmp_path / "part.log") in str(failure.value)


def test_one_that_is_not_ready_in_time_is_told(tmp_path: Path, group: ProcessGroup) -> None:
    process = group.start(python(SLEEP, tmp_path))
    with pytest.raises(ProcessFailedError, match=r"not ready within 0\.1 s"):
        process.wait_until_ready(lambda: False, timeout_seconds=0.1)


def test_a_program_that_does_not_exist_is_told(tmp_path: Path) -> None:
    with pytest.raises(ProcessFailedError, match="program not found: 'no-such-program'"):
        ManagedProcess(["no-such-program"], name="part", log_path=tmp_path / "part.log").start()


def test_the_log_shows_only_this_run(tmp_path: Path) -> None:
    process = python("print('once')", tmp_path)
    for _ in range(2):
        process.start()
        process.wait(10)
        assert process.log_text() == "once\n"
    assert (tmp_path / "part.log").read_text() == "once\n" * 2


def test_environment_and_directory_are_the_given_ones(tmp_path: Path) -> None:
    process = ManagedProcess(
        [sys.executable, "-c", "import os; print(os.environ['WORD'], os.getcwd())"],
        name="part",
        log_path=tmp_path / "part.log",
        env={"WORD": "hello", "PATH": os.environ["PATH"]},
        cwd=tmp_path,
    )
    assert process.start().wait(10) == 0
    assert process.log_text().split() == ["hello", str(tmp_path)]


def test_one_started_by_a_thread_outlives_the_thread(tmp_path: Path, group: ProcessGroup) -> None:
    process = group.add(python(SLEEP, tmp_path))
    thread = threading.Thread(target=up, args=(process,))
    thread.start()
    thread.join()
    with pytest.raises(ProcessFailedError):
        process.wait_until_ready(lambda: False, timeout_seconds=0.3)
    assert process.is_alive()


class Member:
    def __init__(self, name: str, stopped: list[str], *, fails: bool = False) -> None:
        self.name = name
        self._stopped = stopped
        self._fails = fails

    def is_alive(self) -> bool:
        return self.name not in self._stopped

    def stop(self) -> None:
        self._stopped.append(self.name)
        if self._fails:
            raise RuntimeError(self.name)


def test_group_stops_in_reverse_order_whatever_happens() -> None:
    stopped: list[str] = []
    group = ProcessGroup()
    for name in ("database", "worker", "web"):
        group.add(Member(name, stopped, fails=name == "worker"))
    assert group.first_dead() is None
    with pytest.raises(ExceptionGroup):
        group.stop_all()
    assert stopped == ["web", "worker", "database"]
    group.stop_all()
    assert len(stopped) == 3


def test_group_names_the_dead() -> None:
    stopped: list[str] = []
    group = ProcessGroup()
    group.add(Member("database", stopped))
    worker = group.add(Member("worker", stopped))
    worker.stop()
    assert group.first_dead() is worker


def test_free_port_gives_the_wish_or_another() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert listen_problem(port) == "address already in use"
        assert free_port(port) not in (port, 0)
    assert listen_problem(port) is None
    assert free_port(port) == port


def test_port_of_a_server_that_shares_it_counts_as_taken() -> None:
    with socket.create_server(("127.0.0.1", 0), reuse_port=True) as taken:
        assert free_port(taken.getsockname()[1]) != taken.getsockname()[1]


@pytest.mark.parametrize(
    ("status", "text"),
    [(1, "exit status 1"), (-9, "signal SIGKILL"), (-63, "signal 63"), (None, "exit status None")],
)
def test_exit_status_for_people(status: int | None, text: str) -> None:
    assert describe_status(status) == text
