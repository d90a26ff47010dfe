"""The tiers when Redis is emptied, replaced or down."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import redis

from apps.core.caching.retries import retries
from apps.core.caching.tiers import CHANGES_KEY, TieredCache
from apps.core.storage.outages import redis_outage
from tests.core.caching.support import Clock, entry_of, fill, make_process, read
from tests.integration.waiting import wait_until

pytestmark = pytest.mark.redis


class TestRedisIsEmptied:
    def test_what_a_process_holds_is_not_trusted(
        self, process: TieredCache, redis_client: redis.Redis, clock: Clock
    ) -> None:
        fill(process)
        redis_client.flushdb()
        clock.pass_a_second()
        assert read(process) == (None, None)
        fill(process, "again")
        assert read(make_process()) == ("again", "l2")

    def test_a_write_before_anybody_has_read(self, process: TieredCache, clock: Clock) -> None:
        assert process.invalidate("g")
        fill(process)
        assert read(process) == ("figures", "l1")

    def test_a_server_whose_clock_is_behind(
        self, process: TieredCache, other: TieredCache, redis_client: redis.Redis, clock: Clock
    ) -> None:
        redis_client.xadd(CHANGES_KEY, {"group": "g"}, id=f"{2**50}-0")  # the former one was ahead
        read(other)
        redis_client.flushdb()
        clock.pass_a_second()
        fill(other, "old")
        process.invalidate("g")
        clock.pass_a_second()
        assert read(other) == (None, None)


class TestRedisIsDown:
    def test_nothing_fails_and_nothing_is_trusted(
        self, process: TieredCache, clock: Clock, stop_redis: Callable[[], Callable[[], None]]
    ) -> None:
        fill(process)
        start_redis = stop_redis()
        clock.pass_a_second()
        assert read(process) == (None, None)
        assert not process.invalidate("other")
        known = process.last_known("g", "-")
        assert known is not None and known.body == b"figures"
        retries.clear()  # a retry would empty L1 at any moment
        start_redis()
        assert read(process) == ("figures", "l1")

    def test_until_it_is_noticed_l1_goes_on(
        self, process: TieredCache, stop_redis: Callable[[], Callable[[], None]]
    ) -> None:
        fill(process)
        start_redis = stop_redis()
        assert read(process) == ("figures", "l1")
        start_redis()

    def test_what_was_read_meanwhile_is_last_known(
        self, process: TieredCache, clock: Clock, stop_redis: Callable[[], Callable[[], None]]
    ) -> None:
        start_redis = stop_redis()
        fill(process)
        known = process.last_known("g", "-")
        assert known is not None and known.body == b"figures"
        start_redis()

    def test_a_write_that_redis_did_not_take_is_reported_and_holds_here(
        self, process: TieredCache, stop_redis: Callable[[], Callable[[], None]]
    ) -> None:
        fill(process, "old")
        start_redis = stop_redis()
        assert not process.invalidate("g")
        assert not process.clear_all()
        assert process.last_known("g", "-") is None
        start_redis()

    @pytest.mark.parametrize("write", ["invalidate", "clear_all", "clear_l1_everywhere"])
    def test_a_write_does_not_rely_on_what_is_remembered(
        self, process: TieredCache, other: TieredCache, clock: Clock, write: str
    ) -> None:
        fill(other, "old")
        redis_outage.note()  # of an outage that is over
        assert getattr(process, write)(*(["g"] if write == "invalidate" else []))
        clock.pass_a_second()
        assert read(other)[1] == ("l2" if write == "clear_l1_everywhere" else None)

    @pytest.mark.parametrize("write", ["invalidate", "clear_all", "clear_l1_everywhere"])
    def test_a_write_that_redis_did_not_take_is_told_as_soon_as_it_answers(
        self,
        process: TieredCache,
        other: TieredCache,
        clock: Clock,
        stop_redis: Callable[[], Callable[[], None]],
        write: str,
    ) -> None:
        fill(other, "old")
        assert read(other) == ("old", "l1")
        start_redis = stop_redis()
        assert not getattr(process, write)(*(["g"] if write == "invalidate" else []))
        start_redis()

        def is_told() -> bool:
            clock.pass_a_second()
            return read(other)[1] != "l1"

        wait_until(is_told, timeout_seconds=20, what="the other process has heard of it")

    def test_what_others_wrote_meanwhile_is_seen_afterwards(
        self,
        process: TieredCache,
        other: TieredCache,
        clock: Clock,
        stop_redis: Callable[[], Callable[[], None]],
    ) -> None:
        fill(process, "old")
        read(other)
        start_redis = stop_redis()
        clock.pass_a_second()
        assert read(other) == (None, None)
        start_redis()
        process.invalidate("g")  # the writer's host had its Redis all the time
        assert read(other) == (None, None)

    def test_an_answer_read_while_it_went_away_does_not_enter_redis(
        self, process: TieredCache, clock: Clock, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """The version is unknown then, so a write in between could not be noticed."""
        read(process)

        def fail(*_arguments: object) -> None:
            raise redis.ConnectionError("gone")

        with monkeypatch.context() as patch:
            patch.setattr(redis.Redis, "hmget", fail)
            ticket = process.lookup("g", "-").ticket
        redis_outage.forget()
        process.fill(ticket, entry_of("of unknown age"))
        assert read(make_process()) == (None, None)
