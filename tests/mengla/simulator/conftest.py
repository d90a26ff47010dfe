"""A running simulator, a webhook receiver, and a client."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from apps.mengla.simulator.knobs import Knobs
from apps.mengla.simulator.server import Simulator
from apps.mengla.simulator.state import SimulatorConfig
from tests.mengla.simulator.support import SECRET, Asker, Receiver


@pytest.fixture
def simulator() -> Iterator[Simulator]:
    config = SimulatorConfig(
        api_key="key",
        webhook_secret=SECRET,
        knobs=Knobs(delay_seconds=0),
        webhook_retry_seconds=0.01,
        webhook_timeout_seconds=5,
    )
    with Simulator(config) as running:
        yield running


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    running = Receiver()
    yield running
    running.stop()


@pytest.fixture
def ask(simulator: Simulator, receiver: Receiver) -> Iterator[Asker]:
    asker = Asker(simulator, receiver)
    yield asker
    asker.close()
