"""Every command finds a small category tree."""

from __future__ import annotations

import pytest

from tests.factories.categories import Node


@pytest.fixture(autouse=True)
def _tree(sample_tree: list[Node]) -> None:
    """Level 1: 1000 and 2000; below them 1001, 1002, 2001 and 2002."""
