"""``bin/quickstart`` as a newcomer sees it, in a copy of the project at a path with spaces."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import signal
import socket
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import psutil
import pymongo
import pytest
import redis
from django.conf import settings

from apps.launcher.processes import ManagedProcess
from tests.integration.waiting import wait_until
from tests.parallel import own_port
from tests.programs import ROOT

QUICKSTART = [sys.executable, "-m", "apps.launcher.quickstart"]
# The bytecode comes along, or each process of each test would compile the whole product again.
NOT_IN_A_CLONE = shutil.ignore_patterns(
    ".git", ".venv", ".env", ".local", ".*_cache", ".hypothesis", ".coverage*", "staticfiles"
)
RUN_TIMEOUT_SECONDS = 240
TOLD = "Press Ctrl-C to stop everything"

pytestmark = pytest.mark.slow


@contextmanager
def copied_to(directory: Path) -> Iterator[Path]:
    """A copy of the project; whatever was left running in it is a failure."""
    path = directory / "a clone (with spaces, größer)"
    shutil.copytree(ROOT, path, ignore=NOT_IN_A_CLONE)
    yield path
    assert_nothing_runs_in(path)


def assert_nothing_runs_in(path: Path) -> None:
    """Nothing was left running in this copy; what was is killed."""
    left = processes_of(path)
    for process in left:
        process.kill()
    assert left == []


@pytest.fixture
def clone(tmp_path: Path) -> Iterator[Path]:
    """A new copy of the project."""
    with copied_to(tmp_path) as path:
        yield path


@pytest.fixture(scope="module")
def used(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, subprocess.CompletedProcess[str]]]:
    """A copy that quickstart has been run in once, and how that ended; for the tests of later runs."""
    with copied_to(tmp_path_factory.mktemp("used")) as path:
        first = quickstart(path, "--once")
        assert first.returncode == 0, first.stdout + first.stderr
        yield path, first


@pytest.fixture
def used_clone(used: tuple[Path, subprocess.CompletedProcess[str]]) -> Iterator[Path]:
    """The copy that quickstart has been run in, in which nothing runs."""
    yield used[0]
    assert_nothing_runs_in(used[0])


def processes_of(clone: Path) -> list[psutil.Process]:
    """Every process that works in this copy, by its working directory."""
    found = []
    for process in psutil.process_iter():
        try:
            if Path(process.cwd()).is_relative_to(clone) and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process)
        except (psutil.Error, OSError):
            continue
    return found


def environment(**variables: str) -> dict[str, str]:
    """The environment of a newcomer, with few processes: nothing of this test run's own settings."""
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "TMPDIR") if name in os.environ}
    return kept | {"LANG": "C.UTF-8", "WEB_WORKERS": "1", "QUEUE_WORKERS": "2"} | variables


