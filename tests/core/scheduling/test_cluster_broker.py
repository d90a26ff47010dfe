"""The broker of a cluster: no task is lost with its cluster, and a beat proves that tasks are run."""

from __future__ import annotations

import time
from typing import Any

import pytest
import redis
from django_q.signing import SignedPackage

from apps.core.scheduling import cluster_broker, pulse
from apps.core.scheduling.broker import RedisBroker, send_task
from apps.core.scheduling.cluster_broker import ClusterBroker
from apps.core.scheduling.pulse import BEAT_SECONDS, BEAT_TASK, Pulse
from apps.core.scheduling.task_claims import release_claims
from apps.core.storage.outages import redis_outage

pytestmark = pytest.mark.redis
Clock = Any


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The monotonic clock of the pulse and of the broker."""
    now = [1000.0]
    for module in (pulse, cluster_broker):
        monkeypatch.setattr(module.time, "monotonic", lambda: now[0])
    return now


@pytest.fixture
def one(redis_client: redis.Redis, clock: list[float], monkeypatch: pytest.MonkeyPatch) -> ClusterBroker:
    """The broker of a cluster that has just got a beat, so that the next ones are tasks."""
    broker = ClusterBroker("one", Pulse())
    monkeypatch.setattr(time, "sleep", lambda _seconds: None)
    clock[0] += 100
    assert task_of(broker.dequeue())["func"] == BEAT_TASK
    return broker


def task_of(pulled: list[tuple[bytes | None, Any]] | None) -> dict[str, Any]:
    assert pulled is not None
    ((_, packed),) = pulled
    task: dict[str, Any] = SignedPackage.loads(packed if isinstance(packed, str) else packed.decode())
    return task


def pull(broker: ClusterBroker) -> tuple[bytes, str]:
    """Pull one task; returns the name of its claim, and its own name."""
    pulled = broker.dequeue()
    assert pulled is not None
    assert pulled[0][0] is not None
    return pulled[0][0], task_of(pulled)["name"]


def queued() -> list[str]:
    broker = RedisBroker()
    return [
        SignedPackage.loads(one.decode())["name"] for one in broker.connection.lrange(broker.list_key, 0, -1)
    ]


def test_what_an_ended_cluster_had_pulled_returns_in_its_order(one: ClusterBroker) -> None:
    for name in ("a", "b", "c", "d"):
        send_task("somewhere.task", group=name)
    claims = dict(pull(one)[::-1] for _ in range(3))
    assert queued() == ["d"]
    one.acknowledge(claims["b"])
    assert release_claims("one") == 2
    assert queued() == ["a", "c", "d"]
    assert release_claims("one") == 0


def test_a_task_that_cannot_be_read_is_not_pulled_again(one: ClusterBroker) -> None:
    RedisBroker().enqueue("of another installation")
    pulled = one.dequeue()
    assert pulled is not None
    one.fail(pulled[0][0])  # type: ignore[arg-type]
    assert release_claims("one") == 0


def test_a_task_whose_reply_was_lost_is_pulled_again(one: ClusterBroker, clock: list[float]) -> None:
    """Redis moved it and hung before it answered, or the pusher was killed with it."""
    send_task("somewhere.task", group="known")
    known, _name = pull(one)
    send_task("somewhere.task", group="lost")
    broker = RedisBroker()
    broker.connection.lmove(broker.list_key, f"{broker.list_key}:claimed:one", "LEFT", "RIGHT")
    clock[0] += BEAT_SECONDS
    assert task_of(one.dequeue())["func"] == BEAT_TASK
    assert pull(one)[1] == "lost"
    one.acknowledge(known)
    assert release_claims("one") == 1


def test_an_outage_neither_ends_the_pusher_nor_stops_the_beats(
    one: ClusterBroker, clock: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_arguments: Any, **_options: Any) -> None:
        raise redis.ConnectionError("down")

    with monkeypatch.context() as patched:
        patched.setattr(redis.Redis, "execute_command", refuse)
        assert one.dequeue() is None
        one.acknowledge(b"anything")
        clock[0] += 100
        assert task_of(one.dequeue())["func"] == BEAT_TASK
    redis_outage.forget()
    send_task("somewhere.task", group="after")
    assert pull(one)[1] == "after"


class TestPulse:
    def test_an_idle_cluster_is_silent_until_a_beat_arrives(self, clock: list[float]) -> None:
        own = Pulse()
        clock[0] += 20
        assert (own.silent_seconds, own.has_beaten) == (20, False)
        own.note_beat(task={"func": "another.task", "success": True})
        own.note_beat(task={"func": BEAT_TASK, "success": False})
        assert own.silent_seconds == 20
        own.note_beat(task={"func": BEAT_TASK, "success": True})
        assert (own.silent_seconds, own.has_beaten) == (0, True)

    def test_a_busy_cluster_is_not(self, clock: list[float]) -> None:
        own = Pulse()
        clock[0] += 20
        own.note_workers(are_all_busy=True)
        clock[0] += 500
        assert (own.silent_seconds, own.is_idle) == (0, False)
        own.note_workers(are_all_busy=False)
        clock[0] += 4
        own.note_workers(are_all_busy=False)
        assert (own.silent_seconds, own.idle_seconds, own.unguarded_seconds) == (4, 4, 0)

    def test_a_busy_cluster_gets_one_beat_and_an_idle_one_further_ones(self, clock: list[float]) -> None:
        own = Pulse()
        sent_at = clock[0] + 1
        clock[0] += 1 + BEAT_SECONDS
        assert own.is_beat_due(sent_at)
        own.note_workers(are_all_busy=True)
        assert not own.is_beat_due(sent_at)
        own.note_beat(task={"func": BEAT_TASK, "success": True})
        assert own.is_beat_due(sent_at)
        assert not own.is_beat_due(clock[0])
