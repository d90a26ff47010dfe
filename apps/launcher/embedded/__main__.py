"""``python -m apps.launcher.embedded exec -- COMMAND``: run a command with an embedded MongoDB and Redis.

A server is started in a temporary directory unless its variable, MONGO_URI or REDIS_URI, is set. The command
gets both variables in its environment. Its exit status becomes the exit status of this program.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from types import FrameType

from apps.launcher.embedded import EmbeddedError, start_mongo, start_redis
from apps.launcher.processes import ProcessGroup, bound_to_parent

USAGE = "usage: python -m apps.launcher.embedded exec [--] COMMAND [ARGUMENT...]"
BAD_ARGUMENTS = 2
NOT_FOUND = 127
SIGNAL_BASE = 128


class _Interrupted(Exception):
    """A signal arrived before the command was started."""

    def __init__(self, number: int) -> None:
        self.number = number


def main(arguments: Sequence[str]) -> int:
    """Run the command line and return the exit status."""
    command = list(arguments[1:])
    if command[:1] == ["--"]:
        command = command[1:]
    if list(arguments[:1]) != ["exec"] or not command:
        sys.stderr.write(f"{USAGE}\n")
        return BAD_ARGUMENTS
    program = shutil.which(command[0])
    if program is None:
        sys.stderr.write(f"Program not found: {command[0]!r}\n")
        return NOT_FOUND
    runner = _Runner([program, *command[1:]])
    try:
        return runner.run()
    except _Interrupted as request:
        return SIGNAL_BASE + request.number
    except EmbeddedError as error:
        sys.stderr.write(f"{error}\n")
        return 1


class _Runner:
    """Starts the servers that the command needs, runs the command, and stops them."""

    def __init__(self, command: list[str]) -> None:
        self._command = command
        self._child: subprocess.Popen[bytes] | None = None
        self._stopping = False

    def run(self) -> int:
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, self._forward)
        with tempfile.TemporaryDirectory(prefix="mengla-", ignore_cleanup_errors=True) as directory:
            servers = ProcessGroup()
            try:
                environment = self._start_servers(Path(directory), servers)
                self._child = subprocess.Popen(bound_to_parent(self._command), env=environment)
                status = self._child.wait()
            finally:
                self._stopping = True
                servers.stop_all()
        return status if status >= 0 else SIGNAL_BASE - status

    def _start_servers(self, directory: Path, servers: ProcessGroup) -> dict[str, str]:
        environment = dict(os.environ)
        if not environment.get("MONGO_URI"):
            environment["MONGO_URI"] = servers.add(start_mongo(directory / "mongo")).uri
        if not environment.get("REDIS_URI"):
            environment["REDIS_URI"] = servers.add(start_redis(directory / "redis")).uri
        return environment

    def _forward(self, number: int, _frame: FrameType | None) -> None:
        if self._stopping:
            return
        if self._child is None:
            raise _Interrupted(number)
        if number == signal.SIGINT and _is_foreground():
            return  # the terminal sends Ctrl-C to the command as well
        self._child.send_signal(number)


def _is_foreground() -> bool:
    """Tell whether a Ctrl-C on the terminal reaches the whole process group of this program."""
    try:
        terminal = os.open("/dev/tty", os.O_RDONLY | os.O_NOCTTY)
    except OSError:
        return False
    try:
        return os.tcgetpgrp(terminal) == os.getpgrp()
    except OSError:
        return False
    finally:
        os.close(terminal)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
