"""What a machine may lack: a developer's tests do without it, those of the continuous integration do not."""

from __future__ import annotations

import os
from typing import NoReturn

import pytest


def leave_out(reason: str) -> NoReturn:
    """Skip the test, or fail it where ``CI`` is set: there everything is expected to be installed."""
    if "CI" in os.environ:
        pytest.fail(reason, pytrace=False)
    pytest.skip(reason)
