"""What is known of tokens and users, and for how long, with MongoDB and Redis up and down."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import pytest
from django.core import signing
from pymongo.errors import OperationFailure

from apps.auth.choices import TokenScope
from apps.auth.tokens import caller_cache as caller_cache_module
from apps.auth.tokens.caller_cache import (
    FRESH_SECONDS,
    Acceptance,
    CallerCache,
    CallerState,
    CallerUnknownError,
)
from apps.core.storage import redis as core_redis
from apps.core.storage.database.client import Client
from apps.core.storage.outages import mongo_outage
from config.settings import AUTH_TIMEOUT_SECONDS, OUTAGE_REMEMBERED_SECONDS
from tests.auth.conftest import CLOSED_PORT, FakeClock
from tests.silence import no_mongo

EXPIRES_AT = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
NOW = EXPIRES_AT.timestamp() - 60
ACTIVE = CallerState(
    id="64b000000000000000000001",
    name="程序",
    scope=TokenScope.READER,
    is_enabled=True,
    expires_at=EXPIRES_AT,
)
REVOKED = CallerState(
    id=ACTIVE.id, name=ACTIVE.name, scope=ACTIVE.scope, is_enabled=False, expires_at=ACTIVE.expires_at
)


class Source:
    """Stands in for MongoDB: returns preset answers and counts the queries."""

    def __init__(self, answer: CallerState | None = ACTIVE) -> None:
        self.answer = answer
        self.error: Exception | None = None
        self.is_down = False
        self.asked = 0

    def __call__(self) -> CallerState | None:
        self.asked += 1
        if self.is_down:
            no_mongo()
        if self.error is not None:
            raise self.error
        return self.answer

    def go_down(self) -> None:
        self.is_down = True

    def come_back(self) -> None:
        self.is_down = False
        mongo_outage.forget()


@pytest.fixture
def source() -> Source:
    return Source()


@pytest.fixture
def cache(clock: FakeClock) -> CallerCache:
    return CallerCache(timer=clock)


@pytest.fixture
def outage_clock(monkeypatch: pytest.MonkeyPatch, settings: Any) -> Iterator[FakeClock]:
    """The clock of the memory of outages, which the tests move."""
    moved = FakeClock()
    monkeypatch.setattr("apps.core.storage.outages.time", SimpleNamespace(monotonic=moved))
    settings.OUTAGE_REMEMBERED_SECONDS = OUTAGE_REMEMBERED_SECONDS  # the tests remember longer
    yield moved
    mongo_outage.forget()


def test_mongodb_is_asked_once_in_a_moment(
    cache: CallerCache, source: Source, clock: FakeClock, redis_is_down: None
) -> None:
    for _ in range(5):
        assert cache.look_up("k", source) == ACTIVE
    assert source.asked == 1
    clock.advance(0.9)
    cache.look_up("k", source)
    assert source.asked == 2


def test_a_revocation_in_mongodb_is_seen_within_a_second(
    cache: CallerCache, source: Source, clock: FakeClock, redis_is_down: None
) -> None:
    cache.look_up("k", source)
    source.answer = REVOKED
    clock.advance(0.99)
    assert cache.look_up("k", source) == REVOKED


def test_an_unknown_token_is_remembered_for_less_than_a_second(
    cache: CallerCache, source: Source, clock: FakeClock, redis_is_down: None
) -> None:
    source.answer = None
    assert cache.look_up("k", source) is None
    assert cache.look_up("k", source) is None
    assert source.asked == 1
    source.answer = ACTIVE
    clock.advance(0.99)
    assert cache.look_up("k", source) == ACTIVE


def test_a_slow_answer_is_as_old_as_its_question(
    cache: CallerCache, source: Source, clock: FakeClock, redis_is_down: None
) -> None:
    def answer_slowly() -> CallerState | None:
        clock.advance(0.7)
        return source()

    cache.look_up("k", answer_slowly)
    clock.advance(0.2)
    cache.look_up("k", source)
    assert source.asked == 2


class TestMongoDown:
    def test_what_was_known_goes_on_for_an_hour(
        self, cache: CallerCache, source: Source, clock: FakeClock, redis_is_down: None
    ) -> None:
        cache.look_up("k", source)
        source.go_down()
        clock.advance(3500)
        assert cache.look_up("k", source) == ACTIVE
        clock.advance(101)
        with pytest.raises(CallerUnknownError):
            cache.look_up("k", source)

    def test_what_was_never_known_is_not_guessed(
        self, cache: CallerCache, source: Source, redis_is_down: None
    ) -> None:
        source.go_down()
        with pytest.raises(CallerUnknownError):
            cache.look_up("k", source)

    def test_one_request_pays_for_the_outage(
        self, cache: CallerCache, source: Source, clock: FakeClock, redis_is_down: None
    ) -> None:
        cache.look_up("k", source)
        source.go_down()
        for _ in range(20):
            clock.advance(1)
            assert cache.look_up("k", source) == ACTIVE
            with pytest.raises(CallerUnknownError):
                cache.look_up("other", source)
        assert source.asked == 2

    def test_mongodb_is_asked_again_after_a_moment_by_one_request_at_a_time(
        self,
        cache: CallerCache,
        source: Source,
        clock: FakeClock,
        outage_clock: FakeClock,
        redis_is_down: None,
    ) -> None:
        cache.look_up("k", source)
        source.go_down()
        clock.advance(1)
        cache.look_up("k", source)
        outage_clock.advance(2.1)
        clock.advance(1)
        concurrent = Source()

        def find_out_while_others_ask() -> CallerState | None:
            cache.look_up("k", concurrent)
            return REVOKED

        assert cache.look_up("k", find_out_while_others_ask) == REVOKED
        assert concurrent.asked == 0
        clock.advance(1)
        source.come_back()
        assert cache.look_up("k", source) == ACTIVE

    def test_the_wait_for_mongodb_is_bounded(
        self, cache: CallerCache, redis_is_down: None, settings: Any
    ) -> None:
        settings.AUTH_TIMEOUT_SECONDS = AUTH_TIMEOUT_SECONDS  # the tests wait longer
        client = Client(f"mongodb://127.0.0.1:{CLOSED_PORT}/", serverSelectionTimeoutMS=30_000, connect=False)
        with client:
            started = time.monotonic()
            with pytest.raises(CallerUnknownError):
                cache.look_up("k", lambda: client["db"]["tokens"].find_one({}))  # type: ignore[arg-type,return-value]
            assert time.monotonic() - started < 10
        assert mongo_outage.is_known

    def test_an_error_that_is_no_outage_blocks_no_other_caller(
        self, cache: CallerCache, source: Source, clock: FakeClock, redis_is_down: None
    ) -> None:
        cache.look_up("k", source)
        source.error = OperationFailure("not authorized")
        clock.advance(1)
        assert cache.look_up("k", source) == ACTIVE
        assert not mongo_outage.is_known


@pytest.mark.redis
class TestMongoDownWithRedis:
    def test_another_process_uses_the_shared_copy(self, cache: CallerCache, source: Source) -> None:
        cache.look_up("k", source)
        source.go_down()
        assert CallerCache().look_up("k", source) == ACTIVE

    def test_the_copy_ends_within_an_hour(self, cache: CallerCache, source: Source) -> None:
        cache.look_up("k", source)
        assert 3500 < core_redis.get_redis().ttl("mengla:auth:k") <= 3600

    def test_the_copy_follows_a_change_at_once(
        self, cache: CallerCache, source: Source, clock: FakeClock
    ) -> None:
        cache.look_up("k", source)
        source.answer = REVOKED
        clock.advance(1)
        cache.look_up("k", source)
        source.go_down()
        assert CallerCache().look_up("k", source) == REVOKED

    def test_a_revoked_token_is_refused_by_every_process(self, cache: CallerCache, source: Source) -> None:
        other = CallerCache(timer=(other_clock := FakeClock()))
        other.look_up("k", source)
        cache.look_up("k", source)
        cache.mark_revoked("k")
        source.go_down()
        assert cache.look_up("k", source) is None
        other_clock.advance(1)
        assert other.look_up("k", source) is None
        assert CallerCache().look_up("k", source) is None

    def test_an_older_copy_cannot_undo_a_revocation(self, cache: CallerCache, source: Source) -> None:
        cache.mark_revoked("k")
        CallerCache().look_up("k", source)  # a process that read MongoDB just before
        source.go_down()
        assert CallerCache().look_up("k", source) is None

    def test_the_mark_of_a_revocation_outlives_every_copy(self, cache: CallerCache) -> None:
        cache.mark_revoked("k")
        assert core_redis.get_redis().ttl("mengla:auth:revoked:k") > 3600

    @pytest.mark.parametrize(
        "forged",
        ["", "x", "a:b:c", "\u00e9", pytest.param(signing.dumps({"id": "1"}, salt="other"), id="other salt")],
    )
    def test_a_copy_that_is_not_ours_is_not_believed(
        self, cache: CallerCache, source: Source, forged: str
    ) -> None:
        core_redis.get_redis().set("mengla:auth:k", forged)
        source.go_down()
        with pytest.raises(CallerUnknownError):
            cache.look_up("k", source)

    def test_a_token_that_is_gone_leaves_no_copy(
        self, cache: CallerCache, source: Source, clock: FakeClock
    ) -> None:
        cache.look_up("k", source)
        source.answer = None
        clock.advance(1)
        cache.look_up("k", source)
        assert not core_redis.get_redis().exists("mengla:auth:k")
        source.go_down()
        clock.advance(1)
        with pytest.raises(CallerUnknownError):
            cache.look_up("k", source)

    def test_the_copy_is_not_written_at_every_question(
        self, cache: CallerCache, source: Source, clock: FakeClock
    ) -> None:
        cache.look_up("k", source)
        core_redis.get_redis().delete("mengla:auth:k")
        clock.advance(1)
        cache.look_up("k", source)
        assert not core_redis.get_redis().exists("mengla:auth:k")
        clock.advance(60)
        cache.look_up("k", source)
        assert core_redis.get_redis().exists("mengla:auth:k")


def test_memory_is_bounded(
    source: Source, clock: FakeClock, redis_is_down: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(caller_cache_module, "MAX_CALLERS", 10)
    cache = CallerCache(timer=clock)
    for number in range(100):
        cache.look_up(f"k{number}", source)
    newest_first = [f"k{number}" for number in reversed(range(100))]
    asked = source.asked
    for key in newest_first:
        cache.look_up(key, source)
    assert source.asked - asked >= 90  # at most ten are answered from memory
    clock.advance(FRESH_SECONDS)
    source.go_down()
    known = 0
    for key in newest_first:
        with contextlib.suppress(CallerUnknownError):
            known += cache.look_up(key, source) == ACTIVE
    assert 0 < known <= 10


class TestAcceptance:
    """That a caller was accepted, as who holds it decides from memory."""

    @pytest.fixture
    def acceptance(self, cache: CallerCache, source: Source, redis_is_down: None) -> Acceptance:
        acceptance = Acceptance("k", source, state=ACTIVE, expires_at=EXPIRES_AT, cache=cache)
        acceptance.renew()
        assert acceptance.holds(NOW)
        return acceptance

    def test_it_holds_while_the_state_is_renewed_and_the_same(
        self, acceptance: Acceptance, clock: FakeClock
    ) -> None:
        for _ in range(3):
            clock.advance(0.5)
            acceptance.renew()
            assert acceptance.holds(NOW)
        assert not acceptance.holds(EXPIRES_AT.timestamp())
        clock.advance(FRESH_SECONDS + 0.01)
        assert not acceptance.holds(NOW)

    @pytest.mark.parametrize("answer", [REVOKED, None])
    def test_it_ends_as_soon_as_anyone_has_read_another_state(
        self, acceptance: Acceptance, cache: CallerCache, source: Source, clock: FakeClock, answer: Any
    ) -> None:
        source.answer = answer
        clock.advance(0.5)
        cache.look_up("k", source, max_age_seconds=0.4)
        assert not acceptance.holds(NOW)

    def test_it_ends_with_a_revocation_in_this_process(
        self, acceptance: Acceptance, cache: CallerCache, source: Source, clock: FakeClock
    ) -> None:
        clock.advance(0.5)
        cache.look_up("k", source, max_age_seconds=0.4)  # what it holds is not what the cache has now
        cache.mark_revoked("k")
        assert not acceptance.holds(NOW)
