"""A collection service that runs in the test process and calls a live server back."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import pytest
from pytest_django.live_server_helper import LiveServer

from apps.core.caching import tiers
from apps.mengla.dispatch.dispatcher import run_dispatch
from apps.mengla.simulator.knobs import Knobs
from apps.mengla.simulator.server import Simulator
from apps.mengla.simulator.state import SimulatorConfig
from tests.mengla.stub_service import StubService
from tests.mengla.support import collections

WAIT_SECONDS = 20


@pytest.fixture(autouse=True)
def _quick_collections(settings: Any) -> None:
    settings.COLLECT_INTERVAL_SECONDS = 0.001
    settings.COLLECT_RETRY_DELAY_SECONDS = 0
    settings.COLLECT_MAX_ATTEMPTS = 2
    settings.MAX_INFLIGHT_REQUESTS = 1


@pytest.fixture
def half_a_second_later(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """Return what lets this process look for changes of other processes at each lookup from now on."""
    return partial(monkeypatch.setattr, tiers, "SYNC_INTERVAL_SECONDS", 0.0)


@pytest.fixture
def service(live_server: LiveServer, settings: Any) -> Iterator[Simulator]:
    """A running simulator that the product uses; its webhooks reach the product over HTTP."""
    config = SimulatorConfig(
        api_key=settings.COLLECT_SERVICE_API_KEY,
        webhook_secret=settings.WEBHOOK_SECRET,
        knobs=Knobs(delay_seconds=0),
        webhook_retry_seconds=0.01,
        webhook_timeout_seconds=WAIT_SECONDS,
    )
    settings.MENGLA_WEBHOOK_URL = f"{live_server.url}/api/webhook/mengla-notify"
    with Simulator(config) as running:
        settings.COLLECT_SERVICE_URL = running.url
        yield running


@pytest.fixture
def stub(settings: Any) -> Iterator[StubService]:
    """A service the product uses that says what the test tells it to."""
    running = StubService()
    settings.COLLECT_SERVICE_URL = running.url
    yield running
    running.stop()


@pytest.fixture
def dispatch_now(service: Simulator) -> Callable[[], int]:
    """Dispatch once, wait until the service has called back, and return how many requests were sent."""

    def dispatch() -> int:
        sent = run_dispatch(max_seconds=WAIT_SECONDS)
        assert service.wait_idle(WAIT_SECONDS)
        return sent

    return dispatch


@pytest.fixture
def collect_all(dispatch_now: Callable[[], int]) -> Callable[[], int]:
    """Dispatch until no collection is under way; returns how many requests that took."""

    def collect() -> int:
        sent = 0
        for _ in range(200):
            if not collections(active_key={"$ne": None}):
                return sent
            sent += dispatch_now()
        raise AssertionError(f"still under way: {collections(active_key={'$ne': None})}")

    return collect
