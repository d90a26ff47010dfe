"""Turns: one at a time in the whole installation, and an interval after each."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import redis
from redis.lock import Lock

from apps.mengla.upstream.spacing import Turn

pytestmark = pytest.mark.redis
# Tests do not depend on them, however slow the machine is: MARGIN_SECONDS may pass between two steps.
INTERVAL_SECONDS = 500
REQUEST_SECONDS = 1000
MARGIN_SECONDS = 60


@pytest.fixture(autouse=True)
def _interval(settings: Any) -> None:
    settings.COLLECT_INTERVAL_SECONDS = INTERVAL_SECONDS
    settings.COLLECT_REQUEST_TIMEOUT_SECONDS = REQUEST_SECONDS


@pytest.fixture
def pass_all_time(redis_client: redis.Redis) -> Callable[[], None]:
    """Let whatever is held lapse."""

    def lapse() -> None:
        for key in redis_client.keys("mengla:lease:*"):
            redis_client.delete(key)

    return lapse


def test_one_at_a_time() -> None:
    with ThreadPoolExecutor(10) as pool:
        waits = list(pool.map(lambda _: Turn().claim(), range(10)))
    assert waits.count(0) == 1
    assert all(INTERVAL_SECONDS < wait <= INTERVAL_SECONDS + REQUEST_SECONDS for wait in waits if wait)


def test_the_interval_begins_when_the_request_has_ended(pass_all_time: Callable[[], None]) -> None:
    turn = Turn()
    turn.claim()
    turn.end()
    assert INTERVAL_SECONDS - MARGIN_SECONDS < Turn().claim() <= INTERVAL_SECONDS
    pass_all_time()
    assert Turn().claim() == 0


def test_the_service_may_wish_for_more(pass_all_time: Callable[[], None]) -> None:
    turn = Turn()
    turn.claim()
    turn.end(pause_seconds=1000)
    assert 1000 - MARGIN_SECONDS < Turn().claim() <= 1000


def test_it_cannot_wish_for_less() -> None:
    turn = Turn()
    turn.claim()
    turn.end(pause_seconds=0.1)
    assert Turn().claim() > INTERVAL_SECONDS - MARGIN_SECONDS


def test_without_an_interval_the_next_turn_is_free_at_once(settings: Any) -> None:
    settings.COLLECT_INTERVAL_SECONDS = 0
    turn = Turn()
    for _ in range(3):
        assert turn.claim() == 0
        assert Turn().claim() > 0
        turn.end()


def test_an_unused_turn_costs_no_interval() -> None:
    turn = Turn()
    turn.claim()
    turn.release()
    assert Turn().claim() == 0


def test_a_turn_that_is_free_a_moment_after_the_try_is_asked_for_again_at_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(Lock, "acquire", lambda _lock: False)
    assert 0 < Turn().claim() < 0.1


def test_a_killed_owner_delays_the_next_one_for_a_while_only(redis_client: redis.Redis) -> None:
    Turn().claim()
    (key,) = redis_client.keys("mengla:lease:*")
    assert 0 < redis_client.pttl(key) <= (INTERVAL_SECONDS + 6) * 1000


@pytest.mark.parametrize("step", [Turn.end, Turn.release])
def test_who_was_away_too_long_does_not_take_anothers_turn(
    step: Callable[[Turn], None], pass_all_time: Callable[[], None]
) -> None:
    """Otherwise two requests would arrive closer than the interval."""
    late, owner = Turn(), Turn()
    late.claim()
    pass_all_time()
    assert owner.claim() == 0
    step(late)
    assert Turn().claim() > INTERVAL_SECONDS


def test_without_redis_there_are_no_turns(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_arguments: Any, **_options: Any) -> None:
        raise redis.ConnectionError("down")

    turn = Turn()
    turn.claim()
    monkeypatch.setattr(redis.Redis, "execute_command", refuse)
    turn.end()  # what the request brought is worth more than the turn
    with pytest.raises(redis.RedisError):
        turn.claim()


def test_a_turn_is_renewed_until_its_request_has_ended(redis_client: redis.Redis) -> None:
    turn = Turn()
    turn.claim()
    (key,) = redis_client.keys("mengla:lease:*")
    redis_client.pexpire(key, 1000)
    turn.renew()
    assert Turn().claim() > INTERVAL_SECONDS
    turn.end()
    turn.renew()
    assert Turn().claim() <= INTERVAL_SECONDS
