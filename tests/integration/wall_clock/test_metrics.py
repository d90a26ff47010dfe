"""Metrics and alerts while a server hangs: what is known is told in time."""

from __future__ import annotations

from functools import partial

import httpx
import pytest

from tests.integration.databases import OwnServers, stopped
from tests.integration.samples import samples_of, value
from tests.integration.stack import Stack
from tests.integration.waiting import at_once, timed

pytestmark = [pytest.mark.slow, pytest.mark.mongo, pytest.mark.redis]

PROMISED_SECONDS = 3.0
ASKED = (
    ("get", "/api/admin/alerts"),
    ("post", "/api/admin/alerts/check"),
    ("get", "/api/admin/alerts/history"),
)


def answer_in_time(client: httpx.Client, method: str, path: str) -> httpx.Response:
    answer, seconds = timed(lambda: client.request(method, path))
    assert seconds < PROMISED_SECONDS, f"{path} took {seconds:.1f} s: {answer.status_code}"
    return answer


@pytest.mark.parametrize("hanging", [("mongo",), ("redis",), ("mongo", "redis")], ids="+".join)
def test_whatever_hangs_what_is_known_is_told_in_time(
    exposed: Stack, servers: OwnServers, hanging: tuple[str, ...]
) -> None:
    exposed.tick()  # a worker's sign of life
    with exposed.web.clients(exposed.token) as by_worker:
        clients = [client for (client,) in by_worker.values()]
        for client in clients:
            assert client.get("/api/auth/me").status_code == 200
        with stopped(*(getattr(servers, name) for name in hanging)):
            for _ in range(2):  # the first ones learn of the outage, the others know of it
                for scraped in at_once([partial(answer_in_time, one, "get", "/metrics") for one in clients]):
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
                for method, path in ASKED:
                    for answer in at_once([partial(answer_in_time, one, method, path) for one in clients]):
                        if "mongo" in hanging:  # alerts are in MongoDB
                            assert (answer.status_code, answer.json()["detail"]) == (503, "MongoDB")
                        else:
                            assert answer.status_code == 200, answer.text
                for path in ("/api/admin/metrics", "/api/admin/metrics/latency"):
                    for answer in at_once([partial(answer_in_time, one, "get", path) for one in clients]):
                        if "redis" in hanging:  # counters are in Redis
                            assert (answer.status_code, answer.json()["detail"]) == (503, "Redis")
                        else:
                            assert answer.status_code == 200, answer.text
