"""Alerts at rest: a worker lives, nothing waits, and a receiver listens if a test wants one."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.admin.receiver import Receiver


@pytest.fixture
def receiver(settings: Any) -> Iterator[Receiver]:
    """The receiver that alerts are posted to."""
    with Receiver() as running:
        settings.ALERT_WEBHOOK_URL = running.url
        settings.ALERT_WEBHOOK_SECRET = "the-secret-of-the-receiver"
        yield running
