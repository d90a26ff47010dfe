"""How the tests share a machine: several processes at once, each with databases and ports of its own.

pytest-xdist runs the processes (*workers*). Tests that share a stack of processes stay on one worker. The
tests marked ``wall_clock`` come last, on two workers, and each waits until no others run: the seconds they
measure are those of the product and not of its neighbours. They spend nearly all of these waiting for a
server that hangs, so two of them do not disturb each other.
"""

from __future__ import annotations

import fcntl
import gc
import itertools
import os
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import IO, Any
from urllib.parse import urlsplit, urlunsplit

import pytest
import redis
from xdist.scheduler import LoadScopeScheduling

from apps.launcher.ports import listen_problem

# One for the tests of a worker, the others for the stacks that it runs at the same time.
REDIS_DATABASES_PER_WORKER = 4
_REDIS_DATABASES = 16  # of a Redis with the default configuration
# Tests of processes mostly wait for them, so more than one shares a core.
_WORKERS_PER_CORE = 2.5
# So few files are done before more workers would have started.
_FEW_FILES = 3
_GARBAGE_THRESHOLD = 10_000  # new objects between two looks for garbage; requests make many
# Below the ports that systems hand out by themselves, so no other program gets one by chance.
_FIRST_PORT, _PORTS_PER_WORKER = 20_000, 500
# The same processes serve all tests of these folders, and of each file of the others.
_TOGETHER = (
    "tests/analysts/",
    "tests/auth/oidc/",
    "tests/browser/",
    "tests/clients/",
    "tests/integration/crowd/",
    "tests/integration/wall_clock/outages/",
    "tests/integration/wall_clock/",
)
_BY_FILE = ("tests/deploy/", "tests/integration/")


def worker_number() -> int:
    """The number of this worker, from 0; also 0 where one process runs all tests."""
    return int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))


# --- What each worker has of its own --------------------------------------------------------------


def own_mongo_db(name: str) -> str:
    """Return the name of this worker's MongoDB database."""
    worker = os.environ.get("PYTEST_XDIST_WORKER")
    return f"{name}_{worker}" if worker else name


def own_redis_uri(uri: str) -> str:
    """Return the URI of this worker's own Redis database."""
    return with_redis_database(uri, redis_database(uri) + worker_number() * REDIS_DATABASES_PER_WORKER)


def stack_redis_uris() -> list[str]:
    """Return the URIs of the databases that the stacks of this worker may use."""
    uri = os.environ["REDIS_URI"]
    own = redis_database(uri)
    return [with_redis_database(uri, own + step) for step in range(1, REDIS_DATABASES_PER_WORKER)]


def redis_database(uri: str) -> int:
    """Return the number of the database in a Redis URI."""
    return int(urlsplit(uri).path.strip("/") or 0)


def with_redis_database(uri: str, number: int) -> str:
    """Return a Redis URI with another database."""
    return urlunsplit(urlsplit(uri)._replace(path=f"/{number}"))


_next_ports = itertools.count(os.getpid())  # two runs on one machine begin at different ports


def own_port() -> int:
    """Return a port on which nothing listens and which no other worker takes meanwhile."""
    first = _FIRST_PORT + worker_number() * _PORTS_PER_WORKER
    for _ in range(_PORTS_PER_WORKER):
        port = first + next(_next_ports) % _PORTS_PER_WORKER
        if listen_problem(port) is None:
            return port
    raise RuntimeError(f"None of the {_PORTS_PER_WORKER} ports from {first} on is free.")


# --- Which worker runs what, and when -------------------------------------------------------------


