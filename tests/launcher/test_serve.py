from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import httpx
import psutil
import pytest

from apps.launcher.management.commands.serve import HEAD_TIMEOUT_SECONDS, Command
from apps.launcher.processes import ManagedProcess
from tests.http import NO_CERTIFICATES
from tests.integration.waiting import at_once
from tests.parallel import own_port
from tests.programs import ROOT, run_python

# Nothing connects to these: the little site of these tests has no data.
ENVIRONMENT = {
    **os.environ,
    "ENV_FILE": "",
    "DJANGO_SETTINGS_MODULE": "tests.launcher.serve_site",
    "MONGO_URI": "mongodb://127.0.0.1:1/?replicaSet=rs0",
    "REDIS_URI": "redis://127.0.0.1:1/0",
    "ALLOWED_HOSTS": "127.0.0.1",
}
Serve = Callable[..., tuple[ManagedProcess, str]]


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Serve]:
    servers: list[ManagedProcess] = []

    def start(*options: str, said: str = "", **variables: str) -> tuple[ManagedProcess, str]:
        port = own_port()
        server = ManagedProcess(
            [sys.executable, "manage.py", "serve", "--port", str(port), *options],
            name="serve",
            log_path=tmp_path / "serve.log",
            env=ENVIRONMENT | variables,
            cwd=ROOT,
        )
        servers.append(server)
        is_ready = (lambda: said in server.log_text()) if said else f"http://127.0.0.1:{port}/about"
        server.start().wait_until_ready(is_ready, timeout_seconds=60)
        return server, f"http://127.0.0.1:{port}"

    yield start
    for server in servers:
        server.stop(1)


