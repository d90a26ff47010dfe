"""Without an interval, a dispatcher sends as many requests at the same time as there are slots."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest
import redis
from bson import ObjectId
from pymongo.errors import AutoReconnect
from redis.exceptions import LockNotOwnedError
from redis.lock import Lock

from apps.core.scheduling.broker import RedisBroker
from apps.core.storage.locks import lease_of
from apps.core.storage.mongo import utc_now
from apps.mengla.dispatch import dispatcher
from apps.mengla.dispatch.dispatcher import LEASE_NAME, run_dispatch
from apps.mengla.dispatch.senders import Senders
from apps.mengla.queue import jobs, wakeup
from apps.mengla.simulator.server import Simulator
from apps.mengla.upstream import breaker, client, spacing
from apps.mengla.upstream.client import CollectionServiceClient
from apps.mengla.upstream.spacing import OpenTurn, Turn
from tests.mengla.stub_service import TASK_NAME, Reply, StubService, accepted, tasks
from tests.mengla.support import change, collections, enqueue, hot, statuses, store

pytestmark = [pytest.mark.django_db, pytest.mark.mongo, pytest.mark.redis]
SLOTS = 4
MONTHS = [f"2025{number:02}" for number in range(1, 13)]


@pytest.fixture(autouse=True)
def _no_interval(settings: Any) -> None:
    settings.COLLECT_INTERVAL_SECONDS = 0
    settings.MAX_INFLIGHT_REQUESTS = SLOTS


@pytest.fixture
def execute(stub: StubService, monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[[], None]], list[str]]:
    """Replace the requests of executions by a step; returns a list of the threads that will make them."""

    def replace(step: Callable[[], None]) -> list[str]:
        threads: list[str] = []
        send = CollectionServiceClient.execute

        def executing(service: CollectionServiceClient, **options: Any) -> str:
            threads.append(threading.current_thread().name)
            step()
            return f"{send(service, **options)}-{options['webhook_url'][-8:]}"

        monkeypatch.setattr(CollectionServiceClient, "execute", executing)
        return threads

    stub.say(tasks(TASK_NAME), accepted())
    return replace


def enqueue_months(count: int) -> None:
    for month in MONTHS[:count]:
        enqueue(hot(month))


def test_as_many_are_sent_at_the_same_time_as_there_are_slots(
    stub: StubService, execute: Callable[[Callable[[], None]], list[str]]
) -> None:
    together = threading.Barrier(SLOTS, timeout=20)
    execute(lambda: together.wait() and None)
    enqueue_months(SLOTS + 2)
    assert run_dispatch() == len(stub.posts) == SLOTS
    assert statuses() == ["DISPATCHED"] * SLOTS + ["PENDING"] * 2
    assert all(one["execution_id"] for one in collections(status="DISPATCHED"))
    assert lease_of(LEASE_NAME, ttl_seconds=30).acquire()


def test_all_are_collected_once_and_never_more_in_flight_than_slots(
    service: Simulator, collect_all: Callable[[], int]
) -> None:
    enqueue_months(12)
    assert collect_all() == 12
    assert statuses() == ["SUCCEEDED"] * 12
    assert {one["attempts"] for one in collections()} == {1}
    stats = service.stats()
    assert stats["execute_requests"] == len(stats["keys"]) == 12
    assert stats["max_concurrent"] <= SLOTS


def test_of_those_claimed_together_only_those_are_sent_that_need_it(
    stub: StubService, execute: Callable[[Callable[[], None]], list[str]]
) -> None:
    execute(lambda: None)
    for month in ("202501", "202502"):
        store(hot(month))
    for month in MONTHS[:4]:
        enqueue(hot(month), is_forced=month == "202502")
    (unusable,) = collections(start_key="202503")
    change(unusable, start_key="never")
    assert run_dispatch() == len(stub.posts) == 2
    assert statuses()[2:] == ["SUCCEEDED", "DISPATCHED", "FAILED", "DISPATCHED"]


def test_the_failure_of_a_thread_loses_no_collection(
    execute: Callable[[Callable[[], None]], list[str]], settings: Any
) -> None:
    failures = [RuntimeError("a thread broke"), RuntimeError("another thread broke")]

    def fail_twice() -> None:
        if failures:
            raise failures.pop()

    execute(fail_twice)
    enqueue_months(SLOTS)
    with pytest.raises(RuntimeError, match="broke"):
        run_dispatch()
    assert statuses() == ["DISPATCHED"] * SLOTS
    left = [one for one in collections() if not one["execution_id"]]
    assert len(left) == 2
    for one in left:  # as those of a dispatcher that was killed
        change(
            one, dispatched_at=utc_now() - timedelta(seconds=settings.COLLECT_REQUEST_TIMEOUT_SECONDS + 10)
        )
    assert run_dispatch() == 2
    assert all(one["execution_id"] for one in collections(status="DISPATCHED"))
    assert sorted(one["attempts"] for one in collections()) == [1, 1, 2, 2]


def test_requests_that_are_accepted_while_one_is_written_are_written_together(
    stub: StubService, execute: Callable[[Callable[[], None]], list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    written: list[int] = []
    record_success, mark_accepted = breaker.record_success, jobs.mark_accepted
    answered = threading.Semaphore(0)

    def note_success() -> None:
        record_success()
        answered.release()

    def write(attempts: list[jobs.Accepted]) -> None:
        if not written:
            for _ in range(SLOTS):
                assert answered.acquire(timeout=20)
            time.sleep(0.2)  # the other threads have only to wait in line
        written.append(len(attempts))
        mark_accepted(attempts)

    monkeypatch.setattr(breaker, "record_success", note_success)
    monkeypatch.setattr(jobs, "mark_accepted", write)
    execute(lambda: None)
    enqueue_months(SLOTS)
    assert run_dispatch() == SLOTS
    assert all(one["execution_id"] for one in collections(status="DISPATCHED"))
    assert sum(written) == SLOTS
    assert len(written) == 2


def test_at_its_end_nothing_is_claimed_that_was_not_sent(
    execute: Callable[[Callable[[], None]], list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    begun, lost = threading.Event(), threading.Event()

    def lose(_lease: Lock) -> bool:
        if begun.is_set():
            lost.set()
            raise LockNotOwnedError("its time was up")
        return True

    def be_slow() -> None:
        begun.set()
        assert lost.wait(20)

    monkeypatch.setattr(dispatcher, "_LEASE_RENEW_SECONDS", 0.01)
    monkeypatch.setattr(Lock, "reacquire", lose)
    execute(be_slow)
    enqueue_months(12)
    assert run_dispatch() == SLOTS
    assert sum(bool(one["execution_id"]) for one in collections(status="DISPATCHED")) == SLOTS
    assert {one["attempts"] for one in collections(status="PENDING")} == {0}


@pytest.mark.parametrize("facts", [{"state": "half_open", "is_listed": 1}, {"failed_ids": "some-id "}])
def test_one_at_a_time_while_the_service_may_not_work(
    execute: Callable[[Callable[[], None]], list[str]],
    redis_client: redis.Redis,
    settings: Any,
    facts: dict[str, Any],
) -> None:
    settings.CB_SUCCESS_THRESHOLD = 2
    redis_client.hset(breaker.KEY, mapping=facts)
    threads = execute(lambda: breaker.record_answer() if len(threads) == 2 else None)
    enqueue_months(SLOTS)
    assert run_dispatch() == SLOTS
    owner = threading.current_thread().name
    assert threads[:2] == [owner] * 2  # one after another: the owner of the threads sends them itself
    assert owner not in threads[2:]


def test_answers_to_requests_that_were_sent_together_ask_for_one_pause(
    stub: StubService, redis_client: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client, "_FIRST_SLOWDOWN_SECONDS", 500)
    monkeypatch.setattr(client, "_MAX_SLOWDOWN_SECONDS", 500)
    stub.say(tasks(TASK_NAME), Reply({}, 429))
    enqueue_months(12)
    assert run_dispatch() == len(stub.posts) == SLOTS
    assert statuses() == ["PENDING"] * 12
    assert {one["attempts"] for one in collections()} == {0}
    assert redis_client.hget(breaker.KEY, "slowdowns") == b"1"
    assert 300 < spacing.remaining_pause_seconds() <= 625
    assert OpenTurn().claim() > 0


def test_a_pause_holds_for_all_and_is_only_prolonged(redis_client: redis.Redis) -> None:
    turn, other = OpenTurn(), OpenTurn()
    assert turn.claim() == other.claim() == 0
    turn.end()
    assert other.claim() == 0
    turn.end(pause_seconds=500)
    other.end(pause_seconds=5)
    assert 400 < turn.claim() <= 500
    assert 400 < spacing.remaining_pause_seconds() <= 500
    assert Turn().claim() > 400  # also for a process with an interval, or of an older version
    spacing.end_pause()
    redis_client.delete("mengla:lease:interval")
    assert Turn().claim() == 0
    assert turn.claim() > 0  # the request of such a process is in progress


def test_a_wake_up_sends_a_task_only_if_no_dispatcher_is_at_work(redis_client: redis.Redis) -> None:
    lease = lease_of(LEASE_NAME, ttl_seconds=30)
    lease.acquire()
    wakeup.wake_dispatcher()
    assert RedisBroker().queue_size() == 0
    assert wakeup.consume_rerun_request(redis_client)
    lease.release()
    wakeup.wake_dispatcher()
    wakeup.wake_dispatcher()
    assert RedisBroker().queue_size() == 1


def test_each_thread_learns_that_the_confirmation_of_its_request_was_not_stored(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Also one whose confirmation another thread has written."""
    is_writing, may_fail = threading.Event(), threading.Event()
    written: list[int] = []

    def fail(batch: list[jobs.Accepted]) -> None:
        written.append(len(batch))
        is_writing.set()
        assert may_fail.wait(20)
        raise AutoReconnect("the primary is gone")

    monkeypatch.setattr(jobs, "mark_accepted", fail)
    one = jobs.Accepted(ObjectId(), "token", "execution")
    with Senders(SLOTS) as senders, ThreadPoolExecutor(3) as pool:
        first = pool.submit(senders.confirm, one)
        assert is_writing.wait(20)
        others = [pool.submit(senders.confirm, one) for _ in range(2)]
        may_fail.set()
        for confirmation in (first, *others):
            with pytest.raises(AutoReconnect):
                confirmation.result(timeout=20)
    assert (written[0], sum(written)) == (1, 3)