def quickstart(clone: Path, *options: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run quickstart to its end, on a web port that is probably free."""
    return subprocess.run(
        [*QUICKSTART, "--port", str(own_port()), *options],
        cwd=clone,
        env=environment(**variables),
        capture_output=True,
        text=True,
        timeout=RUN_TIMEOUT_SECONDS,
        check=False,
    )


@pytest.fixture
def stay(used_clone: Path, tmp_path: Path) -> Iterator[Callable[..., ManagedProcess]]:
    """Starts a quickstart that stays in the used copy, and waits until it has printed every address."""
    started: list[ManagedProcess] = []

    def start(*options: str, **variables: str) -> ManagedProcess:
        process = ManagedProcess(
            [*QUICKSTART, *options],
            name="quickstart",
            log_path=tmp_path / "quickstart.log",
            env=environment(**variables),
            cwd=used_clone,
        )
        started.append(process)
        process.start()
        return process.wait_until_ready(
            lambda: TOLD in process.log_text(), timeout_seconds=RUN_TIMEOUT_SECONDS
        )

    yield start
    for process in started:
        process.stop(60)


def pid_of(clone: Path, part: str) -> int:
    entries = json.loads((clone / ".local" / "quickstart.json").read_text())
    return next(int(entry["pid"]) for entry in entries if entry["name"] == part)


def password_in(clone: Path) -> str:
    """The password of the admin in the .env file."""
    lines = (clone / ".env").read_text().splitlines()
    return next(line.partition("=")[2] for line in lines if line.startswith("ADMIN_PASSWORD="))


def test_first_run(used: tuple[Path, subprocess.CompletedProcess[str]]) -> None:
    clone, first = used
    assert "Best sellers of" in first.stdout
    assert len(re.findall(r"^│ .*\d", first.stdout, re.MULTILINE)) == 10
    assert "X-MengLa-Source: fresh" in first.stdout
    assert "X-MengLa-Freshness: fresh" in first.stdout
    assert "just collected and delivered by webhook" in first.stdout
    assert "The simulator received 1 request." in first.stdout
    password = password_in(clone)
    assert first.stdout.count(password) == 1
    assert stat.S_IMODE((clone / ".env").stat().st_mode) == 0o600
    logs = "".join(path.read_text() for path in (clone / ".local" / "logs").glob("*.log"))
    assert password not in logs
    assert "fork-safe" not in logs
    assert "Traceback" not in logs


def test_a_later_run_stays_until_ctrl_c_with_other_ports_when_some_are_taken(
    used: tuple[Path, subprocess.CompletedProcess[str]], used_clone: Path, stay: Callable[..., ManagedProcess]
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        wanted = taken.getsockname()[1]
        running = stay("--port", str(wanted))
        told = running.log_text()
        assert f"Port {wanted} is taken, so the web server listens on" in told
    assert "The figures were already stored" in told
    assert "The simulator received 0 requests." in told
    assert re.search(r"Categories +\d+ \(unchanged\)", told)
    assert password_in(used_clone) not in told
    table = re.compile(r"^│.*$", re.MULTILINE)
    assert table.findall(told) == table.findall(used[1].stdout)
    addresses = set(re.findall(r"http://127\.0\.0\.1:\d+\S*", told))
    for path in ("/api/docs", "/admin/", "/health", "/ready", "/stats"):
        (address,) = {address for address in addresses if address.endswith(path)}
        assert httpx.get(address, follow_redirects=True).status_code == 200, address

    command = f". .local/env.sh && {shlex.quote(sys.executable)} manage.py ensure_admin --json"
    shell = subprocess.run(
        ["sh", "-c", command], cwd=used_clone, env=environment(), capture_output=True, text=True, check=False
    )
    assert shell.returncode == 0, shell.stderr
    assert json.loads(shell.stdout) == {"username": "admin", "created": False}

    second = quickstart(used_clone, "--once")
    assert second.returncode == 1
    assert f"already running in this clone (process {running.pid})" in second.stderr
    assert running.is_alive()

    running.send_signal(signal.SIGINT)
    assert running.wait(60) == 0
    assert processes_of(used_clone) == []
    assert not (used_clone / ".local" / "env.sh").exists()


def test_neither_a_new_env_file_nor_a_killed_run_is_in_the_way(
    used_clone: Path, stay: Callable[..., ManagedProcess]
) -> None:
    # A new .env file gives the admin of the embedded database a new password.
    password = password_in(used_clone)
    (used_clone / ".env").unlink()
    port = str(own_port())
    running = stay("--port", port)
    assert password_in(used_clone) != password
    os.kill(running.pid, signal.SIGKILL)
    running.wait()
    again = stay("--port", port)
    assert f"http://127.0.0.1:{port}" in again.log_text()
    assert f"Port {port} is taken" not in again.log_text()
    assert "already stored" in again.log_text()

    # Its parts may be killed, too: it starts them again, and stays.
    killed = pid_of(used_clone, "worker")
    os.kill(killed, signal.SIGKILL)
    wait_until(
        lambda: "The worker was killed and has been restarted" in again.log_text(),
        timeout_seconds=30,
        what="the worker is started again",
    )
    assert pid_of(used_clone, "worker") != killed
    assert again.is_alive()

    os.kill(pid_of(used_clone, "worker"), signal.SIGTERM)
    assert again.wait(60) == 1
    assert "quickstart: worker has ended by itself" in again.log_text()
    assert f"Log: {used_clone}/.local/logs/worker.log" in again.log_text()


def leave_part(clone: Path) -> psutil.Process:
    """Leave what a former run might: a process of a part whose first process was killed.

    The real parts end with their first process on Linux; on other systems they stay like this one.
    """
    with subprocess.Popen(
        ["/bin/sh", "-c", "sleep 600 & echo $!; wait"],
        cwd=clone,
        stdout=subprocess.PIPE,
        start_new_session=True,
    ) as part:
        assert part.stdout is not None
        orphan = psutil.Process(int(part.stdout.readline()))
        entry = {"name": "worker", "pid": part.pid, "created_at": psutil.Process(part.pid).create_time()}
        part.kill()
    assert orphan.is_running()
    (clone / ".local" / "quickstart.json").write_text(json.dumps([entry]))
    return orphan


def test_a_changed_password_is_told_and_what_is_left_of_a_killed_part_is_ended(
    used_clone: Path,
) -> None:
    env_file = used_clone / ".env"
    lines = [line for line in env_file.read_text().splitlines() if not line.startswith("ADMIN_PASSWORD=")]
    text = "\n".join([*lines, '  ADMIN_PASSWORD = "another-password"  # in another form', "BATCH_SIZE=98765"])
    env_file.write_text(text)
    refused = quickstart(used_clone, "--once")
    assert refused.returncode == 1
    assert "in this database is not ADMIN_PASSWORD" in refused.stderr
    reported = refused.stdout + refused.stderr
    assert "another-password" not in reported
    assert reported.count("BATCH_SIZE (in .env line ") == 1
    assert "98765" not in reported
    assert env_file.read_text() == text

    env_file.write_text("\n".join(lines))  # the remedy that it printed
    orphan = leave_part(used_clone)
    again = quickstart(used_clone, "--once")
    assert again.returncode == 0, again.stdout + again.stderr
    left_over = next(line for line in again.stdout.splitlines() if "Left over" in line)
    assert left_over.endswith(": worker")
    assert orphan not in processes_of(used_clone)


def test_a_service_that_does_not_take_the_collection_is_told(clone: Path) -> None:
    result = quickstart(
        clone,
        "--once",
        COLLECT_SERVICE_URL=f"http://127.0.0.1:{own_port()}",
        COLLECT_INTERVAL_SECONDS="0.1",
        COLLECT_RETRY_DELAY_SECONDS="0.5",
        CB_FAILURE_THRESHOLD="2",
    )
    assert result.returncode == 1
    assert "quickstart: The collection waits: The collection service has been unreachable" in result.stderr
    assert f"Log: {clone}/.local/logs/worker.log" in result.stderr
    assert "Traceback" not in result.stderr


@pytest.mark.mongo
@pytest.mark.redis
def test_given_servers_are_used(clone: Path, redis_client: redis.Redis) -> None:
    database = f"{settings.MONGO_DB}_quickstart"
    try:
        result = quickstart(
            clone,
            "--once",
            MONGO_URI=settings.MONGO_URI,
            REDIS_URI=settings.REDIS_URI,
            MONGO_DB=database,
        )
        assert result.returncode == 0, result.stdout + result.stderr
        assert "from MONGO_URI" in result.stdout
        assert "from REDIS_URI" in result.stdout
        assert not (clone / ".local" / "mongo").exists()
        assert not (clone / ".local" / "redis").exists()
        with pymongo.MongoClient(settings.MONGO_URI) as client:
            assert client[database].mengla_data.count_documents({}) == 1
    finally:
        with pymongo.MongoClient(settings.MONGO_URI) as client:
            client.drop_database(database)


class TestRefusals:
    def test_bad_settings_are_told_all_at_once(self, used_clone: Path) -> None:
        result = quickstart(used_clone, "--once", CORS_ALLOWED_ORIGINS="*", WEB_THREADS="many")
        assert result.returncode == 2
        assert "CORS_ALLOWED_ORIGINS" in result.stderr
        assert "WEB_THREADS" in result.stderr
        assert "Traceback" not in result.stderr

    def test_a_server_that_does_not_answer_is_told_without_its_password(self, used_clone: Path) -> None:
        result = quickstart(
            used_clone, "--once", MONGO_URI=f"mongodb://me:s3cret@127.0.0.1:{own_port()}/?replicaSet=rs0"
        )
        assert result.returncode == 1
        assert "The MongoDB of MONGO_URI cannot be used" in result.stderr
        assert "s3cret" not in result.stdout + result.stderr
        assert "Traceback" not in result.stderr

    def test_production_is_refused(self, clone: Path) -> None:
        result = quickstart(clone, "--once", ENV="production")
        assert result.returncode == 1
        assert "ENV=production" in result.stderr
        assert not (clone / ".env").exists()

    @pytest.mark.parametrize("port", ["0", "65536", "eighty", ""])
    def test_a_bad_port_is_told(self, port: str) -> None:
        result = subprocess.run(
            [*QUICKSTART, "--port", port], cwd=ROOT, capture_output=True, text=True, check=False
        )
        assert result.returncode == 2
        assert "must be a whole number from 1 to 65535" in result.stderr
