"""Tests of promised seconds: they run while no others do, so they measure the product alone."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.conftest import run_crowd, run_stack, start_servers
from tests.integration.databases import OwnServers
from tests.integration.stack import Shape, Stack

HERE = Path(__file__).parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark everything here and below."""
    for item in items:
        if HERE in item.path.parents:
            item.add_marker("wall_clock")


@pytest.fixture(scope="package")
def crowd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    yield from run_crowd(tmp_path_factory)


@pytest.fixture(scope="package")
def servers(tmp_path_factory: pytest.TempPathFactory) -> OwnServers:
    return start_servers(tmp_path_factory)


@pytest.fixture(scope="package")
def on_own_servers(tmp_path_factory: pytest.TempPathFactory, servers: OwnServers) -> Iterator[Stack]:
    """A stack on servers that are stopped and killed; shared by the tests that do so."""
    shape = Shape(web_threads=20, variables={"MENGLA_TIMEOUT_SECONDS": "60"})
    yield from run_stack("exposed", tmp_path_factory.mktemp("exposed"), shape, databases=servers)


@pytest.fixture
def exposed(on_own_servers: Stack) -> Stack:
    """The stack on servers that may be stopped and killed, at rest and recovered from the test before."""
    on_own_servers.wait_until_well()
    on_own_servers.reset()
    return on_own_servers
