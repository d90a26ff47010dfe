"""The two tiers: each TieredCache is what one process sees, Redis is real."""

from __future__ import annotations

import threading
import time

import pytest
import redis

from apps.core.caching import tiers as cache_module
from apps.core.caching.tiers import CHANGES_KEY, SYNC_INTERVAL_SECONDS, TieredCache, build_entry, get_cache
from tests.core.caching.support import Clock, entry_of, fill, make_process, read

pytestmark = pytest.mark.redis


class TestTiers:
    def test_a_miss_a_fill_and_a_hit(self, process: TieredCache) -> None:
        assert read(process) == (None, None)
        fill(process)
        assert read(process) == ("figures", "l1")

    def test_another_process_finds_it_in_redis_and_keeps_it(
        self, process: TieredCache, other: TieredCache
    ) -> None:
        fill(process)
        assert read(other) == ("figures", "l2")
        assert read(other) == ("figures", "l1")

    def test_groups_and_fields_are_apart(self, process: TieredCache) -> None:
        fill(process, "a", group="g", field="1")
        assert read(process, "g", "2") == read(process, "h", "1") == (None, None)

    def test_what_may_not_be_served_any_more_is_a_miss_in_both(
        self, process: TieredCache, other: TieredCache, clock: Clock
    ) -> None:
        process.fill(process.lookup("g", "-").ticket, entry_of(serve_seconds=10))
        clock.now += 10
        assert read(process) == read(other) == (None, None)

    def test_redis_forgets_it_by_itself(self, process: TieredCache, redis_client: redis.Redis) -> None:
        fill(process, "short")
        process.fill(process.lookup("g", "long").ticket, entry_of("long", serve_seconds=7200))
        process.fill(process.lookup("g", "soon").ticket, entry_of("soon", serve_seconds=5))
        (key,) = redis_client.keys("mengla:data:*")
        assert 7190_000 < redis_client.pttl(key) <= 7200_000  # as long as its longest-lived field

    def test_l1_is_bounded(self, clock: Clock) -> None:
        process = make_process(max_entries=3)
        for number in range(5):
            fill(process, field=str(number))
        assert [read(process, field=str(number))[1] for number in (4, 3, 2, 0)] == ["l1", "l1", "l1", "l2"]

    def test_a_group_in_redis_is_bounded(
        self, process: TieredCache, other: TieredCache, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(cache_module, "_GROUP_MAX_FIELDS", 2)
        for field in ("1", "2", "3"):
            fill(process, field=field)
        fill(process, "newer", field="1")
        assert [read(other, field=field)[0] for field in ("1", "2", "3")] == ["newer", "figures", None]

    def test_bytes_of_another_version_are_a_miss_and_are_replaced(
        self, process: TieredCache, other: TieredCache, redis_client: redis.Redis
    ) -> None:
        fill(process)
        (key,) = redis_client.keys("mengla:data:*")
        redis_client.hset(key, "-", b"of another version")
        assert read(other) == (None, None)
        fill(other, "new")
        assert read(make_process()) == ("new", "l2")

    def test_the_process_has_one_cache(self) -> None:
        assert get_cache() is get_cache()


class TestWritesElsewhere:
    def test_older_bytes_are_gone_within_a_second(
        self, process: TieredCache, other: TieredCache, clock: Clock
    ) -> None:
        assert SYNC_INTERVAL_SECONDS < 1
        fill(process, "old")
        read(other)
        assert process.invalidate("g")
        assert read(process) == (None, None)  # at once where the write was
        clock.pass_a_second()
        assert read(other) == (None, None)

    def test_other_groups_stay(self, process: TieredCache, other: TieredCache, clock: Clock) -> None:
        process.invalidate("the first change of all")
        fill(process, "a", group="g")
        fill(process, "b", group="h")
        read(other, "g"), read(other, "h")
        process.invalidate("g")
        clock.pass_a_second()
        assert read(other, "g") == (None, None)
        assert read(other, "h") == ("b", "l1")

    def test_every_field_of_the_group_goes(
        self, process: TieredCache, other: TieredCache, clock: Clock
    ) -> None:
        for field in ("1", "2"):
            fill(process, field=field)
            read(other, field=field)
        process.invalidate("g")
        clock.pass_a_second()
        assert read(other, field="1") == read(other, field="2") == (None, None)

    def test_the_new_bytes_are_found(self, process: TieredCache, other: TieredCache, clock: Clock) -> None:
        fill(process, "old")
        read(other)
        process.invalidate("g")
        fill(process, "new")
        clock.pass_a_second()
        assert read(other) == ("new", "l2")

    def test_clear_all_outdates_everything_everywhere(
        self, process: TieredCache, other: TieredCache, clock: Clock, redis_client: redis.Redis
    ) -> None:
        fill(process, "a", group="g")
        fill(process, "b", group="h")
        read(other, "g"), read(other, "h")
        assert process.clear_all()
        assert read(process, "g") == (None, None)
        assert redis_client.keys("mengla:data:*") == []
        clock.pass_a_second()
        assert read(other, "g") == read(other, "h") == (None, None)

    def test_clearing_l1_is_only_about_this_process(self, process: TieredCache, other: TieredCache) -> None:
        fill(process)
        read(other)
        process.clear_l1()
        assert read(process)[1] == "l2"
        assert read(other)[1] == "l1"

    def test_more_changes_than_the_stream_keeps(
        self, process: TieredCache, other: TieredCache, clock: Clock, redis_client: redis.Redis
    ) -> None:
        fill(process)
        process.invalidate("something")
        clock.pass_a_second()
        read(other)
        process.invalidate("g")
        process.invalidate("h")
        redis_client.xtrim(CHANGES_KEY, maxlen=1, approximate=False)  # the news of g is gone
        clock.pass_a_second()
        assert read(other) == (None, None)

    def test_a_new_process_does_not_read_the_history(
        self, process: TieredCache, redis_client: redis.Redis, clock: Clock
    ) -> None:
        for number in range(3):
            process.invalidate(str(number))
        new = make_process()
        read(new)
        (newest, _), *_ = redis_client.xrevrange(CHANGES_KEY, count=1)
        assert new._position == newest.decode()
        process.invalidate("g")
        fill(new, "older than the next write")
        process.invalidate("g")
        clock.pass_a_second()
        assert read(new) == (None, None)


class TestSlowOnes:
    """Who read the database before a write never puts its bytes over the newer ones."""

    def test_a_slow_reader_of_another_process(
        self, process: TieredCache, other: TieredCache, clock: Clock
    ) -> None:
        ticket = other.lookup("g", "-").ticket
        process.invalidate("g")
        fill(process, "new")
        other.fill(ticket, entry_of("old"))
        clock.pass_a_second()
        assert read(other) == ("new", "l2")
        assert read(make_process()) == ("new", "l2")

    def test_a_slow_reader_of_another_process_that_knows_of_the_write(
        self, process: TieredCache, other: TieredCache, clock: Clock
    ) -> None:
        ticket = other.lookup("g", "-").ticket
        process.invalidate("g")
        clock.pass_a_second()
        read(other)  # catches up
        other.fill(ticket, entry_of("old"))
        assert read(other) == (None, None)

    def test_a_slow_reader_of_the_writing_process(self, process: TieredCache) -> None:
        ticket = process.lookup("g", "-").ticket
        process.invalidate("g")
        process.fill(ticket, entry_of("old"))
        assert read(process) == (None, None)
        assert read(make_process()) == (None, None)

    def test_a_slow_reader_when_more_groups_changed_than_are_remembered(
        self, process: TieredCache, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(cache_module, "_CHANGES_MAX_LENGTH", 3)
        ticket = process.lookup("g", "-").ticket
        for group in ("g", "1", "2", "3", "4", "5"):
            process.invalidate(group)
        process.fill(ticket, entry_of("old"))
        assert read(process) == (None, None)

    def test_a_slow_writer(self, process: TieredCache, other: TieredCache, clock: Clock) -> None:
        process.invalidate("g")
        ticket = process.lookup("g", "-").ticket
        older = entry_of("of the first write")
        other.invalidate("g")
        fill(other, "of the second write")
        process.fill(ticket, older)
        clock.pass_a_second()
        assert read(process) == read(make_process()) == ("of the second write", "l2")

    def test_a_slow_reader_over_a_clear(
        self, process: TieredCache, other: TieredCache, clock: Clock, redis_client: redis.Redis
    ) -> None:
        ticket = other.lookup("g", "-").ticket
        process.clear_all()
        other.fill(ticket, entry_of("old"))
        clock.pass_a_second()
        assert read(other) == (None, None)
        assert redis_client.keys("mengla:data:*") == []  # no key that could never be found again

    def test_readers_and_a_writer_at_once(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """The real clock: whatever the threads do, the last write is what everybody reads in the end."""
        database = {"value": 0}
        processes = [make_process() for _ in range(3)]
        is_over = threading.Event()

        def read_for_ever(mine: TieredCache) -> None:
            while not is_over.is_set():
                found = mine.lookup("g", "-")
                if found.entry is None:
                    now = time.time()
                    body = str(database["value"]).encode()
                    mine.fill(
                        found.ticket,
                        build_entry(body, stored_at=now, fresh_until=now + 60, serve_until=now + 60),
                    )

        readers = [threading.Thread(target=read_for_ever, args=(one,)) for one in processes for _ in range(2)]
        for reader in readers:
            reader.start()
        for value in range(1, 101):
            database["value"] = value
            processes[0].invalidate("g")
        is_over.set()
        for reader in readers:
            reader.join()
        monkeypatch.setattr(cache_module, "SYNC_INTERVAL_SECONDS", 0.0)  # a second has passed
        for one in processes:
            found = one.lookup("g", "-").entry
            assert found is None or found.body == b"100"
