"""Starts, watches and stops groups of child processes.

Quickstart, the embedded servers and the tests of whole systems use it. It does not import Django, so that
it works before there are settings.
"""

from __future__ import annotations

import contextlib
import ctypes
import multiprocessing
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Protocol, Self, TypeVar

from apps.launcher.ports import free_port, url_responds

__all__ = [
    "ManagedProcess",
    "ProcessFailedError",
    "ProcessGroup",
    "Stoppable",
    "bound_to_parent",
    "describe_status",
    "end_with_parent",
    "free_port",
]

POLL_SECONDS = 0.03
LEFTOVER_GRACE_SECONDS = 2.0

PR_SET_PDEATHSIG = 1

# Runs in the child before the program: asks Linux to send SIGTERM when the parent dies, even by kill -9.
# It is an extra exec because preexec_fn is not safe when the parent has threads.
_BIND_AND_EXEC = (
    "import ctypes, os, sys\n"
    f"ctypes.CDLL(None).prctl({PR_SET_PDEATHSIG}, {int(signal.SIGTERM)}, 0, 0, 0)\n"
    "if os.getppid() != int(sys.argv[1]): sys.exit(143)\n"
    "os.execv(sys.argv[2], sys.argv[2:])\n"
)


class ProcessFailedError(RuntimeError):
    """A child process did not start, was not ready in time or ended unexpectedly."""

    def __init__(self, name: str, reason: str, *, status: int | None, log_path: Path, log_tail: str) -> None:
        self.name = name
        self.reason = reason
        self.status = status
        self.log_path = log_path
        self.log_tail = log_tail
        lines = [f"{name} {reason}", f"Log: {log_path}"]
        if log_tail:
            lines += [f"    {line}" for line in log_tail.splitlines()]
        super().__init__("\n".join(lines))


class Stoppable(Protocol):
    """A member of a :class:`ProcessGroup`."""

    @property
    def name(self) -> str:
        """Its name for people."""

    def is_alive(self) -> bool:
        """Tell whether it is running."""

    def stop(self) -> None:
        """Stop it; a second call has no effect."""


Member = TypeVar("Member", bound=Stoppable)


class ManagedProcess:
    """One child process in its own process group, with its output in a log file.

    On Linux it gets SIGTERM when this process dies, even by kill -9. The kernel sends it when the thread
    that started the child ends, so it is requested only in the main thread.
    """

    def __init__(
        self,
        argv: Sequence[str | os.PathLike[str]],
        *,
        name: str,
        log_path: Path,
        env: Mapping[str, str] | None = None,
        cwd: Path | None = None,
        die_with_parent: bool = True,
    ) -> None:
        self.argv = [os.fspath(argument) for argument in argv]
        self.name = name
        self.log_path = log_path
        self.env = None if env is None else dict(env)
        self.cwd = cwd
        self.die_with_parent = die_with_parent
        self._popen: subprocess.Popen[bytes] | None = None
        self._log_start = 0

    @property
    def pid(self) -> int:
        """The process id; it is also the id of the process group."""
        return self._running().pid

    @property
    def returncode(self) -> int | None:
        """The exit status, negative for a signal, or None while the program is running."""
        return self._running().poll()

    def start(self) -> Self:
        """Start the program.

        :raises ProcessFailedError: when the program is not found.
        """
        if self._popen is not None and self.is_alive():
            raise RuntimeError(f"{self.name} is already running")
        program = shutil.which(self.argv[0], path=(self.env or os.environ).get("PATH"))
        if program is None:
            raise self.failure(f"cannot be started: program not found: {self.argv[0]!r}")
        argv = (
            bound_to_parent([program, *self.argv[1:]]) if self.die_with_parent else [program, *self.argv[1:]]
        )
        self.log_path.parent.mkdir(parents=True, exist_ok=True)
        with self.log_path.open("ab") as log:
            self._log_start = log.tell()
            self._popen = subprocess.Popen(
                argv,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env=self.env,
                cwd=self.cwd,
                start_new_session=True,
            )
        return self

    def is_alive(self) -> bool:
        """Tell whether the program is running."""
        return self._popen is not None and self._popen.poll() is None

    def wait(self, timeout_seconds: float | None = None) -> int:
        """Wait for the program to end and return its exit status."""
        return self._running().wait(timeout_seconds)

    def wait_until_ready(self, probe: Callable[[], bool] | str, *, timeout_seconds: float = 30.0) -> Self:
        """Wait until the probe succeeds: a function that returns true, or a URL with a status below 400.

        :raises ProcessFailedError: when the program ends first or is not ready in time.
        """
        check = partial(url_responds, probe) if isinstance(probe, str) else probe
        deadline = time.monotonic() + timeout_seconds
        while self.is_alive():
            if check():
                return self
            if time.monotonic() > deadline:
                raise self.failure(f"was not ready within {timeout_seconds:g} s")
            time.sleep(POLL_SECONDS)
        raise self.failure(f"ended with {describe_status(self.returncode)}")

    def stop(self, grace_seconds: float = 15.0) -> None:
        """Send SIGTERM to the program, wait, then kill what is left of its process group."""
        if self._popen is None:
            return
        if self.is_alive():
            self.send_signal(signal.SIGTERM)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.wait(grace_seconds)
        if not self.is_alive():
            self._wait_for_group()
        self.kill()

    def kill(self) -> None:
        """Kill the whole process group and reap the program."""
        if self._popen is None:
            return
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self._popen.pid, signal.SIGKILL)
        self._popen.wait()

    def send_signal(self, number: signal.Signals) -> None:
        """Send a signal to the program itself, not to its children."""
        self._running().send_signal(number)

    def log_text(self) -> str:
        """Return all output of the program since its last start."""
        with contextlib.suppress(FileNotFoundError), self.log_path.open("rb") as log:
            log.seek(self._log_start)
            return log.read().decode("utf-8", "replace")
        return ""

    def log_tail(self, lines: int = 20) -> str:
        """Return the last lines of output since the last start of the program."""
        return "\n".join(self.log_text().splitlines()[-lines:])

    def failure(self, reason: str) -> ProcessFailedError:
        """Return an error with this reason and the end of the log."""
        status = None if self._popen is None else self._popen.poll()
        return ProcessFailedError(
            self.name, reason, status=status, log_path=self.log_path, log_tail=self.log_tail()
        )

    def _running(self) -> subprocess.Popen[bytes]:
        if self._popen is None:
            raise RuntimeError(f"{self.name} has not been started")
        return self._popen

    def _wait_for_group(self) -> None:
        deadline = time.monotonic() + LEFTOVER_GRACE_SECONDS
        while time.monotonic() < deadline:
            try:
                os.killpg(self.pid, 0)
            except (ProcessLookupError, PermissionError):
                return
            time.sleep(POLL_SECONDS)


