"""The control room while MongoDB or Redis hangs: each page answers in time and says what it lacks."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import httpx
import pytest

from tests.integration.databases import OwnServers, stopped
from tests.integration.stack import Stack
from tests.integration.waiting import at_once, wait_until
from tests.integration.wall_clock.promises import in_time

pytestmark = [pytest.mark.slow, pytest.mark.mongo, pytest.mark.redis]

PROMISED_SECONDS = 4.0
DASHBOARD, LIVE, COVERAGE, DATA = "/admin/", "/admin/live/", "/admin/coverage/", "/admin/data/"
JSON = {"Accept": "application/json"}


@pytest.fixture
def browsers(exposed: Stack) -> Iterator[list[httpx.Client]]:
    """A browser of the admin at each of the web processes, with one login for all."""
    with exposed.web.clients(None) as by_worker:
        clients = [client for (client,) in by_worker.values()]
        first = clients[0]
        first.get("/admin/login/")
        form = {
            "username": "admin",
            "password": exposed.environment["ADMIN_PASSWORD"],
            "csrfmiddlewaretoken": first.cookies["csrftoken"],
        }
        assert first.post("/admin/login/", params={"next": DASHBOARD}, data=form).status_code == 302
        for client in clients[1:]:
            client.cookies.update(first.cookies)
        yield clients


def opened(client: httpx.Client, path: str, **options: object) -> httpx.Response:
    """Open a page, which must come within the promised time."""
    return in_time(partial(client.get, path, **options), seconds=PROMISED_SECONDS)  # type: ignore[arg-type]


def available(answer: httpx.Response) -> set[str]:
    assert answer.status_code == 200, answer.text
    return {name for name, part in answer.json()["parts"].items() if part["available"]}


def test_while_mongodb_hangs_the_pages_answer(
    exposed: Stack, servers: OwnServers, browsers: list[httpx.Client]
) -> None:
    everything = available(browsers[0].get(LIVE, headers=JSON))
    assert {"mongodb", "redis", "hours", "queue", "breaker", "cache"} <= everything

    def look(browser: httpx.Client) -> None:
        page = opened(browser, DASHBOARD)
        assert page.status_code == 503
        assert "MongoDB does not respond" in page.text
        assert available(opened(browser, LIVE, headers=JSON)) == {
            *("redis", "breaker", "latency", "cache", "webhooks")
        }
        for path in (COVERAGE, DATA):
            assert opened(browser, path).status_code == 503

    with stopped(servers.mongo):
        at_once(partial(look, browser) for browser in browsers)  # each at a process of its own
    wait_until(
        lambda: all(browser.get(DASHBOARD).status_code == 200 for browser in browsers),
        timeout_seconds=15,
        what="the dashboard is whole again",
    )


def test_while_redis_hangs_the_pages_answer(
    exposed: Stack, servers: OwnServers, browsers: list[httpx.Client]
) -> None:
    def look(browser: httpx.Client) -> None:
        page = opened(browser, DASHBOARD)
        assert page.status_code == 200
        assert "Unavailable" in page.text
        assert {"mongodb", "hours", "queue"} <= available(opened(browser, LIVE, headers=JSON))
        for path in (COVERAGE, DATA):
            assert opened(browser, path).status_code == 200

    with stopped(servers.redis):
        at_once(partial(look, browser) for browser in browsers)
    with stopped(servers.redis, servers.mongo):
        for page in at_once(partial(opened, browser, DASHBOARD) for browser in browsers):
            assert page.status_code == 503
