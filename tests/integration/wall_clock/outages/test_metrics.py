"""Metrics and alerts while a server hangs: what is known is reported in time."""

from __future__ import annotations

from collections.abc import Callable, Collection
from functools import partial

import httpx
import pytest

from tests.http import METRICS_HEADERS
from tests.integration.databases import OwnServers, stopped
from tests.integration.samples import samples_of, value
from tests.integration.stack import Stack
from tests.integration.wall_clock.promises import check_in_an_outage, in_time

pytestmark = [pytest.mark.slow, pytest.mark.mongo, pytest.mark.redis]

ALERTS = (
    ("get", "/api/admin/alerts"),
    ("post", "/api/admin/alerts/check"),
    ("get", "/api/admin/alerts/history"),
)
COUNTERS = (("get", "/api/admin/metrics"), ("get", "/api/admin/metrics/latency"))


def assert_scraped(hanging: Collection[str], client: httpx.Client) -> None:
    """A scrape has what the servers that answer know, and says which ones do not."""
    scraped = in_time(partial(client.get, "/metrics", headers=METRICS_HEADERS))
    assert scraped.status_code == 200
    samples = samples_of(scraped.text)
    is_mongo_up, is_redis_up = "mongo" not in hanging, "redis" not in hanging
    assert value(samples, "collector_up", dependency="mongodb") == is_mongo_up
    assert value(samples, "collector_up", dependency="redis") == is_redis_up
    names = {name for name, _ in samples}
    assert ("collector_in_flight" in names) == is_mongo_up
    assert ("collector_alert_firing" in names) == is_mongo_up
    assert ("collector_web_workers" in names) == is_redis_up
    assert ("collector_breaker_state" in names) == is_redis_up


def assert_reported(method: str, path: str, unavailable: str, client: httpx.Client) -> None:
    """The address answers in time; where it needs the unavailable server, 503 names that."""
    answer = in_time(partial(client.request, method, path))
    if unavailable:
        assert (answer.status_code, answer.json()["detail"]) == (503, unavailable)
    else:
        assert answer.status_code == 200, answer.text


@pytest.mark.parametrize("hanging", [("mongo",), ("redis",), ("mongo", "redis")], ids="+".join)
def test_whatever_hangs_what_is_known_is_told_in_time(
    exposed: Stack, servers: OwnServers, hanging: tuple[str, ...]
) -> None:
    exposed.tick()  # a worker's sign of life
    needed = [*((one, "mongo", "MongoDB") for one in ALERTS), *((one, "redis", "Redis") for one in COUNTERS)]
    checks: list[Callable[[httpx.Client], None]] = [partial(assert_scraped, hanging)]
    for (method, path), server, name in needed:
        checks.append(partial(assert_reported, method, path, name if server in hanging else ""))
    with exposed.web.clients(exposed.token, per_worker=len(checks)) as by_worker:
        for some in by_worker.values():
            assert some[0].get("/api/auth/me").status_code == 200
        with stopped(*(getattr(servers, name) for name in hanging)):
            check_in_an_outage(by_worker, checks)