@pytest.hookimpl(tryfirst=True)
def pytest_xdist_auto_num_workers(config: pytest.Config) -> int:
    """Return how many workers ``-n auto`` starts; none for a few files, which begin sooner without."""
    if len(config.args) <= _FEW_FILES and all("::" in one or one.endswith(".py") for one in config.args):
        return 0
    wanted = int((os.cpu_count() or 1) * _WORKERS_PER_CORE)
    return max(1, min(wanted, _redis_databases() // REDIS_DATABASES_PER_WORKER))


def _redis_databases() -> int:
    try:
        with redis.Redis.from_url(os.environ["REDIS_URI"]) as client:
            return int(client.config_get("databases")["databases"])
    except (KeyError, ValueError, redis.RedisError):
        return _REDIS_DATABASES


class Scheduling(LoadScopeScheduling):
    """Hands out the tests of one stack together, those of the wall clock too, and others by function."""

    def _split_scope(self, nodeid: str) -> str:
        for folder in _TOGETHER:
            if nodeid.startswith(folder):
                return folder
        path, _, name = nodeid.partition("::")
        return path if path.startswith(_BY_FILE) else f"{path}::{name.partition('[')[0]}"


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Scheduling:
    """Hand out the tests in their order, which is that of :func:`pytest_collection_modifyitems`."""
    return Scheduling(config, log)


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put long tests first, so that short ones fill the gaps at the end, and those of the wall clock last."""
    early = ("long", "slow", "hypothesis")
    items.sort(key=lambda one: (is_of_wall_clock(one), *(not _has(one, marker) for marker in early)))


def pytest_collection_finish() -> None:
    """Keep the garbage collector from looking through thousands of tests, which stay to the end."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(_GARBAGE_THRESHOLD)


def is_of_wall_clock(item: pytest.Item) -> bool:
    """Whether a test measures promised seconds."""
    return _has(item, "wall_clock")


def _has(item: pytest.Item, marker: str) -> bool:
    return item.get_closest_marker(marker) is not None


# --- Alone or together ----------------------------------------------------------------------------


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Iterator[None]:
    """Run a test while none of the wall clock does, in any worker."""
    with nullcontext() if is_of_wall_clock(item) else beside_others(_common_directory(item)):
        return (yield)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Iterator[None]:
    """Run a test of the wall clock while no others do; its processes start before, beside them."""
    with without_others(_common_directory(item)) if is_of_wall_clock(item) else nullcontext():
        return (yield)


def _common_directory(item: pytest.Item) -> Path:
    """The temporary directory that all workers of this run share."""
    directory: Path = item.config._tmp_path_factory.getbasetemp()
    return directory.parent if "PYTEST_XDIST_WORKER" in os.environ else directory


@contextmanager
def beside_others(directory: Path) -> Iterator[None]:
    """Wait until no test of the wall clock runs, and let none begin meanwhile."""
    with _locks(directory) as (others, wall_clock):
        fcntl.flock(others, fcntl.LOCK_SH)
        while not _is_free(wall_clock):
            fcntl.flock(others, fcntl.LOCK_UN)
            fcntl.flock(wall_clock, fcntl.LOCK_EX)
            fcntl.flock(wall_clock, fcntl.LOCK_UN)
            fcntl.flock(others, fcntl.LOCK_SH)
        yield


@contextmanager
def without_others(directory: Path) -> Iterator[None]:
    """Wait until only tests of the wall clock run, and let only those begin meanwhile.

    It delays no other: it begins when the others are done.
    """
    with _locks(directory) as (others, wall_clock):
        fcntl.flock(others, fcntl.LOCK_EX)
        fcntl.flock(wall_clock, fcntl.LOCK_SH)
        fcntl.flock(others, fcntl.LOCK_UN)
        yield


@contextmanager
def _locks(directory: Path) -> Iterator[tuple[IO[str], IO[str]]]:
    """The locks that tests of one kind share: the others, and those of the wall clock."""
    with (directory / "others.lock").open("a") as others, (directory / "wall_clock.lock").open("a") as clock:
        yield others, clock


def _is_free(lock: IO[str]) -> bool:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    fcntl.flock(lock, fcntl.LOCK_UN)
    return True
