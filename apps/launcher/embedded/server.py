"""What both embedded servers share: the handle, the choice of a port, and the servers of an earlier run."""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import psutil  # type: ignore[import-untyped]

from apps.launcher.embedded.binaries import EmbeddedError
from apps.launcher.ports import free_port
from apps.launcher.processes import ManagedProcess, ProcessFailedError, Stoppable

STATE_FILE = "embedded.json"
PORT_ATTEMPTS = 3
START_TIMEOUT_SECONDS = 60.0
STOP_TIMEOUT_SECONDS = 20.0
POLL_SECONDS = 0.05


@dataclass(frozen=True, kw_only=True)
class ServerKind:
    """How one kind of server is started, and how to check that it is ready."""

    name: str
    commands: tuple[str, ...]
    find_program: Callable[[], Path]
    arguments: Callable[[int], Sequence[str]]
    make_ready: Callable[[int], bool]
    uri: Callable[[int], str]
    explain_failure: Callable[[ProcessFailedError, Path], str]


@dataclass(frozen=True, kw_only=True)
class EmbeddedServer:
    """A running embedded server; ``reused`` says that an earlier run started it.

    ``note`` is one sentence for people when it reuses a server or another port, else None.
    """

    name: str
    uri: str
    port: int
    pid: int
    data_dir: Path
    log_path: Path
    reused: bool
    note: str | None
    process: Stoppable

    def is_alive(self) -> bool:
        """Tell whether the server is running."""
        return self.process.is_alive()

    def stop(self) -> None:
        """Stop the server cleanly and keep its data."""
        self.process.stop()
        (self.data_dir / STATE_FILE).unlink(missing_ok=True)


class LeftoverProcess:
    """A server that an earlier run left running; it is not a child of this process."""

    def __init__(self, name: str, process: psutil.Process) -> None:
        self.name = name
        self.pid: int = process.pid
        self._process = process

    def is_alive(self) -> bool:
        """Tell whether the process is running."""
        try:
            return bool(self._process.is_running() and self._process.status() != psutil.STATUS_ZOMBIE)
        except psutil.NoSuchProcess:
            return False

    def stop(self) -> None:
        """Send SIGTERM, wait, then kill the process."""
        with contextlib.suppress(psutil.NoSuchProcess):
            self._process.terminate()
            try:
                self._process.wait(STOP_TIMEOUT_SECONDS)
            except psutil.TimeoutExpired:
                self._process.kill()
                self._process.wait(STOP_TIMEOUT_SECONDS)


def start_server(
    kind: ServerKind, *, data_dir: Path, log_path: Path | None = None, port: int | None = None
) -> EmbeddedServer:
    """Start the server on this data directory, or reuse the server that an earlier run left running on it.

    ``port`` is preferred; when it is in use or None, a free one is used.

    :raises EmbeddedError: with the reason and what to do.
    """
    data_dir = data_dir.resolve()
    data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    log_path = (log_path or data_dir.with_name(f"{data_dir.name}.log")).resolve()

    def handle(process: ManagedProcess | LeftoverProcess, used_port: int, note: str | None) -> EmbeddedServer:
        return EmbeddedServer(
            name=kind.name,
            uri=kind.uri(used_port),
            port=used_port,
            pid=process.pid,
            data_dir=data_dir,
            log_path=log_path,
            reused=isinstance(process, LeftoverProcess),
            note=note,
            process=process,
        )

    leftover = _find_leftover(kind, data_dir)
    if leftover is not None:
        if _becomes_ready(kind, *leftover):
            note = f"{kind.name} of an earlier run is still running on port {leftover[1]} and is reused."
            return handle(*leftover, note)
        leftover[0].stop()
    started, chosen = _start_new(kind, data_dir, log_path, port)
    moved = f"Port {port} is taken, so {kind.name} listens on {chosen} instead."
    return handle(started, chosen, moved if port and chosen != port else None)


def _start_new(
    kind: ServerKind, data_dir: Path, log_path: Path, port: int | None
) -> tuple[ManagedProcess, int]:
    program = kind.find_program()
    for attempt in range(1, PORT_ATTEMPTS + 1):
        chosen = free_port(port if attempt == 1 else None)
        # The data directory is the working directory. So no argument holds a path that the server could
        # misread (spaces, quotes, non-ASCII letters), and a later run identifies the process by it.
        process = ManagedProcess(
            [program, *kind.arguments(chosen)], name=kind.name, log_path=log_path, cwd=data_dir
        )
        try:
            process.start()
            _write_state(data_dir, pid=process.pid, port=chosen)
            process.wait_until_ready(partial(kind.make_ready, chosen), timeout_seconds=START_TIMEOUT_SECONDS)
        except ProcessFailedError as error:
            process.stop()
            if attempt == PORT_ATTEMPTS or "ddress already in use" not in process.log_text():
                raise EmbeddedError(kind.explain_failure(error, data_dir)) from error
        except BaseException:
            process.stop()
            raise
        else:
            return process, chosen
    raise AssertionError("the last attempt returns or raises")


def _becomes_ready(kind: ServerKind, process: LeftoverProcess, port: int) -> bool:
    """Wait for the leftover server; return False when it ends (it may be shutting down) or is late."""
    deadline = time.monotonic() + STOP_TIMEOUT_SECONDS
    while process.is_alive() and time.monotonic() < deadline:
        if kind.make_ready(port):
            return True
        time.sleep(POLL_SECONDS)
    return False


def _find_leftover(kind: ServerKind, data_dir: Path) -> tuple[LeftoverProcess, int] | None:
    """Return the process and port of the state file if that process is our server on this directory."""
    try:
        state = json.loads((data_dir / STATE_FILE).read_text())
        pid, port = int(state["pid"]), int(state["port"])
        process = psutil.Process(pid)
        ours = process.name().startswith(kind.commands) and Path(process.cwd()).samefile(data_dir)
    except (OSError, ValueError, TypeError, KeyError, psutil.Error):
        return None
    return (LeftoverProcess(kind.name, process), port) if ours else None


def _write_state(data_dir: Path, *, pid: int, port: int) -> None:
    draft = data_dir / f"{STATE_FILE}.new"
    draft.write_text(json.dumps({"pid": pid, "port": port}))
    draft.replace(data_dir / STATE_FILE)
