"""Stacks for the tests of whole systems: real processes on real MongoDB and Redis."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from apps.core.embedded import EmbeddedError
from tests.integration.databases import Databases, OwnServers
from tests.integration.stack import Shape, Stack
from tests.missing import leave_out

_running: list[Stack] = []


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Iterator[None]:
    """Show the ends of the logs beside a failure."""
    report = yield
    if report.failed:
        report.sections += [(f"logs of stack {stack.name}", stack.log_tails()) for stack in _running]
    return report


def run_stack(
    name: str, directory: Path, shape: Shape, *, databases: Databases | None = None
) -> Iterator[Stack]:
    """Run a stack for a fixture, and check at its end that no log holds a secret."""
    stack = Stack(name, directory, shape, databases=databases)
    _running.append(stack)
    with stack:
        yield stack
        leaks = stack.find_leaks()
    _running.remove(stack)
    assert leaks == []


@pytest.fixture(scope="package")
def crowd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """Four web processes and two worker clusters; shared by the tests that only use it."""
    shape = Shape(
        web_workers=4,
        clusters=2,
        variables={
            "COLLECT_INTERVAL_SECONDS": "0.3",
            "MENGLA_TIMEOUT_SECONDS": "3",
            "CB_FAILURE_THRESHOLD": "3",
            "CB_SUCCESS_THRESHOLD": "2",
            "CB_TIMEOUT": "3",
        },
    )
    yield from run_stack("crowd", tmp_path_factory.mktemp("crowd"), shape)


@pytest.fixture
def stack(crowd: Stack) -> Iterator[Stack]:
    """The shared stack, at rest before and after the test."""
    crowd.reset()
    yield crowd
    crowd.reset()


@pytest.fixture(scope="package")
def servers(tmp_path_factory: pytest.TempPathFactory) -> OwnServers:
    """A MongoDB and a Redis that nobody else uses, so that they may hang and die; the stack stops them."""
    try:
        return OwnServers(tmp_path_factory.mktemp("servers"))
    except EmbeddedError as error:
        leave_out(f"these tests stop and kill servers of their own, and there are none: {error}")


@pytest.fixture(scope="package")
def on_own_servers(tmp_path_factory: pytest.TempPathFactory, servers: OwnServers) -> Iterator[Stack]:
    """A stack on servers that are stopped and killed; shared by the tests that do so."""
    shape = Shape(variables={"MENGLA_TIMEOUT_SECONDS": "60"})
    yield from run_stack("exposed", tmp_path_factory.mktemp("exposed"), shape, databases=servers)


@pytest.fixture
def exposed(on_own_servers: Stack) -> Stack:
    """The stack on servers that may be stopped and killed, at rest and recovered from the test before."""
    on_own_servers.wait_until_well()
    on_own_servers.reset()
    return on_own_servers
