"""One quickstart at a time in a clone, and nothing left over from one that was killed."""

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
    """What a killed quickstart has left of one of its parts."""

    name: str
    group_id: int
    members: list[psutil.Process]


class Session:
    """Holds the lock of this clone and remembers the processes started under it."""

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
                f"A quickstart of this clone is running already (process {holder or 'unknown'}). "
                "Use that one, or stop it with Ctrl-C first."
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
        """End what a killed quickstart left running and return the names."""
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
        """Keep what is needed to find this process again after a kill -9 of quickstart."""
        with contextlib.suppress(psutil.NoSuchProcess):
            created_at = psutil.Process(process.pid).create_time()
            others = [one for one in self._started if one["name"] != process.name]
            started = {"name": process.name, "pid": process.pid, "created_at": created_at}
            self._started = [*others, started]
            draft = self._state_path.with_suffix(".new")
            draft.write_text(json.dumps(self._started))
            draft.replace(self._state_path)

    def write_env_script(self, variables: Mapping[str, str]) -> None:
        """Write what a shell sources so that manage.py works on this running product."""
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
    """Return what has to be ended of the process group a part was started in: the part, or its orphans.

    A process id is used again, its moment of creation is not; where nobody has the id, the group is still the
    old one if its members work in this clone.
    """
    with contextlib.suppress(psutil.NoSuchProcess):
        leader = psutil.Process(group_id)
        return [leader] if abs(leader.create_time() - created_at) < CLOCK_TOLERANCE_SECONDS else []
    members = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error, ProcessLookupError):
            if os.getpgid(process.pid) == group_id and Path(process.cwd()) == clone:
                members.append(process)
    return members
