"""What a container engine is told about a process: by its address, and by the file that a worker touches."""

from __future__ import annotations

import itertools
import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest
import redis
from django.core.management.base import CommandError

from apps.launcher import heartbeat, probe, supervisor
from apps.launcher.heartbeat import Heartbeat
from apps.launcher.probe import OLDEST_SECONDS
from apps.launcher.supervisor import Supervisor
from tests.launcher.test_supervisor import FakeCluster, fake
from tests.programs import run_python

__all__ = ["fake"]


class Handler(BaseHTTPRequestHandler):
    """A web server that says nothing but a status."""

    status = 200

    def do_GET(self) -> None:
        self.send_response(self.status if self.path == "/health" else 404)
        self.end_headers()

    def log_message(self, *_arguments: object) -> None:
        pass


@pytest.fixture
def port() -> Iterator[int]:
    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}).start()
        yield server.server_port
        server.shutdown()


def test_it_needs_only_the_standard_library() -> None:
    """A probe every few seconds must not load Django."""
    imported = run_python(
        "-c", "import sys, apps.launcher.probe; print([name for name in sys.modules if 'django' in name])"
    )
    assert imported.stdout == "[]\n"


def test_the_program_has_an_exit_status(tmp_path: Path) -> None:
    result = run_python("-m", "apps.launcher.probe", "worker", str(tmp_path / "missing"))
    assert (result.returncode, result.stdout) == (1, "")
    assert result.stderr == "the heartbeat file cannot be read: FileNotFoundError\n"


def test_a_web_server_works_if_it_says_so(port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    assert probe.main(["web", "--port", str(port)]) == 0
    monkeypatch.setattr(Handler, "status", 503)
    assert probe.web_problem(port) == "/health responds with 503"


def test_a_web_server_that_is_gone_or_silent_does_not_work(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(probe, "REQUEST_SECONDS", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        assert probe.web_problem(port) == "/health does not respond: TimeoutError"
    assert probe.web_problem(port) == "/health does not respond: ConnectionRefusedError"


def test_a_worker_works_if_its_file_is_new(tmp_path: Path) -> None:
    path = tmp_path / "worker"
    path.touch()
    assert probe.main(["worker", str(path)]) == 0
    old = time.time() - OLDEST_SECONDS - 5
    os.utime(path, (old, old))
    assert probe.main(["worker", str(path)]) == 1
    problem = probe.worker_problem(path)
    assert problem is not None
    assert problem.startswith("the worker has not touched its heartbeat file for 3")


@pytest.mark.redis
def test_a_supervisor_touches_its_file_while_it_watches_and_while_it_waits(
    fake: type[FakeCluster],
    redis_client: redis.Redis,
    tmp_path: Path,
    settings: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    path = tmp_path / "worker"
    settings.WORKER_HEARTBEAT_FILE = str(path)
    seen = []

    def look(where: str) -> bool:
        """Note whether the file was touched since the last look."""
        if is_touched := path.exists():
            seen.append(where)
            path.unlink()
        return is_touched

    monkeypatch.setattr(heartbeat, "INTERVAL_SECONDS", 0)
    monkeypatch.setattr(supervisor, "_note", lambda *_, **__: look("watching"))
    monkeypatch.setattr(supervisor, "tolerate_redis_outage", lambda *_, **__: look("waiting") or True)
    alive = itertools.cycle([True, False])
    monkeypatch.setattr(fake, "is_alive", lambda _self: next(alive))
    monkeypatch.setattr(fake, "request_stop", lambda _self: None, raising=False)
    fake.works, fake.stop_after = True, 2
    Supervisor().run(is_once=False)
    assert {"watching", "waiting"} == set(seen)


@pytest.mark.skipif(sys.platform != "linux", reason="needs a directory in which nobody can write")
def test_a_file_that_cannot_be_written_is_told_at_the_start(settings: Any) -> None:
    handler = signal.getsignal(signal.SIGTERM)
    settings.WORKER_HEARTBEAT_FILE = "/proc/worker"
    with pytest.raises(CommandError, match=r"^WORKER_HEARTBEAT_FILE cannot be written: .+\.$"):
        Supervisor().run(is_once=False)
    assert signal.getsignal(signal.SIGTERM) is handler


def test_a_disk_that_is_full_later_does_not_end_the_worker(tmp_path: Path) -> None:
    path = tmp_path / "directory" / "worker"
    path.parent.mkdir()
    worker = Heartbeat(str(path))
    worker.require_file()
    path.unlink()
    path.parent.rmdir()
    worker.beat()
    assert not path.exists()
