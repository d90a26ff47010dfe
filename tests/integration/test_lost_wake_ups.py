"""After each single fault the next request to the service comes within seconds, without any tick.

It is promised within 15 seconds, and takes 10 at most while nothing else runs. These tests run beside others,
so they wait longer; they prove that a cluster notices, because the tick never runs here.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial

import pytest

from tests.integration.conftest import run_stack, start_servers
from tests.integration.databases import OwnServers, stopped
from tests.integration.stack import NEVER, Shape, Stack
from tests.integration.waiting import wait_until

pytestmark = [pytest.mark.slow, pytest.mark.mongo, pytest.mark.redis]

PATIENCE_SECONDS = 60
SILENT_SECONDS = 4  # longer than any timeout of the product
DEFAULTS = {
    "COLLECT_INTERVAL_SECONDS": "2",
    "COLLECT_REQUEST_TIMEOUT_SECONDS": "15",
    "COLLECT_RETRY_DELAY_SECONDS": "5",
    "COLLECT_MAX_ATTEMPTS": "3",
    "MAX_INFLIGHT_REQUESTS": "1",
    "MENGLA_TIMEOUT_SECONDS": "300",
}


@pytest.fixture(scope="module")
def servers(tmp_path_factory: pytest.TempPathFactory) -> OwnServers:
    return start_servers(tmp_path_factory)


@pytest.fixture(scope="module")
def steady(tmp_path_factory: pytest.TempPathFactory, servers: OwnServers) -> Iterator[Stack]:
    """Two clusters with the default timings, and more to collect than they can during the tests."""
    shape = Shape(web_workers=1, clusters=2, variables=DEFAULTS)
    directory = tmp_path_factory.mktemp("steady")
    for stack in run_stack("steady", directory, shape, databases=servers):
        # The tick would hide what only it notices.
        stack.caller.call("tests.integration.run_jobs.reschedule", schedule="tick", cron=NEVER)
        stack.caller.call("tests.integration.jobs.insert_collections", count=300)
        wait_until(partial(requests, stack), timeout_seconds=60, what="the first request comes")
        yield stack


def kill_cluster(stack: Stack, _servers: OwnServers) -> None:
    stack.kill(stack.dispatching_cluster())


def silence_redis(_stack: Stack, servers: OwnServers) -> None:
    with stopped(servers.redis):
        time.sleep(SILENT_SECONDS)


def empty_redis(_stack: Stack, servers: OwnServers) -> None:
    servers.lose_redis()
    servers.bring_redis_back()


def silence_mongodb(_stack: Stack, servers: OwnServers) -> None:
    with stopped(servers.mongo):
        time.sleep(SILENT_SECONDS)


@pytest.mark.parametrize("break_something", [silence_redis, empty_redis, silence_mongodb, kill_cluster])
def test_the_next_request_comes_soon(
    steady: Stack, servers: OwnServers, break_something: Callable[[Stack, OwnServers], None]
) -> None:
    with slow_request(steady):
        break_something(steady, servers)
    before = requests(steady)
    wait_until(
        lambda: requests(steady) > before, timeout_seconds=PATIENCE_SECONDS, what="the next request comes"
    )


@contextmanager
def slow_request(stack: Stack) -> Iterator[None]:
    """Begin when a request is in progress."""
    stack.simulator.set_knobs(hang_seconds=1)
    before = requests(stack)
    wait_until(lambda: requests(stack) > before, timeout_seconds=60, what="a request is in progress")
    yield
    stack.simulator.reset_knobs()


def requests(stack: Stack) -> int:
    count: int = stack.simulator.stats()["execute_requests"]
    return count
