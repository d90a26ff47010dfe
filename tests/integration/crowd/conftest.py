"""One stack for all tests of this folder, which kill nothing of it that they do not start again."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.integration.conftest import run_crowd
from tests.integration.stack import Stack


@pytest.fixture(scope="package")
def crowd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    yield from run_crowd(tmp_path_factory)
