"""The dispatcher and a simulated collection service, over real HTTP in both directions: what is sent."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
import redis
from redis.exceptions import LockNotOwnedError
from redis.lock import Lock

from apps.core.scheduling.broker import RedisBroker
from apps.core.storage.locks import lease_of
from apps.mengla.choices import Priority
from apps.mengla.dispatch import dispatcher
from apps.mengla.dispatch.dispatcher import LEASE_NAME, run_dispatch
from apps.mengla.queue import wakeup
from apps.mengla.simulator.server import Simulator
from apps.mengla.upstream.client import CollectionServiceClient
from tests.integration.waiting import wait_until
from tests.mengla.stub_service import TASK_NAME, Reply, StubService, accepted, tasks
from tests.mengla.support import (
    collections,
    enqueue,
    figures_of,
    hot,
    make_stale,
    records,
    statuses,
    store,
    store_empty,
    trend,
)

pytestmark = [pytest.mark.django_db, pytest.mark.mongo, pytest.mark.redis]
CollectAll = Callable[[], int]
WAIT_SECONDS = 20
MONTHS = [f"2025{number:02}" for number in range(1, 13)]


def is_woken() -> bool:
    return RedisBroker().queue_size() > 0


class TestSending:
    def test_figures_come_over_http_and_webhook_into_the_store(
        self, service: Simulator, collect_all: CollectAll
    ) -> None:
        enqueue(hot())
        assert collect_all() == 1
        assert [record["data"] for record in records().values()] == [figures_of(hot())]
        (collection,) = collections()
        assert (collection["status"], collection["attempts"]) == ("SUCCEEDED", 1)
        assert collection["execution_id"]
        stats = service.stats()
        assert (stats["executions"], stats["task_list_requests"], stats["invalid_requests"]) == (1, 1, 0)

    @pytest.mark.parametrize(
        "query",
        [
            hot("20250601"),
            hot("2025Q2"),
            hot("2025"),
            hot(cat_id=""),
            hot(product_id="p", extra={"a": [1]}),
            trend("202501", "202506"),
            trend("20240228", "20240302"),
        ],
        ids=lambda query: query.identity,
    )
    def test_every_kind_of_question_is_understood_by_the_service(
        self, service: Simulator, collect_all: CollectAll, query: Any
    ) -> None:
        enqueue(query)
        collect_all()
        assert service.stats()["invalid_requests"] == 0
        stored = records()
        figures = [stored[record_id]["data"] for record_id in query.record_ids]
        assert figures == (figures_of(query) if query.is_trend else [figures_of(query)])

    def test_the_task_is_looked_up_once_for_all(self, service: Simulator, collect_all: CollectAll) -> None:
        for month in MONTHS[:4]:
            enqueue(hot(month))
        collect_all()
        assert service.stats()["task_list_requests"] == 1

    def test_readers_go_first(self, service: Simulator, collect_all: CollectAll) -> None:
        enqueue(hot("202501"), Priority.BACKFILL)
        enqueue(hot("202502"), Priority.SCHEDULED)
        enqueue(hot("202503"), Priority.READER)
        enqueue(hot("202504"), Priority.BACKFILL)
        enqueue(hot("202504"), Priority.MANUAL)
        collect_all()
        assert [key[-2:] for key in service.stats()["recent_keys"]] == ["03", "04", "02", "01"]

    @pytest.mark.parametrize("slots", [1, 3])
    def test_so_many_are_in_flight_at_once(self, service: Simulator, settings: Any, slots: int) -> None:
        settings.MAX_INFLIGHT_REQUESTS = slots
        service.set_knobs(drop_rate=1.0)
        for month in MONTHS[:5]:
            enqueue(hot(month))
        assert run_dispatch() == slots
        assert statuses().count("DISPATCHED") == slots

    def test_the_webhook_address_names_collection_and_attempt(self, stub: StubService) -> None:
        stub.say(tasks(TASK_NAME), accepted())
        enqueue(hot())
        run_dispatch()
        (collection,) = collections()
        address = urlsplit(stub.posts[0].json["webhookUrl"])
        assert parse_qs(address.query) == {
            "collection": [str(collection["_id"])],
            "token": [collection["attempt_token"]],
        }

    def test_nothing_to_do(self, service: Simulator) -> None:
        assert run_dispatch() == 0
        assert service.stats()["total_requests"] == 0

    def test_no_service_is_configured(self, settings: Any) -> None:
        settings.COLLECT_SERVICE_URL = None
        enqueue(hot())
        assert run_dispatch() == 0
        assert statuses() == ["PENDING"]


class TestAnsweredMeanwhile:
    """An answer that came after the question was enqueued saves the request."""

    def test_the_same_record(self, service: Simulator, collect_all: CollectAll) -> None:
        store(hot())
        enqueue(hot())
        assert collect_all() == 0
        assert statuses() == ["SUCCEEDED", "SUCCEEDED"]
        assert service.stats()["execute_requests"] == 0

    def test_a_range_that_lies_in_another(self, service: Simulator, collect_all: CollectAll) -> None:
        enqueue(trend("202501", "202506"))
        enqueue(trend("202502", "202503"))
        assert collect_all() == 1
        assert statuses() == ["SUCCEEDED", "SUCCEEDED"]

    def test_a_range_that_only_overlaps_is_asked_for(
        self, service: Simulator, collect_all: CollectAll
    ) -> None:
        enqueue(trend("202501", "202506"))
        enqueue(trend("202506", "202507"))
        assert collect_all() == 2

    def test_an_empty_answer_makes_it_empty(self, service: Simulator, collect_all: CollectAll) -> None:
        store_empty(hot())
        enqueue(hot())
        assert collect_all() == 0
        ended = collections()[-1]
        assert (ended["status"], ended["empty_reason"]) == ("EMPTY", "empty_list")

    def test_a_stale_answer_does_not_count(self, service: Simulator, collect_all: CollectAll) -> None:
        store(hot())
        make_stale(hot())
        enqueue(hot())
        assert collect_all() == 1

    def test_a_refresh_is_asked_anyway(self, service: Simulator, collect_all: CollectAll) -> None:
        store(hot())
        enqueue(hot(), is_forced=True)
        assert collect_all() == 1

    def test_the_saved_turn_goes_to_the_next_one(
        self, service: Simulator, collect_all: CollectAll, settings: Any
    ) -> None:
        enqueue(hot("202501"))
        collect_all()
        settings.COLLECT_INTERVAL_SECONDS = 3600
        enqueue(hot("202501"))
        enqueue(hot("202502"))
        assert run_dispatch() == 1


class TestLongWaits:
    """No worker is blocked meanwhile, and no collection waits for the tick."""

    @pytest.fixture(autouse=True)
    def _long(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(dispatcher, "_MAX_IDLE_WAIT_SECONDS", 0.05)

    def dispatch_when_woken(self, *, until: Callable[[], bool]) -> None:
        run_dispatch()
        while not until():
            wait_until(is_woken, timeout_seconds=WAIT_SECONDS, what="the dispatcher is woken")
            RedisBroker().purge_queue()
            run_dispatch()

    def test_an_interval(self, stub: StubService, settings: Any) -> None:
        settings.COLLECT_INTERVAL_SECONDS = 0.3
        settings.MAX_INFLIGHT_REQUESTS = 3
        stub.say(tasks(TASK_NAME), accepted("x1"), accepted("x2"), accepted("x3"))
        for month in MONTHS[:3]:
            enqueue(hot(month))
        RedisBroker().purge_queue()
        self.dispatch_when_woken(until=lambda: len(stub.posts) == 3)
        assert statuses() == ["DISPATCHED"] * 3

    def test_a_retry(self, stub: StubService, settings: Any) -> None:
        settings.COLLECT_RETRY_DELAY_SECONDS = 0.3
        stub.say(tasks(TASK_NAME), Reply({}, 500), accepted())
        enqueue(hot())
        RedisBroker().purge_queue()
        self.dispatch_when_woken(until=lambda: len(stub.posts) == 2)
        assert statuses() == ["DISPATCHED"]

    def test_what_is_due_after_the_next_tick_is_left_to_it(self, stub: StubService, settings: Any) -> None:
        settings.COLLECT_INTERVAL_SECONDS = 3600
        stub.say(tasks(TASK_NAME), accepted())
        enqueue(hot())
        run_dispatch()
        assert not wakeup.alarm.is_set


class TestOneDispatcher:
    def test_a_second_one_leaves_word_and_goes(self, service: Simulator, redis_client: redis.Redis) -> None:
        enqueue(hot())
        lease_of(LEASE_NAME, ttl_seconds=30).acquire()
        assert run_dispatch() == 0
        assert statuses() == ["PENDING"]
        assert wakeup.consume_rerun_request(redis_client)

    def test_the_holder_looks_again_when_there_is_word(
        self, service: Simulator, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """New work that comes in the very moment the dispatcher goes is not left lying."""
        rounds: list[int] = []
        send_all_due = dispatcher._send_all_due

        def send_and_get_word(*arguments: Any, **options: Any) -> int:
            rounds.append(send_all_due(*arguments, **options))
            if len(rounds) == 1:
                enqueue(hot())
                assert run_dispatch() == 0  # another worker was woken, and finds the lease taken
            return rounds[-1]

        monkeypatch.setattr(dispatcher, "_send_all_due", send_and_get_word)
        assert run_dispatch() == 1
        assert rounds == [0, 1]

    def test_the_lease_is_free_afterwards(self, service: Simulator) -> None:
        run_dispatch()
        assert lease_of(LEASE_NAME, ttl_seconds=30).acquire()

    def test_several_without_any_lease_send_nothing_twice(
        self, service: Simulator, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        acquire = Lock.acquire
        monkeypatch.setattr(Lock, "acquire", lambda lease: LEASE_NAME in lease.name or acquire(lease))
        for month in MONTHS:
            enqueue(hot(month))
        for _ in MONTHS * 3:
            if not collections(active_key={"$ne": None}):
                break
            threads = [threading.Thread(target=run_dispatch) for _ in range(3)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            assert service.wait_idle(10)
        assert statuses() == ["SUCCEEDED"] * len(MONTHS)
        stats = service.stats()
        assert stats["execute_requests"] == len(MONTHS)
        assert stats["max_concurrent_posts"] == 1

    def test_a_lost_lease_ends_the_run_and_another_dispatcher_is_woken(
        self, service: Simulator, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(dispatcher, "_LEASE_RENEW_SECONDS", 0.01)
        monkeypatch.setattr(dispatcher, "_send_next", lambda *_: dispatcher._Pause(0.01))  # for ever

        def refuse(_lease: Lock) -> bool:
            raise LockNotOwnedError("its time was up")

        monkeypatch.setattr(Lock, "reacquire", refuse)
        run_dispatch(max_seconds=60)
        assert is_woken()

    def test_a_request_without_end_does_not_keep_the_lease_for_ever(
        self, service: Simulator, settings: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        settings.COLLECT_REQUEST_TIMEOUT_SECONDS = 0
        monkeypatch.setattr(dispatcher, "_LEASE_RENEW_SECONDS", 0.01)
        lease = lease_of(LEASE_NAME, ttl_seconds=30)
        lease.acquire()
        client = CollectionServiceClient()
        with client, dispatcher._keep_alive(lease, client, until=0) as is_lost:
            assert is_lost.wait(10)

    def test_when_its_time_is_up_the_next_one_is_woken(self, service: Simulator) -> None:
        enqueue(hot())
        assert run_dispatch(max_seconds=0) == 0
        assert is_woken()
