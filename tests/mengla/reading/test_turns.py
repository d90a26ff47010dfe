"""Callers take turns in the queue, and only so many collections of one caller may wait."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test import Client
from rest_framework.test import APIClient

from apps.auth import services
from apps.core.caching.tiers import get_cache
from apps.core.liveness.processes import note_heartbeat
from apps.core.storage.mongo import collection_of
from apps.mengla.choices import Priority
from apps.mengla.models import Collection
from apps.mengla.queue import jobs
from tests.conftest import bearer_client
from tests.mengla.support import answer, claim, collections, enqueue, hot, make_stale, result_for, store

pytestmark = [pytest.mark.django_db, pytest.mark.mongo, pytest.mark.redis]

FIGURES = "/api/mengla"
BOUND = 3


@pytest.fixture(autouse=True)
def _working(sample_tree: Any, settings: Any) -> None:
    settings.MAX_WAITING_PER_CALLER = BOUND
    settings.COLLECT_SERVICE_URL = "http://service"
    note_heartbeat()


@pytest.fixture
def client_of() -> Callable[[str], APIClient]:
    """Return a client with a new token of the given label."""

    def make(label: str) -> APIClient:
        return bearer_client(services.create_token(label=label, created_by="tests").token)

    return make


def ask(client: Any, month: int = 1, **parameters: Any) -> Any:
    """Ask for the best sellers of a month that are not stored."""
    wanted = {"action": "hot", "primaryCatId": "1001", "timest": f"2024-{month:02}"}
    return client.get(FIGURES, wanted | parameters)


def place_of(response: Any) -> int:
    assert response.status_code == 202, response.content
    place: int = response.json()["data"]["collection"]["position"]
    return place


class TestBound:
    def test_one_more_is_refused_and_says_why(self, reader: APIClient) -> None:
        for month in range(1, BOUND + 1):
            assert ask(reader, month).status_code == 202
        refused = ask(reader, 9)
        assert refused.status_code == 429
        body = refused.json()
        assert (body["success"], body["error"]) == (False, "RATE_LIMITED")
        assert body["message"].startswith("3 collections that you requested are waiting")
        assert int(refused.headers["Retry-After"]) >= 2
        assert len(collections()) == BOUND
        reader.credentials(**reader._credentials | {"HTTP_ACCEPT_LANGUAGE": "zh-hans"})
        assert "有 3 个正在等待" in ask(reader, 9).json()["message"]

    @pytest.mark.parametrize("parameters", [{"product_id": "{}"}, {"extra": '{{"a":{}}}'}])
    def test_variants_count_too(self, reader: APIClient, parameters: dict[str, str]) -> None:
        statuses = [
            ask(reader, **{name: text.format(number) for name, text in parameters.items()}).status_code
            for number in range(BOUND + 2)
        ]
        assert statuses == [202] * BOUND + [429] * 2

    def test_what_waits_already_is_joined_beyond_the_bound(
        self, reader: APIClient, client_of: Callable[[str], APIClient]
    ) -> None:
        other = client_of("other")
        assert ask(other, 9).status_code == 202
        for month in range(1, BOUND + 1):
            ask(reader, month)
        assert ask(reader, 1).status_code == 202
        assert ask(reader, 9).status_code == 202  # it counts for the other one
        assert ask(reader, 8).status_code == 429
        assert [ask(other, month).status_code for month in (1, 2, 3, 7, 8, 10)] == [202] * 5 + [429]

    def test_it_is_of_one_caller(self, client_of: Callable[[str], APIClient]) -> None:
        first, second = client_of("same label"), client_of("same label")
        for month in range(1, BOUND + 1):
            ask(first, month)
        assert ask(first, 9).status_code == 429
        assert ask(second, 8).status_code == 202
        assert len({one["caller"] for one in collections()}) == 2

    def test_what_is_collected_no_longer_waits(self, reader: APIClient) -> None:
        for month in range(1, BOUND + 1):
            ask(reader, month)
        claim()
        assert ask(reader, 9).status_code == 202
        assert ask(reader, 10).status_code == 429

    def test_stored_figures_are_served_beyond_the_bound(self, reader: APIClient) -> None:
        store(hot("202410"))
        make_stale(hot("202410"))
        get_cache().clear_all()
        for month in range(1, BOUND + 1):
            ask(reader, month)
        served = ask(reader, 10)
        assert (served.status_code, served.headers["X-MengLa-Freshness"]) == (200, "stale")
        assert len(collections(status="PENDING")) == BOUND
        assert ask(reader, 10, refresh="true").status_code == 429

    def test_a_collection_of_a_run_becomes_the_readers_or_stays(self, reader: APIClient) -> None:
        for month in range(1, BOUND + 2):
            enqueue(hot(f"2024{month:02}"), Priority.BACKFILL)
        assert [ask(reader, month).status_code for month in range(1, BOUND + 2)] == [202] * BOUND + [429]
        assert [one["priority"] for one in collections()] == [Priority.READER] * BOUND + [Priority.BACKFILL]
        assert [claim()["start_key"] for _ in range(BOUND + 1)] == ["202401", "202402", "202403", "202404"]
        assert ask(reader, BOUND + 1).status_code == 202  # the service works on it: nothing more waits

    def test_a_user_is_one_caller_in_the_api_and_on_the_pages(self, site: Client) -> None:
        chief = User.objects.get(username="chief")
        chief.set_password("a-password-of-chief")
        chief.save()
        site.force_login(chief)
        body = {"username": "chief", "password": "a-password-of-chief"}
        token = APIClient().post("/api/auth/login", body, format="json").json()["data"]["token"]
        for month in range(1, BOUND):
            ask(bearer_client(token), month)
        wanted = {"action": "hot", "granularity": "month", "category": "1001", "period": "2024-10"}
        assert site.get("/admin/data/", wanted).status_code == 200
        page = site.get("/admin/data/", wanted | {"period": "2024-11"})
        assert page.status_code == 429
        assert "3 collections that you requested are waiting" in page.content.decode()
        assert ask(bearer_client(token), 12).status_code == 429

    def test_many_at_once_exceed_it_by_their_number_at_most(self, reader_token: str) -> None:
        def ask_one(number: int) -> int:
            try:
                status: int = ask(bearer_client(reader_token), product_id=str(number)).status_code
                return status
            finally:
                connection.close()

        with ThreadPoolExecutor(4) as threads:
            statuses = list(threads.map(ask_one, range(40)))
        assert set(statuses) == {202, 429}
        assert BOUND <= len(collections()) <= BOUND + 3
        assert statuses.count(202) == len(collections())


class TestTurns:
    @pytest.fixture(autouse=True)
    def _bound(self, settings: Any) -> None:
        settings.MAX_WAITING_PER_CALLER = 100

    def test_callers_take_turns(self, client_of: Callable[[str], APIClient]) -> None:
        a, b, c = (client_of(label) for label in ("caller a", "caller b", "caller c"))
        for number in range(5):
            ask(a, product_id=f"a{number}")
        for number in range(2):
            ask(b, product_id=f"b{number}")
        ask(c, product_id="c0")
        order = [claim()["product_id"] for _ in range(8)]
        assert order == ["a0", "b0", "c0", "a1", "b1", "a2", "a3", "a4"]

    def test_who_comes_late_waits_for_one_of_each(self, client_of: Callable[[str], APIClient]) -> None:
        a, b, c = (client_of(label) for label in ("caller a", "caller b", "caller c"))
        for number in range(20):
            ask(a, product_id=f"a{number}")
        for _ in range(10):
            assert jobs.claim(slot_count=50)
        assert place_of(ask(b, product_id="b0")) == 1
        assert place_of(ask(c, product_id="c0")) == 2
        assert place_of(ask(b, product_id="b1")) == 4  # a10, b0, c0, a11
        order = [one["product_id"] for one in jobs.claim_many(6, slot_count=50)]
        assert order == ["a10", "b0", "c0", "a11", "b1", "a12"]
        assert place_of(ask(a, product_id="a20")) == 7  # its own

    def test_several_are_claimed_together_in_the_same_order(
        self, client_of: Callable[[str], APIClient]
    ) -> None:
        a, b = client_of("caller a"), client_of("caller b")
        enqueue(hot("202506"), Priority.MANUAL)
        for number in range(3):
            ask(a, product_id=f"a{number}")
        ask(b, product_id="b0")
        claimed = jobs.claim_many(4, slot_count=10)
        assert [one["product_id"] for one in claimed] == ["a0", "b0", "a1", "a2"]
        assert [one["priority"] for one in jobs.claim_many(4, slot_count=10)] == [Priority.MANUAL]

    def test_a_reader_goes_before_runs_whatever_its_turn(self, reader: APIClient) -> None:
        enqueue(hot("202506"), Priority.MANUAL)
        for number in range(3):
            ask(reader, product_id=str(number))
        assert [claim()["priority"] for _ in range(4)] == [Priority.READER] * 3 + [Priority.MANUAL]

    def test_a_retry_keeps_its_place(self, client_of: Callable[[str], APIClient], settings: Any) -> None:
        settings.COLLECT_RETRY_DELAY_SECONDS = 0
        a, b = client_of("caller a"), client_of("caller b")
        for number in range(2):
            ask(a, product_id=f"a{number}")
        ask(b, product_id="b0")
        answer(claim(), None, status="failed")
        assert [claim()["product_id"] for _ in range(3)] == ["a0", "b0", "a1"]

    def test_a_collection_of_an_older_version_goes_first(self, reader: APIClient) -> None:
        ask(reader, product_id="new")
        ask(reader, product_id="old")
        collection_of(Collection).update_one({"product_id": "old"}, {"$unset": {"place": 1, "caller": 1}})
        assert place_of(ask(reader, product_id="old")) == 0
        assert claim()["product_id"] == "old"

    def test_an_answer_ends_it_as_ever(self, reader: APIClient) -> None:
        ask(reader)
        answer(claim(), result_for(hot("202401")))
        assert ask(reader).status_code == 200
