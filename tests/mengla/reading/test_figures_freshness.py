"""Fresh, stale, empty, partial: which tier answers, and what is asked of the service behind the reader."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
import redis
from rest_framework.test import APIClient

from apps.core.caching.tiers import clear_all, get_cache
from apps.core.storage.mongo import utc_now
from apps.mengla.choices import Priority
from apps.mengla.queries.data_query import DataQuery
from apps.mengla.reading import read as query_service
from apps.mengla.simulator.server import Simulator
from apps.mengla.upstream import breaker
from tests.mengla.support import (
    begin_attempt,
    change,
    change_records,
    claim,
    collections,
    figures_of,
    hot,
    make_stale,
    points,
    ranking,
    records,
    statuses,
    store,
    store_empty,
    trend,
)

pytestmark = [
    pytest.mark.django_db,
    pytest.mark.mongo,
    pytest.mark.redis,
    pytest.mark.usefixtures("sample_tree"),
]
HALF_YEAR = trend("202501", "202506")


class Reader:
    """Asks for one question again and again."""

    def __init__(self, client: APIClient) -> None:
        self.client = client

    def ask(self, query: DataQuery | None = None, **parameters: Any) -> Any:
        query = query or hot()
        asked = {"primaryCatId": query.cat_id, "action": query.action.value, "timest": query.end.key}
        if query.is_trend:
            asked |= {"starRange": query.start.key, "endRange": query.end.key}
        return self.client.get("/api/mengla/", asked | parameters)

    def seen(self, query: DataQuery | None = None, **parameters: Any) -> tuple[int, str | None, str | None]:
        """Status, source and freshness."""
        response = self.ask(query, **parameters)
        return (
            response.status_code,
            response.headers.get("X-MengLa-Source"),
            response.headers.get("X-MengLa-Freshness"),
        )


@pytest.fixture
def ana(reader: APIClient) -> Reader:
    return Reader(reader)


def names(response: Any) -> list[str]:
    return [row["catName"] for row in response.json()["data"]["list"]]


def store_stale(query: DataQuery, result: Any = None) -> None:
    """An answer whose freshness is over, in the database and in no cache."""
    store(query, result)
    make_stale(query)
    clear_all()


def a_moment_later() -> None:
    """Let the pause between two refreshes of one question pass."""
    query_service.recently_refreshed.clear()


class TestTiers:
    def test_from_the_database_to_redis_to_the_process(self, ana: Reader) -> None:
        store(hot())
        clear_all()
        assert ana.seen() == (200, "l3", "fresh")
        assert ana.seen() == (200, "l1", "fresh")
        get_cache().clear_l1()  # another process
        assert ana.seen() == (200, "l2", "fresh")
        assert ana.seen() == (200, "l1", "fresh")

    def test_every_action_uses_them_trends_too(self, ana: Reader) -> None:
        store(HALF_YEAR)
        assert ana.seen(HALF_YEAR) == (200, "l3", "fresh")
        assert ana.seen(HALF_YEAR) == (200, "l1", "fresh")

    def test_a_new_answer_is_in_redis_at_once(self, ana: Reader) -> None:
        store(hot())
        get_cache().clear_l1()
        assert ana.seen() == (200, "l2", "fresh")

    def test_the_bytes_are_the_same_from_everywhere(self, ana: Reader) -> None:
        store(hot())
        clear_all()
        bodies = [ana.ask().content, ana.ask().content]
        get_cache().clear_l1()
        bodies.append(ana.ask().content)
        assert len(set(bodies)) == 1

    def test_a_newer_answer_is_served_at_once(self, ana: Reader) -> None:
        store(hot(), ranking("old"))
        assert names(ana.ask()) == ["old"]
        make_stale(hot())
        store(hot(), ranking("new"))
        assert names(ana.ask()) == ["new"]

    def test_one_new_point_outdates_every_range_it_is_in(self, ana: Reader) -> None:
        store(HALF_YEAR, points(**{f"p20250{month}": month for month in range(1, 7)}))
        for query in (HALF_YEAR, trend("202502", "202503")):
            ana.ask(query)
        make_stale(trend("202503", "202503"))
        store(trend("202503", "202503"), points(p202503=333))
        assert [p["monthSales"] for p in ana.ask(HALF_YEAR).json()["data"]] == [1, 2, 333, 4, 5, 6]
        assert [p["monthSales"] for p in ana.ask(trend("202502", "202503")).json()["data"]] == [2, 333]


class TestStale:
    def test_is_served_at_once_and_refreshed_once_behind(self, ana: Reader) -> None:
        store_stale(hot(), ranking("old"))
        for expected in ("l3", "l1", "l1"):
            response = ana.ask()
            assert names(response) == ["old"]
            assert response.headers["X-MengLa-Source"] == expected
            assert response.headers["X-MengLa-Freshness"] == "stale"
        assert statuses() == ["SUCCEEDED", "PENDING"]
        assert collections()[-1]["priority"] == Priority.READER

    def test_the_refreshed_answer_follows(
        self, ana: Reader, service: Simulator, collect_all: Callable[[], int]
    ) -> None:
        store_stale(hot(), ranking("old"))
        ana.ask()
        assert collect_all() == 1
        response = ana.ask()
        assert response.json()["data"]["list"] == figures_of(hot())["list"]
        assert response.headers["X-MengLa-Freshness"] == "fresh"

    def test_from_the_caches_too(self, ana: Reader) -> None:
        store(hot())
        ana.ask()
        make_stale(hot())
        clear_all()
        ana.ask()  # the caches now hold it as stale
        change(
            collections()[-1], status="FAILED", active_key=None, finished_at=utc_now() - timedelta(hours=1)
        )
        a_moment_later()
        assert ana.seen() == (200, "l1", "stale")
        assert statuses() == ["SUCCEEDED", "FAILED", "PENDING"]

    def test_waiting_is_not_for_who_has_an_answer(self, ana: Reader) -> None:
        store_stale(hot())
        assert ana.seen(wait=30)[0] == 200

    def test_after_a_failure_it_is_not_asked_again_and_again(self, ana: Reader) -> None:
        store_stale(hot())
        ana.ask()
        change(claim(), status="FAILED", active_key=None, slot=None, finished_at=utc_now())
        for _ in range(3):
            a_moment_later()
            assert ana.seen()[0] == 200
        assert len(collections()) == 2

    def test_while_the_service_is_down_it_is_simply_served(self, ana: Reader, settings: Any) -> None:
        settings.COLLECT_SERVICE_URL = "http://service"
        store_stale(hot(), ranking("old"))
        for _ in range(settings.CB_FAILURE_THRESHOLD):
            breaker.record_failure("connect_error")
        assert breaker.snapshot().next_probe_seconds > 0
        for _ in range(2):
            assert ana.seen()[::2] == (200, "stale")
        assert len(collections()) == 2  # one waits for the service to come back

    def test_until_the_end_of_its_retention_and_no_longer(self, ana: Reader) -> None:
        store(hot())
        soon = utc_now() + timedelta(seconds=30)
        change_records(hot(), fresh_until=utc_now() - timedelta(days=80), expired_at=soon)
        clear_all()
        assert ana.seen() == (200, "l3", "stale")
        change_records(hot(), expired_at=utc_now())
        clear_all()
        assert ana.seen()[0] == 202

    def test_many_readers_cause_one_refresh(self, ana: Reader) -> None:
        store_stale(hot())
        for _ in range(5):
            clear_all()  # each in a process of its own
            a_moment_later()
            assert ana.seen()[2] == "stale"
        assert len(collections()) == 2


class TestEmpty:
    def test_is_believed_for_a_short_time(self, ana: Reader, settings: Any) -> None:
        settings.EMPTY_TTL_SECONDS = 600
        store_empty(hot())
        for _ in range(2):
            assert ana.seen()[::2] == (200, "empty")
        assert len(collections()) == 1
        (record,) = records().values()
        assert record["fresh_until"] - record["collected_at"] == timedelta(seconds=600)

    def test_then_it_is_asked_again_behind_the_reader(self, ana: Reader) -> None:
        store_empty(hot())
        make_stale(hot())
        clear_all()
        assert ana.seen()[::2] == (200, "empty")
        assert statuses() == ["EMPTY", "PENDING"]

    def test_figures_take_its_place(self, ana: Reader) -> None:
        store_empty(hot())
        ana.ask()
        make_stale(hot())
        store(hot(), ranking("at last"))
        response = ana.ask()
        assert names(response) == ["at last"]
        assert response.headers["X-MengLa-Freshness"] == "fresh"

    def test_it_never_takes_the_place_of_figures(self, ana: Reader) -> None:
        store_stale(hot(), ranking("kept"))
        store_empty(hot())
        response = ana.ask()
        assert names(response) == ["kept"]

    def test_a_trend_without_a_single_point(self, ana: Reader) -> None:
        store_empty(HALF_YEAR)
        response = ana.ask(HALF_YEAR)
        assert (response.status_code, response.json()["data"]) == (200, None)
        assert response.json()["message"] == "empty: no_points"
        assert response.headers["X-MengLa-Freshness"] == "empty"

    def test_empty_points_do_not_answer_for_those_never_asked(self, ana: Reader) -> None:
        store_empty(trend("202501", "202502"))
        assert ana.seen(HALF_YEAR)[0] == 202
        assert collections()[-1]["identity"] == HALF_YEAR.identity


class TestPartial:
    def test_is_told_every_time_and_asked_as_one_range(self, ana: Reader) -> None:
        for month in ("202501", "202503", "202506"):
            store(trend(month, month), points(**{f"p{month}": 1}))
        for _ in range(3):
            response = ana.ask(HALF_YEAR)
            assert response.status_code == 200
            assert response.headers["X-MengLa-Trend-Partial"] == "6,3"
            assert [p["timest"] for p in response.json()["data"]] == ["2025-01", "2025-03", "2025-06"]
        pending = collections(status="PENDING")
        assert [one["identity"] for one in pending] == [trend("202502", "202505").identity]

    def test_it_is_complete_when_the_rest_has_come(
        self, ana: Reader, service: Simulator, collect_all: Callable[[], int]
    ) -> None:
        store(trend("202501", "202503"))
        ana.ask(HALF_YEAR)
        collect_all()
        response = ana.ask(HALF_YEAR)
        assert "X-MengLa-Trend-Partial" not in response.headers
        assert response.json()["data"] == figures_of(HALF_YEAR)
        assert response.headers["X-MengLa-Freshness"] == "fresh"

    def test_the_rest_is_asked_again_when_its_collection_failed(self, ana: Reader) -> None:
        store(trend("202501", "202503"))
        ana.ask(HALF_YEAR)
        change(claim(), status="FAILED", active_key=None, slot=None, finished_at=utc_now())
        a_moment_later()
        assert ana.ask(HALF_YEAR).headers["X-MengLa-Trend-Partial"] == "6,3"
        assert statuses() == ["SUCCEEDED", "FAILED", "PENDING"]

    def test_points_the_service_does_not_have_are_told_too(self, ana: Reader) -> None:
        store(HALF_YEAR, points(p202501=1, p202502=2))
        response = ana.ask(HALF_YEAR)
        assert response.headers["X-MengLa-Trend-Partial"] == "6,2"
        assert len(collections()) == 1  # they are believed to be missing for a while

    def test_stale_points_are_refreshed_alone(self, ana: Reader) -> None:
        store(HALF_YEAR)
        make_stale(trend("202504", "202505"))
        clear_all()
        assert ana.seen(HALF_YEAR) == (200, "l3", "stale")
        assert collections()[-1]["identity"] == trend("202504", "202505").identity


class TestRefresh:
    def test_asks_though_the_answer_is_fresh(
        self, ana: Reader, service: Simulator, collect_all: Callable[[], int]
    ) -> None:
        store(hot(), ranking("old"))
        response = ana.ask(refresh="true")
        assert response.status_code == 202
        assert collections()[-1]["is_forced"] is True
        assert names(ana.ask()) == ["old"]  # others go on reading
        assert collect_all() == 1
        assert ana.ask().json()["data"]["list"] == figures_of(hot())["list"]

    def test_joins_what_is_under_way(self, ana: Reader) -> None:
        attempt = begin_attempt(hot())
        body = ana.ask(refresh="true").json()
        assert body["data"]["collection"]["id"] == str(attempt["_id"])
        assert len(collections()) == 1

    def test_of_a_trend_asks_for_the_whole_range(self, ana: Reader) -> None:
        store(HALF_YEAR)
        ana.ask(HALF_YEAR, refresh="true")
        assert collections()[-1]["identity"] == HALF_YEAR.identity


def test_losing_all_of_redis_loses_nothing(
    ana: Reader, redis_client: redis.Redis, half_a_second_later: Callable[[], None]
) -> None:
    store(hot())
    ana.ask()
    ana.ask(hot("202507"))
    redis_client.flushdb()
    half_a_second_later()
    assert ana.seen() == (200, "l3", "fresh")
    assert statuses() == ["SUCCEEDED", "PENDING"]
