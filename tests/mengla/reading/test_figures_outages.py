"""Reading while MongoDB, Redis or both are down: what is known is served, the rest is 503, nothing hangs."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
import redis
from pymongo.errors import OperationFailure
from rest_framework.test import APIClient

from apps.core.caching.retries import retries
from apps.core.caching.tiers import clear_all, get_cache
from apps.core.storage import mongo as core_mongo
from apps.core.storage.outages import mongo_outage, redis_outage
from apps.mengla.ingest import cache_sync, receive
from apps.mengla.reading import read as query_service
from tests.mengla.support import (
    answer,
    begin_attempt,
    claim,
    collections,
    hot,
    make_stale,
    ranking,
    records,
    reload,
    statuses,
    store,
    trend,
)
from tests.silence import no_mongo

pytestmark = [
    pytest.mark.django_db,
    pytest.mark.mongo,
    pytest.mark.redis,
    pytest.mark.usefixtures("sample_tree"),
]
CLOSED_PORT = 1


class Outage:
    """A server that is down between :meth:`begin` and :meth:`end`; counts who asks it meanwhile."""

    def __init__(self, target: str, failing: Callable[[], Any], forget: Callable[[], None]) -> None:
        self.asked = 0
        self._target = target
        self._failing = failing
        self._forget = forget
        self._patch = pytest.MonkeyPatch()

    def begin(self) -> None:
        def ask(*_arguments: Any) -> Any:
            self.asked += 1
            return self._failing()

        self._patch.setattr(self._target, ask)

    def end(self) -> None:
        self._patch.undo()
        self._forget()


def closed_redis() -> redis.Redis:
    # On a pool, as django-redis has it: a client without one retries for seconds.
    return redis.Redis(connection_pool=redis.ConnectionPool(port=CLOSED_PORT, retry=None))


@pytest.fixture
def mongo() -> Iterator[Outage]:
    outage = Outage("apps.core.storage.mongo._connection", no_mongo, mongo_outage.forget)
    yield outage
    outage.end()


@pytest.fixture
def redis_down() -> Iterator[Outage]:
    outage = Outage("apps.core.storage.redis.get_redis", closed_redis, redis_outage.forget)
    yield outage
    outage.end()


@pytest.fixture
def ask(reader: APIClient) -> Callable[..., Any]:
    reader.get("/api/auth/me")  # the token is known from now on

    def get(**parameters: Any) -> Any:
        return reader.get(
            "/api/mengla/", {"primaryCatId": "1001", "action": "hot", "timest": "2025-06", **parameters}
        )

    return get


def assert_unavailable(response: Any) -> None:
    assert (response.status_code, response.json()["error"]) == (503, "DEPENDENCY_UNAVAILABLE")
    assert response.json()["success"] is False


class TestMongoIsDown:
    @pytest.mark.parametrize("tier", ["l1", "l2"])
    def test_what_the_caches_hold_is_served(self, ask: Callable[..., Any], mongo: Outage, tier: str) -> None:
        store(hot())
        ask()
        if tier == "l2":
            get_cache().clear_l1()
        mongo.begin()
        response = ask()
        assert response.status_code == 200
        assert response.headers["X-MengLa-Source"] == tier
        assert mongo.asked == 0

    def test_stale_answers_too_and_only_one_reader_pays_for_it(
        self, ask: Callable[..., Any], mongo: Outage
    ) -> None:
        store(hot())
        make_stale(hot())
        clear_all()
        ask()
        query_service.recently_refreshed.clear()
        mongo.begin()
        for _ in range(5):
            response = ask()
            assert (response.status_code, response.headers["X-MengLa-Freshness"]) == (200, "stale")
        assert mongo.asked == 1

    def test_what_no_cache_holds_is_unavailable(self, ask: Callable[..., Any], mongo: Outage) -> None:
        mongo.begin()
        for parameters in ({}, {"wait": 5}, {"refresh": "true"}):
            assert_unavailable(ask(**parameters))

    def test_another_error_is_not_taken_for_an_outage(
        self, ask: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def refuse() -> Any:
            raise OperationFailure("not authorised", 13)

        monkeypatch.setattr(core_mongo, "_connection", refuse)
        assert ask().status_code == 500
        assert not mongo_outage.is_known

    def test_a_partial_trend_that_wants_to_wait_gets_what_is_known(
        self, ask: Callable[..., Any], mongo: Outage
    ) -> None:
        store(trend("202501", "202503"))
        parameters = {"action": "industryTrendRange", "starRange": "2025-01", "wait": 5}
        ask(**parameters | {"wait": 0})
        mongo.begin()
        response = ask(**parameters)
        assert response.status_code == 200
        assert response.headers["X-MengLa-Trend-Partial"] == "6,3"

    def test_afterwards_everything_goes_on(self, ask: Callable[..., Any], mongo: Outage) -> None:
        mongo.begin()
        ask()
        mongo.end()
        assert ask().status_code == 202
        assert statuses() == ["PENDING"]


class TestRedisIsDown:
    def test_the_database_is_read(
        self, ask: Callable[..., Any], redis_down: Outage, half_a_second_later: Callable[[], None]
    ) -> None:
        store(hot())
        ask()
        redis_down.begin()
        half_a_second_later()
        for _ in range(3):
            response = ask()
            assert response.status_code == 200
            assert response.headers["X-MengLa-Source"] == "l3"

    def test_a_miss_is_enqueued(self, ask: Callable[..., Any], redis_down: Outage) -> None:
        redis_down.begin()
        response = ask()
        assert response.status_code == 202
        assert statuses() == ["PENDING"]

    def test_only_one_caller_in_a_while_pays_for_it(
        self,
        ask: Callable[..., Any],
        redis_down: Outage,
        half_a_second_later: Callable[[], None],
    ) -> None:
        store(hot())
        redis_down.begin()
        half_a_second_later()
        for _ in range(5):
            ask()
        assert redis_down.asked == 1

    def test_what_was_outdated_meanwhile_is_not_served(
        self,
        ask: Callable[..., Any],
        redis_down: Outage,
        half_a_second_later: Callable[[], None],
    ) -> None:
        store(hot(), ranking("old"))
        ask()
        attempt = begin_attempt(hot())
        redis_down.begin()
        half_a_second_later()
        answer(attempt, ranking("new"))
        assert ask().json()["data"]["list"] == [{"catName": "new"}]

    def test_an_answer_is_stored_and_the_caches_are_told_later(
        self, ask: Callable[..., Any], redis_down: Outage
    ) -> None:
        store(hot(), ranking("old"))
        get_cache().clear_l1()
        attempt = begin_attempt(hot())
        redis_down.begin()
        answer(attempt, ranking("new"))
        assert reload(attempt)["status"] == "SUCCEEDED"
        assert reload(attempt)["is_cache_pending"] is True
        retries.clear()  # as if this process had been killed: what the tick does is left
        redis_down.end()
        assert cache_sync.notify_caches_again() == 1
        assert reload(attempt)["is_cache_pending"] is False
        assert cache_sync.notify_caches_again() == 0
        response = ask()
        assert response.headers["X-MengLa-Source"] in ("l1", "l2")
        assert response.json()["data"]["list"] == [{"catName": "new"}]

    def test_while_it_stays_down_the_debt_stays(self, redis_down: Outage) -> None:
        attempt = begin_attempt(trend("202501", "202502"))
        redis_down.begin()
        answer(attempt, [{"timest": "2025-01", "monthSales": 1}])
        assert cache_sync.notify_caches_again() == 0
        assert reload(attempt)["is_cache_pending"] is True


class TestBothAreDown:
    def test_what_this_process_last_knew_is_served(
        self,
        ask: Callable[..., Any],
        mongo: Outage,
        redis_down: Outage,
        half_a_second_later: Callable[[], None],
    ) -> None:
        store(hot(), ranking("known"))
        ask()
        redis_down.begin()
        mongo.begin()
        half_a_second_later()
        for _ in range(5):
            response = ask()
            assert response.status_code == 200
            assert response.json()["data"]["list"] == [{"catName": "known"}]
        assert (mongo.asked, redis_down.asked) == (1, 1)

    def test_the_rest_is_unavailable(
        self, ask: Callable[..., Any], mongo: Outage, redis_down: Outage
    ) -> None:
        redis_down.begin()
        mongo.begin()
        assert_unavailable(ask())


def test_an_answer_that_comes_while_mongodb_is_down_is_not_lost(
    ask: Callable[..., Any], mongo: Outage
) -> None:
    ask()
    attempt = claim()
    mongo.begin()
    body = {"status": "completed", "resultData": ranking("kept")}
    receipt = receive.receive_or_defer(
        body, collection_id=str(attempt["_id"]), token=attempt["attempt_token"]
    )
    assert receipt is receive.Receipt.PARKED
    mongo.end()
    assert records() == {}
    assert receive.receive_deferred() == 1
    assert ask().json()["data"]["list"] == [{"catName": "kept"}]
    assert [one["status"] for one in collections()] == ["SUCCEEDED"]
