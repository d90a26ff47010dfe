"""The bounds of L1: in number, in bytes and in time."""

from __future__ import annotations

import pytest

from apps.core.caching import memory
from apps.core.caching.memory import MemoryTier
from tests.core.caching.support import Clock, entry_of, fill, make_process, read


@pytest.fixture
def moved(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """The clock of L1 alone."""
    clock = Clock()
    monkeypatch.setattr(memory, "time", clock)
    return clock


def tier(*, max_entries: int = 100, max_bytes: int = 1000) -> MemoryTier:
    return MemoryTier(max_entries=max_entries, max_bytes=max_bytes, ttl_seconds=10)


def put(one: MemoryTier, *fields: str, size: int = 10) -> None:
    for field in fields:
        one.put(("g", field), entry_of("x" * size))


def held(one: MemoryTier) -> list[str]:
    return [field for _, field in one]


def test_beyond_the_number_the_oldest_goes() -> None:
    one = tier(max_entries=3)
    put(one, *"abcd")
    assert held(one) == list("bcd")
    assert one.bytes == 30


def test_beyond_the_bytes_as_many_go_as_needed() -> None:
    one = tier(max_bytes=35)
    put(one, *"abc")
    put(one, "d", size=25)
    assert held(one) == list("cd")
    assert one.bytes == 35


def test_one_that_is_too_large_pushes_nothing_out() -> None:
    one = tier(max_bytes=35)
    put(one, *"ab")
    put(one, "a", size=36)  # replaces the old one, which is not current any more
    assert held(one) == ["b"]
    assert one.bytes == 10


def test_the_compressed_body_counts_too() -> None:
    one = tier(max_bytes=2000)
    entry = entry_of("x" * 1900)
    one.put(("g", "a"), entry)
    assert one.bytes == len(entry.body) + len(entry.gzip_body) > 1900


def test_one_that_was_used_stays_longer() -> None:
    one = tier(max_entries=3)
    put(one, *"abc")
    one.find(("g", "a"))
    put(one, "d", "e")
    assert held(one) == list("ade")
    put(one, "f")  # a was not used since
    assert held(one) == list("def")


def test_when_all_were_used_the_oldest_goes() -> None:
    one = tier(max_entries=2)
    put(one, *"ab")
    for field in "ab":
        one.find(("g", field))
    put(one, "c")
    assert held(one) == list("bc")


def test_time_is_over(moved: Clock) -> None:
    one = tier()
    put(one, "a")
    slot = one.find(("g", "a"))
    assert slot is not None and slot.current() is slot.entry is not None
    moved.now += 10
    assert slot.current() is None
    one.drop_expired()
    assert (len(one), one.bytes) == (0, 0)


def test_who_holds_a_slot_knows_when_its_entry_is_dropped() -> None:
    one = tier()
    put(one, "a")
    slot = one.find(("g", "a"))
    put(one, "a")
    assert slot is not None and slot.current() is None
    assert one.find(("g", "a")) is not slot


@pytest.mark.redis
def test_a_process_keeps_to_its_bytes(clock: Clock) -> None:
    process = make_process(max_bytes=25)
    for field in "abc":
        fill(process, "x" * 10, field=field)
    usage = process.l1_usage()
    assert (usage.entries, usage.bytes, usage.max_bytes) == (2, 20, 25)
    assert [read(process, field=field)[1] for field in "bca"] == ["l1", "l1", "l2"]
