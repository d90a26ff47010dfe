"""Stacks for the tests of whole systems: real processes on real MongoDB and Redis."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from apps.launcher.embedded import EmbeddedError
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


def start_servers(tmp_path_factory: pytest.TempPathFactory) -> OwnServers:
    """Start servers for this test alone, so that they may hang and die; the stack stops them."""
    try:
        return OwnServers(tmp_path_factory.mktemp("servers"))
    except EmbeddedError as error:
        leave_out(f"these tests stop and kill servers of their own, and there are none: {error}")


def run_crowd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """Run four web processes and two worker clusters, for the tests of a folder that only use them."""
    shape = Shape(
        web_workers=4,
        clusters=2,
        variables={
            "COLLECT_INTERVAL_SECONDS": "0.3",
            "MENGLA_TIMEOUT_SECONDS": "6",  # a busy machine may double the slowest answer
            "CB_FAILURE_THRESHOLD": "3",
            "CB_SUCCESS_THRESHOLD": "2",
            "CB_TIMEOUT": "3",
        },
    )
    yield from run_stack("crowd", tmp_path_factory.mktemp("crowd"), shape)


@pytest.fixture
def stack(crowd: Stack) -> Iterator[Stack]:
    """The stack of the folder, at rest before and after the test."""
    crowd.reset()
    yield crowd
    crowd.reset()
