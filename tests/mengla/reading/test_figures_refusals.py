"""A Redis that answers and takes no writes: full, or a replica. Reads and webhooks go on."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
import redis
from rest_framework.test import APIClient

from apps.core.caching.tiers import get_cache
from apps.mengla.ingest import cache_sync
from tests.integration.waiting import wait_until
from tests.mengla.ingest.test_webhook_api import SECRET, call, status_of
from tests.mengla.support import begin_attempt, body_for, hot, ranking, reload, statuses, store

pytestmark = [
    pytest.mark.django_db,
    pytest.mark.mongo,
    pytest.mark.redis,
    pytest.mark.usefixtures("sample_tree"),
]
WAIT_SECONDS = 20


class Refusing:
    """A Redis of the test's own, and how it begins and ends to refuse writes."""

    def __init__(self, client: redis.Redis, kind: str) -> None:
        self.client = client
        self.kind = kind

    def begin(self) -> None:
        if self.kind == "full":
            self.client.config_set("maxmemory-policy", "noeviction")
            self.client.config_set("maxmemory", "1")
        else:
            self.client.replicaof("127.0.0.1", "1")  # no server is there; it serves what it has

    def end(self) -> None:
        if self.kind == "full":
            self.client.config_set("maxmemory", "0")
        else:
            self.client.replicaof("NO", "ONE")


@pytest.fixture(params=["full", "replica"])
def refusing(own_redis: redis.Redis, request: pytest.FixtureRequest) -> Iterator[Refusing]:
    return Refusing(own_redis, request.param)


@pytest.fixture
def ask(refusing: Refusing, reader: APIClient) -> Callable[..., Any]:
    def get(**parameters: Any) -> Any:
        asked = {"primaryCatId": "1001", "action": "hot", "timest": "2025-06", **parameters}
        return reader.get("/api/mengla/", asked)

    return get


def names(response: Any) -> list[str]:
    assert response.status_code == 200, response.content
    return [row["catName"] for row in response.json()["data"]["list"]]


def test_what_it_holds_is_still_served_from_it(
    ask: Callable[..., Any], refusing: Refusing, half_a_second_later: Callable[[], None]
) -> None:
    store(hot(), ranking("known"))
    get_cache().clear_l1()
    refusing.begin()
    for expected in ("l2", "l1"):
        half_a_second_later()
        response = ask()
        assert names(response) == ["known"]
        assert response.headers["X-MengLa-Source"] == expected


def test_an_empty_one_is_read_past(
    ask: Callable[..., Any],
    refusing: Refusing,
    written_log: Callable[[], list[dict[str, Any]]],
    half_a_second_later: Callable[[], None],
) -> None:
    store(hot(), ranking("known"))
    refusing.client.flushdb()
    refusing.begin()
    for _ in range(3):
        half_a_second_later()
        response = ask()
        assert names(response) == ["known"]
        assert response.headers["X-MengLa-Source"] == "l3"
    assert len([line for line in written_log() if line["event"] == "redis_unavailable"]) == 1


def test_a_miss_is_enqueued(ask: Callable[..., Any], refusing: Refusing) -> None:
    refusing.begin()
    assert ask().status_code == 202
    assert statuses() == ["PENDING"]


def test_a_login_and_the_admin_go_on(refusing: Refusing, site: Any) -> None:
    refusing.begin()
    assert site.get("/admin/mengla/collection/").status_code == 200


def test_an_answer_is_taken_and_told_when_writes_are_taken_again(
    ask: Callable[..., Any], refusing: Refusing, api: APIClient, settings: Any
) -> None:
    store(hot(), ranking("old"))
    ask()
    attempt = begin_attempt(hot())
    settings.WEBHOOK_SECRET = SECRET
    refusing.begin()
    assert status_of(call(api, body_for(attempt, ranking("new")), attempt)) == "stored"
    assert reload(attempt)["status"] == "SUCCEEDED"
    refusing.end()
    wait_until(lambda: names(ask()) == ["new"], timeout_seconds=WAIT_SECONDS, what="the new figures are read")
    cache_sync.notify_caches_again()
    assert reload(attempt)["is_cache_pending"] is False


def test_what_needs_it_says_so(refusing: Refusing, admin: APIClient) -> None:
    refusing.begin()
    response = admin.post("/api/admin/cache/clear-l1", {})
    assert (response.status_code, response.json()["error"]) == (503, "DEPENDENCY_UNAVAILABLE")
