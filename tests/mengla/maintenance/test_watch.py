"""What a worker cluster notices within seconds: lost wake-ups, abandoned claims, work of the tick."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
import redis
from django_q.signing import SignedPackage

from apps.core.scheduling.broker import RedisBroker
from apps.core.scheduling.signals import worker_idle
from apps.core.storage.locks import lease_of
from apps.core.storage.mongo import utc_now
from apps.mengla.choices import CollectionError
from apps.mengla.dispatch.dispatcher import LEASE_NAME, run_dispatch
from apps.mengla.ingest import parked
from apps.mengla.maintenance import watch
from apps.mengla.queue import abandoned, wakeup
from apps.mengla.queue.overdue import has_overdue
from apps.mengla.simulator.server import Simulator
from apps.mengla.upstream import breaker
from apps.mengla.upstream.spacing import Turn
from tests.mengla.support import begin_attempt, change, enqueue, hot, make_overdue, reload

pytestmark = [pytest.mark.django_db, pytest.mark.mongo, pytest.mark.redis]
DISPATCH, TICK = wakeup.DISPATCH_TASK, watch.TICK_TASK


def looked() -> list[str]:
    """Look as an idle cluster does; returns the tasks that this has sent."""
    broker = RedisBroker()
    broker.purge_queue()
    worker_idle.send_robust(sender=None)
    return [
        SignedPackage.loads(one.decode())["func"] for one in broker.connection.lrange(broker.list_key, 0, -1)
    ]


def abandon(query: Any, *, seconds: float) -> dict[str, Any]:
    """Claim a collection for a dispatcher that is killed with its request."""
    claimed = begin_attempt(query)
    change(claimed, execution_id="", dispatched_at=utc_now() - timedelta(seconds=seconds))
    return reload(claimed)


@pytest.mark.usefixtures("service")
def test_what_is_due_and_free_to_send_wakes_the_dispatcher_once(redis_client: redis.Redis) -> None:
    assert looked() == []
    enqueue(hot())
    assert looked() == [DISPATCH]
    assert looked() == []  # it was woken a moment ago
    assert redis_client.ttl("mengla:dispatch:pending") <= 5


def hold_lease() -> None:
    lease_of(LEASE_NAME, ttl_seconds=30).acquire()


def open_breaker() -> None:
    for _ in range(100):
        breaker.record_failure("connect_error")


@pytest.mark.usefixtures("service")
@pytest.mark.parametrize(
    "occupy",
    [hold_lease, Turn().claim, open_breaker, lambda: begin_attempt(hot("202501"))],
    ids=["a dispatcher", "a request or an interval", "the breaker", "no slot"],
)
def test_it_is_left_alone_while_nothing_can_be_sent(occupy: Callable[[], Any], settings: Any) -> None:
    settings.MAX_INFLIGHT_REQUESTS = 1
    occupy()
    enqueue(hot())
    assert looked() == []


def test_without_a_service_nothing_is_sent() -> None:
    enqueue(hot())
    assert looked() == []


def test_webhooks_overdue_answers_and_killed_planners_are_not_left_to_the_minute() -> None:
    parked.defer([{}, None, None])
    assert looked() == [TICK]
    assert looked() == []  # it was sent a moment ago


def test_an_overdue_answer_wakes_the_tick() -> None:
    attempt = begin_attempt(hot())
    assert not has_overdue()
    make_overdue(attempt)
    assert looked() == [TICK]


@pytest.mark.usefixtures("service")
def test_the_claim_of_a_killed_dispatcher_holds_its_slot_for_seconds(
    service: Simulator, settings: Any
) -> None:
    settings.MAX_INFLIGHT_REQUESTS = 1
    settings.COLLECT_REQUEST_TIMEOUT_SECONDS = 60
    settings.COLLECT_RETRY_DELAY_SECONDS = 0
    young = abandon(hot("202501"), seconds=1)
    enqueue(hot("202502"))
    assert looked() == []
    change(young, dispatched_at=utc_now() - timedelta(seconds=7))
    assert looked() == [DISPATCH]
    assert run_dispatch(max_seconds=0.5) == 1
    ended = reload(young)
    assert (ended["status"], ended["attempts"], ended["slot"]) == ("PENDING", 1, None)
    assert ended["error_code"] == CollectionError.TIMEOUT
    # Its dispatcher may live after all; its request ends by then.
    assert timedelta(seconds=50) < ended["not_before"] - utc_now() <= timedelta(seconds=53)


def test_a_confirmed_attempt_is_not_abandoned() -> None:
    attempt = begin_attempt(hot())
    change(attempt, execution_id="x1", dispatched_at=utc_now() - timedelta(seconds=60))
    assert (abandoned.has_claims(), abandoned.end_claims()) == (False, 0)
    assert reload(attempt)["status"] == "DISPATCHED"
