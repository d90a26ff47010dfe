"""Databases of a stack's own, on the servers the tests were given or on servers started for it alone."""

from __future__ import annotations

import os
import signal
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

import psutil
import pymongo
import redis

from apps.launcher.embedded import EmbeddedServer, start_mongo, start_redis
from tests.parallel import own_port, stack_redis_uris

# Says that a Redis database is in use by a stack of these tests, and by which process.
OWNER_KEY = "collector-tests:stack-of-process"


class Databases(Protocol):
    """Where a stack keeps its data."""

    mongo_uri: str
    mongo_name: str
    redis_uri: str

    def close(self) -> None:
        """Delete everything that was kept there."""


class SharedServers:
    """A MongoDB database and a Redis database number of our own, beside those of the pytest process."""

    def __init__(self, name: str) -> None:
        self.mongo_uri = os.environ["MONGO_URI"]
        # The name is the same in every run, so that a killed run leaves nothing that is not found again.
        self.mongo_name = f"{os.environ['MONGO_DB']}_stack_{name}"
        self._drop()
        self.redis_uri, self._redis = _claim_redis_database()

    def close(self) -> None:
        self._redis.flushdb()
        self._redis.close()
        self._drop()

    def _drop(self) -> None:
        with pymongo.MongoClient[dict[str, Any]](self.mongo_uri) as client:
            client.drop_database(self.mongo_name)


class OwnServers:
    """A mongod and a redis-server for this test alone, which may be stopped and killed."""

    def __init__(self, directory: Path, *, next_port: Callable[[], int] = own_port) -> None:
        self._directory = directory
        self.mongo = start_mongo(directory / "mongo", port=next_port())
        try:
            self.redis = start_redis(directory / "redis", port=next_port())
        except BaseException:
            self.mongo.stop()
            raise
        self.mongo_uri, self.mongo_name = self.mongo.uri, "collector_stack"
        self.redis_uri = self.redis.uri

    def lose_redis(self) -> None:
        """Kill Redis; what it held is gone."""
        os.kill(self.redis.pid, 9)
        wait_for_end(self.redis)
        (self.redis.data_dir / "dump.rdb").unlink(missing_ok=True)

    def bring_redis_back(self) -> None:
        """Start an empty Redis where the lost one was."""
        self.redis = start_redis(self._directory / "redis", port=self.redis.port)
        assert self.redis.uri == self.redis_uri, self.redis.note

    def close(self) -> None:
        try:
            self.redis.stop()
        finally:
            self.mongo.stop()


@contextmanager
def stopped(*servers: EmbeddedServer) -> Iterator[None]:
    """Let servers hang: connections stay open and nothing answers."""
    for server in servers:
        os.kill(server.pid, signal.SIGSTOP)
    try:
        yield
    finally:
        for server in servers:
            os.kill(server.pid, signal.SIGCONT)


def wait_for_end(server: EmbeddedServer) -> None:
    """Wait until a killed server is gone."""
    psutil.wait_procs([psutil.Process(server.pid)] if psutil.pid_exists(server.pid) else [], timeout=10)
    assert not server.is_alive()


def _claim_redis_database() -> tuple[str, redis.Redis]:
    """Take the first of this worker's databases that is empty, or left by a dead run."""
    owner = f"{socket.gethostname()}:{os.getpid()}"
    candidates = stack_redis_uris()
    for candidate in candidates:
        client = redis.Redis.from_url(candidate, socket_timeout=5, decode_responses=True)
        if client.transaction(_take(client, owner), OWNER_KEY, value_from_callable=True):
            return candidate, client
        client.close()
    raise RuntimeError(f"None of these databases is empty, and these tests need some: {candidates}")


def _take(client: redis.Redis, owner: str) -> Callable[[Any], bool]:
    """Make the step that takes the database, repeated when another process has taken it meanwhile."""

    def take(pipeline: Any) -> bool:
        former = pipeline.get(OWNER_KEY)
        is_ours = former is not None and not _is_alive(former)
        if not is_ours and (former is not None or pipeline.dbsize() > 0):
            return False
        pipeline.multi()
        pipeline.flushdb()
        pipeline.set(OWNER_KEY, owner)
        return True

    return take


def _is_alive(owner: str) -> bool:
    host, _, pid = owner.rpartition(":")
    return host != socket.gethostname() or psutil.pid_exists(int(pid))
