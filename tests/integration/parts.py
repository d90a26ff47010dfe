"""The parts of a stack that need more than a start and a stop: the web server, clusters, a calling child."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import threading
from collections.abc import Container, Iterator, Mapping
from pathlib import Path
from typing import Any

import httpx
import psutil

from apps.launcher.processes import ManagedProcess, bound_to_parent
from tests.described import JSON, assert_described
from tests.http import NO_CERTIFICATES
from tests.integration.waiting import wait_until
from tests.programs import ROOT

REQUEST_TIMEOUT_SECONDS = 40.0
CALL_TIMEOUT_SECONDS = 120.0
MAX_CONNECTIONS = 400
HAS_CHILDREN = Path("/proc/1/task/1/children")  # on most Linux systems


def new_client(base_url: str, token: str | None = None) -> httpx.Client:
    """A client with one connection, which it keeps."""
    return httpx.Client(
        base_url=base_url,
        headers={"Authorization": f"Bearer {token}"} if token else {},
        timeout=REQUEST_TIMEOUT_SECONDS,
        limits=httpx.Limits(max_connections=1, max_keepalive_connections=1),
        trust_env=False,
        verify=NO_CERTIFICATES,
        event_hooks={"response": [_assert_described]},
    )


def _assert_described(response: httpx.Response) -> None:
    """Compare a response of a server with the OpenAPI document; a file is left to whoever reads it."""
    if response.headers.get("Content-Type") in (None, JSON):
        response.read()
        request = response.request
        has_body = request.headers.get("Content-Length", "0") != "0"
        assert_described(request.method, request.url.path, response, has_body=has_body)


class WebServer:
    """``manage.py serve`` with several worker processes, each of which can be spoken to alone."""

    def __init__(self, process: ManagedProcess, url: str, worker_count: int) -> None:
        self.process = process
        self.url = url
        self.worker_count = worker_count

    def wait_until_ready(self) -> None:
        self.process.wait_until_ready(f"{self.url}/health", timeout_seconds=60)

    @contextlib.contextmanager
    def clients(self, token: str | None, *, per_worker: int = 1) -> Iterator[dict[int, list[httpx.Client]]]:
        """Give clients by the pid of the worker process that has accepted their connection.

        The kernel spreads connections over the workers, so they are opened until every worker has enough.
        """
        by_port: dict[int, httpx.Client] = {}
        with contextlib.ExitStack() as opened:
            while len(by_port) < MAX_CONNECTIONS:
                for _ in range(self.worker_count * per_worker):
                    client = opened.enter_context(new_client(self.url, token))
                    stream = client.get("/health").extensions["network_stream"]
                    by_port[stream.get_extra_info("client_addr")[1]] = client
                found = {pid: [by_port[port] for port in ports] for pid, ports in self._ports(by_port)}
                if len(found) == self.worker_count and min(map(len, found.values())) >= per_worker:
                    break
            else:
                raise AssertionError(f"the connections did not reach {self.worker_count} workers: {found}")
            yield {pid: some[:per_worker] for pid, some in found.items()}

    def worker_pids(self) -> set[int]:
        with self.clients(None) as by_worker:
            return set(by_worker)

    def _ports(self, client_ports: Container[int]) -> Iterator[tuple[int, list[int]]]:
        """Give the pid of each worker with those of these ports that are connected to it."""
        for child in psutil.Process(self.process.pid).children(recursive=True):
            with contextlib.suppress(psutil.Error):
                remote = [one.raddr.port for one in child.net_connections("tcp") if one.raddr]
                if ports := [port for port in remote if port in client_ports]:
                    yield child.pid, ports


def descendants_of(pid: int) -> list[psutil.Process]:
    """Return the processes that a process has started, and so on.

    psutil looks at every process of the machine, for milliseconds; tests ask again and again.
    """
    if not HAS_CHILDREN.exists():
        with contextlib.suppress(psutil.NoSuchProcess):
            return list(psutil.Process(pid).children(recursive=True))
        return []
    pids, found = [pid], []
    for one in pids:
        with contextlib.suppress(OSError, psutil.NoSuchProcess):  # it has ended meanwhile
            if one != pid:
                found.append(psutil.Process(one))
            for path in Path(f"/proc/{one}/task").glob("*/children"):
                pids += [int(child) for child in path.read_text().split()]
    return found


class Cluster:
    """``manage.py qcluster``."""

    def __init__(self, process: ManagedProcess, worker_count: int) -> None:
        self.process = process
        self._child_count = worker_count + 3  # the sentinel, the monitor and the pusher

    def wait_until_ready(self) -> None:
        self.process.wait_until_ready(self.works, timeout_seconds=60)

    def works(self) -> bool:
        """Whether all its processes are there."""
        return self.process.is_alive() and len(self.children()) >= self._child_count

    def children(self) -> list[psutil.Process]:
        return descendants_of(self.process.pid)

    def sentinel(self) -> psutil.Process | None:
        """Return its only child, which starts all other processes; None while it is being replaced."""
        with contextlib.suppress(psutil.NoSuchProcess):
            return next(iter(psutil.Process(self.process.pid).children()), None)
        return None

    def workers_and_monitor(self) -> tuple[list[psutil.Process], psutil.Process]:
        """Return the processes that run tasks, and the one that receives the results."""
        sentinel = self.sentinel()
        assert sentinel is not None
        *workers, monitor, _pusher = sorted(sentinel.children(), key=lambda child: child.create_time())
        return workers, monitor

    def talks_to(self, port: int) -> bool:
        """Whether one of its processes has a connection to this port."""
        for child in self.children():
            with contextlib.suppress(psutil.Error):
                if any(one.raddr and one.raddr.port == port for one in child.net_connections("tcp")):
                    return True
        return False


class Caller:
    """A child process that calls functions of the product; the clock of its host may be off."""

    name = "caller"

    def __init__(self, environment: Mapping[str, str], log_path: Path, *, ahead_seconds: float = 0.0) -> None:
        module = ["tests.integration.child"]
        if ahead_seconds:
            module = ["tests.clocks", str(ahead_seconds), *module]
        with log_path.open("ab") as log:
            self._process = subprocess.Popen(
                bound_to_parent([sys.executable, "-m", *module]),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                env=dict(environment),
                cwd=ROOT,
                text=True,
                start_new_session=True,
            )
        try:
            assert self._read() == "ready"
        except BaseException:
            self.stop()
            raise

    @property
    def pid(self) -> int:
        return self._process.pid

    def is_alive(self) -> bool:
        return self._process.poll() is None

    def call(self, function: str, **arguments: Any) -> Any:
        """Call a function by its dotted path and return what it returned."""
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps([function, arguments]) + "\n")
        self._process.stdin.flush()
        answer = json.loads(self._read())
        if "error" in answer:
            raise AssertionError(f"{function} failed in the child process:\n{answer['error']}")
        return answer["result"]

    def stop(self) -> None:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        with contextlib.suppress(OSError):
            self._process.stdin.close()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(5)
        self._process.kill()
        self._process.wait()
        self._process.stdout.close()

    def _read(self) -> str:
        assert self._process.stdout is not None
        guard = threading.Timer(CALL_TIMEOUT_SECONDS, self._process.kill)
        guard.start()
        try:
            line = self._process.stdout.readline()
        finally:
            guard.cancel()
        if not line:
            raise AssertionError(f"the child process {self.pid} has ended or did not answer in time")
        return line.strip()


def kill_process(pid: int) -> None:
    """kill -9 of one process, not of its children; returns when it is gone."""
    os.kill(pid, 9)
    wait_until(lambda: not _runs(pid), timeout_seconds=10, what=f"process {pid} is gone")


def _runs(pid: int) -> bool:
    try:
        status: str = psutil.Process(pid).status()
    except psutil.NoSuchProcess:
        return False
    return status != psutil.STATUS_ZOMBIE
