"""Allows one quickstart at a time in a clone, and ends the processes of one that was killed."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import shlex
import signal
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import psutil  # type: ignore[import-untyped]

from apps.launcher.processes import ManagedProcess
from apps.launcher.quickstart import QuickstartError

END_TIMEOUT_SECONDS = 8.0
CLOCK_TOLERANCE_SECONDS = 2.0


@dataclass(frozen=True, slots=True)
class Leftover:
    """The processes of one part that a killed quickstart left running."""

    name: str
    group_id: int
    members: list[psutil.Process]


class Session:
    """Holds the lock of this clone and records the processes that are started under it."""

    def __init__(self, directory: Path) -> None:
        self._clone = directory.resolve().parent
        self._lock_path = directory / "quickstart.lock"
        self._state_path = directory / "quickstart.json"
        self.env_script = directory / "env.sh"
        self._started: list[dict[str, Any]] = []
        self._lock_file: int | None = None

    def __enter__(self) -> Self:
        self._lock_path.parent.mkdir(parents=True, exist_ok=True)
        self._lock_file = os.open(self._lock_path, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(self._lock_file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.pread(self._lock_file, 20, 0).decode("ascii", "replace").strip()
            os.close(self._lock_file)
            raise QuickstartError(
                f"Quickstart is already running in this clone (process {holder or 'unknown'}). "
                "Use it, or stop it with Ctrl-C first."
            ) from None
        os.ftruncate(self._lock_file, 0)
        os.pwrite(self._lock_file, str(os.getpid()).encode(), 0)
        return self

    def __exit__(self, *_: object) -> None:
        self._state_path.unlink(missing_ok=True)
        self.env_script.unlink(missing_ok=True)
        if self._lock_file is not None:
            os.close(self._lock_file)

    def end_leftovers(self) -> list[str]:
        """End the processes that a killed quickstart left running; return the names of their parts."""
        ended = []
        for leftover in self._leftovers():
            ended.append(leftover.name)
            for process in leftover.members:
                with contextlib.suppress(psutil.NoSuchProcess):
                    process.terminate()
            psutil.wait_procs(leftover.members, timeout=END_TIMEOUT_SECONDS)
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(leftover.group_id, signal.SIGKILL)
        return ended

    def remember(self, process: ManagedProcess) -> None:
        """Record this process, so that the next quickstart finds it after a kill -9 of this one."""
        with contextlib.suppress(psutil.NoSuchProcess):
            created_at = psutil.Process(process.pid).create_time()
            others = [one for one in self._started if one["name"] != process.name]
            started = {"name": process.name, "pid": process.pid, "created_at": created_at}
            self._started = [*others, started]
            draft = self._state_path.with_suffix(".new")
            draft.write_text(json.dumps(self._started))
            draft.replace(self._state_path)

    def write_env_script(self, variables: Mapping[str, str]) -> None:
        """Write a script that a shell sources so that manage.py works on the running product."""
        lines = [f"export {name}={shlex.quote(value)}\n" for name, value in variables.items()]
        self.env_script.touch(mode=0o600)
        self.env_script.write_text("".join(lines))

    def _leftovers(self) -> list[Leftover]:
        found = []
        try:
            for entry in json.loads(self._state_path.read_text()):
                name, pid, created_at = str(entry["name"]), int(entry["pid"]), float(entry["created_at"])
                if members := _members(pid, created_at, clone=self._clone):
                    found.append(Leftover(name, pid, members))
        except (OSError, ValueError, TypeError, KeyError):
            return found
        return found


def _members(group_id: int, created_at: float, *, clone: Path) -> list[psutil.Process]:
    """Return the processes to end in the group in which a part was started: the part itself, or its orphans.

    A process id can be reused, so the time of creation must match, too. When no process with the id runs, the
    group still belongs to the part if its members have this clone as their working directory.
    """
    with contextlib.suppress(psutil.NoSuchProcess):
        leader = psutil.Process(group_id)
        if leader.status() != psutil.STATUS_ZOMBIE:
            return [leader] if abs(leader.create_time() - created_at) < CLOCK_TOLERANCE_SECONDS else []
    members = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error, ProcessLookupError):
            if os.getpgid(process.pid) == group_id and Path(process.cwd()) == clone:
                members.append(process)
    return members
