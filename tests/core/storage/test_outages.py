"""The short memory of a server that did not respond, and what notes it of Redis."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
import redis
from django_redis.exceptions import ConnectionInterrupted

from apps.core.storage.outages import Outage, redis_outage
from apps.core.storage.redis import watch_redis


@pytest.fixture
def now(monkeypatch: pytest.MonkeyPatch, settings: Any) -> list[float]:
    """The present of the memory, which a test may change; an outage is remembered for two seconds."""
    present = [100.0]
    monkeypatch.setattr("apps.core.storage.outages.time", SimpleNamespace(monotonic=lambda: present[0]))
    settings.OUTAGE_REMEMBERED_SECONDS = 2.0
    return present


def raise_(error: Exception) -> None:
    raise error


def test_an_outage_is_known_for_a_moment(now: list[float]) -> None:
    outage = Outage()
    assert not outage.is_known
    outage.note()
    now[0] += 1.9
    assert outage.is_known
    now[0] += 0.2
    assert not outage.is_known


def test_without_an_outage_all_may_ask(now: list[float]) -> None:
    outage = Outage()
    assert [outage.admit() for _ in range(3)] == [True] * 3
    assert not outage.is_known


def test_after_it_one_at_a_time_finds_out_whether_it_is_over(now: list[float]) -> None:
    outage = Outage()
    outage.note()
    assert not outage.admit()
    now[0] += 2.1
    assert [outage.admit() for _ in range(3)] == [True, False, False]
    now[0] += 2.1
    assert [outage.admit() for _ in range(3)] == [True, False, False]
    outage.forget()
    assert [outage.admit() for _ in range(3)] == [True] * 3


@pytest.mark.parametrize(
    "error",
    [redis.ConnectionError("gone"), redis.TimeoutError("slow"), ConnectionInterrupted(None)],
    ids=lambda error: type(error).__name__,
)
def test_redis_that_is_silent_is_noted_until_it_answers(error: Exception) -> None:
    if isinstance(error, ConnectionInterrupted):
        error.__cause__ = redis.ConnectionError("gone")
    with pytest.raises(type(error)):
        watch_redis(lambda: raise_(error))
    assert redis_outage.is_known
    assert watch_redis(lambda: 1) == 1
    assert not redis_outage.is_known


@pytest.mark.parametrize(
    "error",
    [redis.ResponseError("wrong type"), redis.exceptions.OutOfMemoryError("full")],
    ids=lambda error: type(error).__name__,
)
def test_redis_that_answers_is_not_noted(error: Exception) -> None:
    with pytest.raises(redis.RedisError):
        watch_redis(lambda: raise_(error))
    assert not redis_outage.is_known