class ProcessGroup:
    """Processes and servers that run together; they are stopped in the reverse order of their start."""

    def __init__(self) -> None:
        self._members: list[Stoppable] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop_all()

    def add(self, member: Member) -> Member:
        """Add a running member; the group stops it at the end."""
        self._members.append(member)
        return member

    def start(self, process: ManagedProcess) -> ManagedProcess:
        """Start a process and add it."""
        return self.add(process).start()

    def end(self, member: Stoppable) -> None:
        """Stop one member and remove it."""
        member.stop()
        self._members.remove(member)

    def first_dead(self) -> Stoppable | None:
        """Return the first member that is not running, or None."""
        return next((member for member in self._members if not member.is_alive()), None)

    def stop_all(self) -> None:
        """Stop all members, the last one started first, and continue after a failure.

        :raises ExceptionGroup: with the failures, when all have been tried.
        """
        failures: list[Exception] = []
        while self._members:
            try:
                self._members.pop().stop()
            except Exception as error:  # noqa: BLE001 - every other member must still be stopped
                failures.append(error)
        if failures:
            raise ExceptionGroup("some processes could not be stopped", failures)


def bound_to_parent(argv: Sequence[str]) -> list[str]:
    """Return a command that runs argv and, on Linux, gets SIGTERM when the calling process dies."""
    if sys.platform != "linux" or threading.current_thread() is not threading.main_thread():
        return list(argv)
    return [sys.executable, "-I", "-S", "-c", _BIND_AND_EXEC, str(os.getpid()), *argv]


def end_with_parent() -> None:
    """Ask Linux to kill this multiprocessing child when its parent dies, even by kill -9.

    With SIGKILL, because a child that is stopped (SIGSTOP) would not end by any other signal.
    """
    parent = multiprocessing.parent_process()
    if sys.platform != "linux" or parent is None:
        return
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, int(signal.SIGKILL), 0, 0, 0)
    if os.getppid() != parent.pid:
        os.kill(os.getpid(), signal.SIGKILL)


def describe_status(status: int | None) -> str:
    """Return an exit status for people: ``exit status 1`` or ``signal SIGKILL``."""
    if status is not None and status < 0:
        try:
            return f"signal {signal.Signals(-status).name}"
        except ValueError:
            return f"signal {-status}"
    return f"exit status {status}"
