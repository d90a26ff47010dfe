"""The servers that are measured: the product, the bare function and the plain views, all started alike."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from django.conf import settings

from apps.launcher.management.commands.serve import server_command
from apps.launcher.ports import free_port
from apps.launcher.processes import ManagedProcess, ProcessGroup
from tests.benchmarks.kinds import BARE, PLAIN, PRODUCT, SMALL_L1
from tests.benchmarks.seed import HIT_COUNT
from tests.programs import ROOT

HOST = "127.0.0.1"
# L1 holds less than is requested in turn, so that every request needs L2 or L3.
SMALL_L1_ENTRIES = 16
assert SMALL_L1_ENTRIES * 8 < HIT_COUNT
_START_SECONDS = 90.0


@dataclass(frozen=True, kw_only=True)
class Server:
    """A running server."""

    kind: str
    workers: int
    url: str
    process: ManagedProcess

    def empty_log(self) -> None:
        """Empty its log, which would grow by gigabytes; the server appends to it."""
        os.truncate(self.process.log_path, 0)


class Servers:
    """Starts servers and stops them at the end; a context manager."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._processes = ProcessGroup()
        self.started: dict[tuple[str, int], Server] = {}

    def __enter__(self) -> Servers:
        return self

    def __exit__(self, *_: object) -> None:
        self._processes.stop_all()

    @property
    def answers_path(self) -> Path:
        """The file with the answers of the bare function."""
        return self._directory / "answers"

    def start(self, kind: str, workers: int) -> Server:
        """Start a server, unless it is running, and wait until it responds."""
        if (kind, workers) in self.started:
            return self.started[kind, workers]
        port = free_port()
        process = ManagedProcess(
            _command(kind, port, workers),
            name=f"{kind} ({workers})",
            log_path=self._directory / f"{kind.replace(' ', '-')}-{workers}.log",
            env=self._environment(kind, workers),
            cwd=ROOT,
        )
        url = f"http://{HOST}:{port}"
        self._processes.start(process)
        process.wait_until_ready(f"{url}/health", timeout_seconds=_START_SECONDS)
        server = Server(kind=kind, workers=workers, url=url, process=process)
        self.started[kind, workers] = server
        return server

    def _environment(self, kind: str, workers: int) -> Mapping[str, str]:
        own: dict[str, str] = {}
        if kind == SMALL_L1:
            own["L1_CACHE_MAX_SIZE"] = str(SMALL_L1_ENTRIES)
        elif kind == BARE:
            own["BENCH_ANSWERS"] = str(self.answers_path)
        elif kind == PLAIN:
            own["DJANGO_SETTINGS_MODULE"] = "tests.benchmarks.plain.settings"
        return os.environ | {
            "DJANGO_SETTINGS_MODULE": "config.settings",
            "WEB_WORKERS": str(workers),
            "WEB_THREADS": str(settings.WEB_THREADS),
            "LOG_LEVEL": "INFO",
            # No worker cluster runs, so nothing is ever sent to it.
            "COLLECT_SERVICE_URL": f"http://{HOST}:9",
            # One token asks for all misses; they are deleted every tenth of a second.
            "MAX_WAITING_PER_CALLER": "100000",
            **own,
        }


def _command(kind: str, port: int, workers: int) -> list[str]:
    if kind in (PRODUCT, SMALL_L1):
        return [sys.executable, "manage.py", "serve", "--host", HOST, "--port", str(port)]
    application = f"tests.benchmarks.{'bare' if kind == BARE else 'plain.wsgi'}:application"
    return server_command(
        host=HOST, port=port, workers=workers, threads=settings.WEB_THREADS, application=application
    )
