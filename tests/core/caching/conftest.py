"""Two processes that share a real Redis; time is a clock that the test moves."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import redis

from apps.core.caching import tiers as cache_module
from apps.core.caching.tiers import TieredCache
from apps.core.storage.outages import redis_outage
from tests.core.caching.support import Clock, make_process

CLOSED_PORT = 1


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(cache_module, "time", clock)
    monkeypatch.setattr(cache_module, "unix_now", clock.time)
    return clock


@pytest.fixture
def process(clock: Clock) -> TieredCache:
    return make_process()


@pytest.fixture
def other(clock: Clock) -> TieredCache:
    return make_process()


@pytest.fixture
def stop_redis(monkeypatch: pytest.MonkeyPatch) -> Callable[[], Callable[[], None]]:
    """Refuse every Redis operation until the returned function is called."""

    def stop() -> Callable[[], None]:
        patch = pytest.MonkeyPatch()
        # On a pool, as django-redis has it: a client without one retries for seconds.
        closed = redis.Redis(connection_pool=redis.ConnectionPool(port=CLOSED_PORT, retry=None))
        patch.setattr("apps.core.storage.redis.get_redis", lambda: closed)

        def start() -> None:
            patch.undo()
            redis_outage.forget()

        return start

    return stop
