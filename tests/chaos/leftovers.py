"""Ports and directories of this program: several may run at once, and a killed one is cleaned up after."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil

from apps.launcher.ports import listen_problem

# Below the ports that systems hand out by themselves, and beside those of the tests.
_FIRST_PORT, _PORTS, _RANGES = 24_000, 20, 300
_OWNER = "owner.json"


@contextlib.contextmanager
def claimed_ports(first: int | None) -> Iterator[Callable[[], int]]:
    """Claim ports for the block; gives a function that returns the next one.

    Two runs must not share any: a port is free while the process that listens there is dead.

    :param first: the first port to use; None chooses a range that no other run on this machine has.
    :raises RuntimeError: when the range, or every range, is claimed by another run.
    """
    ranges = [_FIRST_PORT + number * _PORTS for number in range(_RANGES)] if first is None else [first]
    for start in ranges:
        path = Path(tempfile.gettempdir(), f"mengla-chaos-{os.getuid()}-{start}.lock")
        with path.open("a") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                continue
            yield _counter(start)
            return
    raise RuntimeError(f"The ports from {ranges[0]} on are used by another run of bin/chaos.")


def _counter(first: int) -> Callable[[], int]:
    """Return a function that gives free ports of a range, again and again: each trial needs only some."""
    number = -1

    def next_port() -> int:
        nonlocal number
        for _ in range(_PORTS):
            number = (number + 1) % _PORTS
            if listen_problem(first + number) is None:
                return first + number
        raise RuntimeError(f"None of the {_PORTS} ports from {first} on is free.")

    return next_port


def claim_directory(directory: Path) -> None:
    """Make a directory for this process."""
    directory.mkdir(parents=True)
    process = psutil.Process()
    owner = {"pid": process.pid, "started": process.create_time()}
    (directory / _OWNER).write_text(json.dumps(owner))


def clean_up(parent: Path, note: Callable[[str], None]) -> None:
    """End what killed runs have left running in their directories, and delete these.

    Directories that a run has kept on purpose have no owner any more, and stay.
    """
    for path in sorted(parent.glob(f"*/{_OWNER}")):
        with contextlib.suppress(OSError, ValueError, KeyError):
            owner = json.loads(path.read_text())
            if _is_alive(owner["pid"], owner["started"]):
                continue
            count = _end_processes_of(path.parent)
            note(f"removed {path.parent} of a killed run; processes ended: {count}")
            shutil.rmtree(path.parent, ignore_errors=True)


def release_directory(directory: Path, *, is_kept: bool) -> None:
    """Delete the directory of this process, or leave it to the user."""
    if is_kept:
        (directory / _OWNER).unlink(missing_ok=True)
    else:
        shutil.rmtree(directory, ignore_errors=True)


def _is_alive(pid: int, started: float) -> bool:
    try:
        return abs(psutil.Process(pid).create_time() - started) < 1.0
    except psutil.NoSuchProcess:
        return False


def _end_processes_of(directory: Path) -> int:
    """Kill the processes that write a log in this directory or work in it; returns how many."""
    found = [process for process in psutil.process_iter() if _works_in(process, directory)]
    for process in found:
        with contextlib.suppress(psutil.Error):
            process.kill()
    psutil.wait_procs(found, timeout=10)
    return len(found)


def _works_in(process: psutil.Process, directory: Path) -> bool:
    if process.pid == os.getpid():
        return False
    try:
        places = [Path(f"/proc/{process.pid}/{name}").readlink() for name in ("cwd", "fd/1")]
    except OSError:
        return False
    return any(directory in (place, *place.parents) for place in places)