def manage(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return run_python("manage.py", *arguments, env=ENVIRONMENT | environment)


def wait_for(condition: Callable[[], bool], *, seconds: float = 20) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "did not happen in time"
        time.sleep(0.02)


def answering_pids(url: str) -> set[int]:
    asked = [httpx.get(f"{url}/about", timeout=10, verify=NO_CERTIFICATES) for _ in range(30)]
    return {int(answer.text.split()[0]) for answer in asked}


def _wait_for_the_end(connection: socket.socket) -> None:
    """Wait until the server has closed the connection, without or with an error response."""
    while connection.recv(65536):
        pass


def _is_open_after(connection: socket.socket, *, seconds: float) -> bool:
    readable, _, _ = select.select([connection], [], [], seconds)
    return not readable or bool(connection.recv(65536))


@pytest.mark.slow
class TestServing:
    def test_every_line_of_a_json_log_is_json(self, serve: Serve, tmp_path: Path) -> None:
        server, _ = serve()
        server.stop(20)
        lines = (tmp_path / "serve.log").read_text().splitlines()
        events = [json.loads(line) for line in lines]
        assert events[0]["event"] == "serving"
        assert {"_granian"} < {event["logger"] for event in events}

    def test_requests_under_way_are_finished_on_sigterm(self, serve: Serve) -> None:
        server, url = serve("--workers", "2")
        answers: list[httpx.Response] = []
        request = threading.Thread(
            target=lambda: answers.append(httpx.get(f"{url}/slow/2000?token=s3cret", timeout=30))
        )
        request.start()
        wait_for(lambda: "slow request" in server.log_text())
        server.send_signal(signal.SIGTERM)
        assert server.wait(20) == 0
        request.join(10)
        assert [(answer.status_code, answer.text) for answer in answers] == [(200, "done")]
        assert "s3cret" not in server.log_text()
        with pytest.raises(httpx.ConnectError):
            httpx.get(f"{url}/about")

    @pytest.mark.long
    def test_a_connection_without_a_whole_request_head_is_closed(self, serve: Serve) -> None:
        _, url = serve()
        address = ("127.0.0.1", int(url.rpartition(":")[2]))
        head = b"GET /about HTTP/1.1\r\nHost: 127.0.0.1\r\n"
        with contextlib.ExitStack() as opened:
            idle, used, half, slow = (
                opened.enter_context(socket.create_connection(address, 5 * HEAD_TIMEOUT_SECONDS))
                for _ in range(4)
            )
            crowd = [opened.enter_context(socket.create_connection(address)) for _ in range(200)]
            used.sendall(head + b"\r\n")
            assert used.recv(65536).startswith(b"HTTP/1.1 200")
            half.sendall(head)

            def send_slowly() -> None:
                """Send a line every second, until the server has closed the connection."""
                with contextlib.suppress(OSError):
                    slow.sendall(head)
                    for number in range(5 * HEAD_TIMEOUT_SECONDS):
                        slow.sendall(b"X-%d: a\r\n" % number)
                        if not _is_open_after(slow, seconds=1):
                            return
                    raise AssertionError("the connection is still open")

            at_once([send_slowly, *(partial(_wait_for_the_end, one) for one in (idle, used, half))])
            for one in crowd:
                one.settimeout(HEAD_TIMEOUT_SECONDS)
                _wait_for_the_end(one)

    def test_a_server_that_stops_leaves_its_proxy_first(self, serve: Serve) -> None:
        server, url = serve("--workers", "1", DRAIN_SECONDS="2")
        with httpx.Client(base_url=url) as client:
            assert "Connection" not in client.get("/about").headers
            server.send_signal(signal.SIGTERM)
            wait_for(lambda: client.get("/about").headers.get("Connection") == "close")
            answer = client.get("/ready")  # over a new connection
            assert (answer.status_code, answer.json()["status"]) == (503, "stopping")
            assert client.get("/about").status_code == 200
        assert server.wait(20) == 0

    @pytest.mark.parametrize(
        "said",
        # At the last moment the first one answers: some of the others are still importing.
        ["Spawning worker-1", "Spawning worker-3", "Started worker-1", "Started worker-3", ""],
    )
    def test_a_stop_during_the_start_is_not_lost(self, said: str, serve: Serve) -> None:
        server, _ = serve("--workers", "3", said=said)
        server.send_signal(signal.SIGTERM)
        assert server.wait(30) == 0  # a lost one would be made up for after 40 seconds

    def test_threads_reach_the_processes_and_work_at_once(self, serve: Serve) -> None:
        _, url = serve("--workers", "1", "--threads", "7")
        assert httpx.get(f"{url}/about").text.split()[1] == "7"
        answers = at_once([partial(httpx.get, f"{url}/together", timeout=30)] * 7)
        assert [answer.text for answer in answers] == ["together"] * 7

    def test_the_limits_of_a_request_are_those_of_the_api_page(self, serve: Serve) -> None:
        _, url = serve("--workers", "1")
        many = "".join(f"X-{number}: 1\r\n" for number in range(120))
        assert status_of(url, "/about?" + "a" * 60_000) == 200
        assert status_of(url, "/about", f"X-Long: {'a' * 300_000}\r\n") == 200
        # A whole response, not a reset, and the server goes on.
        assert status_of(url, "/about?" + "a" * 70_000) == 414
        assert status_of(url, "/about", many) == 431
        assert status_of(url, "/about") == 200

    def test_a_process_that_dies_is_replaced(self, serve: Serve) -> None:
        server, url = serve("--workers", "1")
        (victim,) = answering_pids(url)
        assert victim != server.pid
        os.kill(victim, signal.SIGKILL)
        server.wait_until_ready(lambda: is_answered_by_another(url, victim), timeout_seconds=30)

    @pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells children that their parent died")
    def test_no_process_outlives_the_killed_server(self, serve: Serve) -> None:
        server, url = serve("--workers", "2")
        pids = answering_pids(url)  # by then both are there
        children = psutil.Process(server.pid).children(recursive=True)
        assert {child.pid for child in children} >= pids
        os.kill(server.pid, signal.SIGKILL)
        wait_for(lambda: not any(child.is_running() for child in children))


def status_of(url: str, target: str, headers: str = "") -> int:
    """Send a request of any size, and read its response to the end."""
    host, port = url.removeprefix("http://").split(":")
    request = f"GET {target} HTTP/1.1\r\nHost: {host}\r\n{headers}Connection: close\r\n\r\n"
    with socket.create_connection((host, int(port)), timeout=20) as connection:
        with contextlib.suppress(ConnectionError):  # the server has stopped reading
            connection.sendall(request.encode())
        answer = b"".join(iter(partial(connection.recv, 65_536), b""))
    return int(answer.split()[1])


def is_answered_by_another(url: str, pid: int) -> bool:
    try:
        return answering_pids(url).isdisjoint({pid})
    except httpx.HTTPError:
        return False


InProcess = Callable[..., tuple[int, str]]


@pytest.fixture
def serve_in_process(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> InProcess:
    """Runs the command up to the moment it would become the server; gives its exit status and messages."""

    def run(*options: str) -> tuple[int, str]:
        monkeypatch.setattr(os, "execve", lambda *_: pytest.fail("the server would have started"))
        with pytest.raises(SystemExit) as ended:
            Command().run_from_argv(["manage.py", "serve", "--skip-checks", *options])
        return int(ended.value.code or 0), capsys.readouterr().err

    return run


class TestRefusals:
    def test_missing_settings_are_told_without_a_traceback(self) -> None:
        result = manage("serve", MONGO_URI="", REDIS_URI="")
        assert result.returncode in (1, 2)
        assert "MONGO_URI is missing" in result.stderr
        assert "REDIS_URI is missing" in result.stderr
        assert "Traceback" not in result.stderr + result.stdout

    def test_a_taken_port_is_told(self, serve_in_process: InProcess) -> None:
        with socket.create_server(("127.0.0.1", 0)) as taken:
            port = taken.getsockname()[1]
            status, errors = serve_in_process("--port", str(port))
        assert status == 1
        assert f"Cannot listen on 127.0.0.1 port {port}: address already in use." in errors

    @pytest.mark.parametrize(
        ("option", "value"),
        [
            ("--port", "0"),
            ("--port", "65536"),
            ("--port", "-1"),
            ("--port", "٨٠"),
            ("--port", "9" * 5000),
            ("--workers", "0"),
            ("--workers", "many"),
            ("--threads", "1"),
            ("--threads", "1025"),
        ],
    )
    def test_numbers_out_of_range_are_told(
        self, serve_in_process: InProcess, option: str, value: str
    ) -> None:
        status, errors = serve_in_process(f"{option}={value}")
        assert status == 2
        assert "must be a whole number from" in errors

    @pytest.mark.parametrize("host", ["203.0.113.7", "no.such.host.invalid", "a" * 70, "\n", ""])
    def test_an_address_that_is_not_ours_is_told(self, serve_in_process: InProcess, host: str) -> None:
        status, errors = serve_in_process(f"--host={host}")
        assert status == 1
        assert "Cannot listen on" in errors
