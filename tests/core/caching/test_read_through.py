"""Reading through the tiers: what is served from them, what is built and kept, and what an outage leaves."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import pytest
from django.db import DatabaseError
from pymongo.errors import OperationFailure, PyMongoError
from structlog.testing import capture_logs

from apps.core.caching import read_through
from apps.core.caching.entry import Built, Entry
from apps.core.caching.read_through import Found, NothingKnown, build_or_recall, get_or_build
from apps.core.caching.tiers import TieredCache
from apps.core.storage.outages import mongo_outage
from tests.core.caching.support import START, Clock, entry_of
from tests.silence import no_mongo

pytestmark = pytest.mark.redis


@pytest.fixture(autouse=True)
def _one_clock(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(read_through, "unix_now", clock.time)


@dataclass(frozen=True, slots=True)
class Figures(Built):
    rows: int = 0


def building(text: str, *, fresh_seconds: float = 60) -> Callable[[], Figures]:
    return lambda: Figures(replace(entry_of(text), fresh_until=START + fresh_seconds), rows=3)


def never() -> Figures:
    pytest.fail("nothing need be built")


def find(cache: TieredCache, build: Callable[[], Figures], *, accepts_stale: bool = False) -> Found[Figures]:
    return get_or_build("g", "-", build, accepts_stale=lambda _: accepts_stale, cache=cache)


def become_stale(clock: Clock, entry: Entry) -> None:
    clock.now = entry.fresh_until + 1
    assert entry.is_servable(clock.now)


def test_what_is_nowhere_is_built_and_kept_in_both_tiers(process: TieredCache, other: TieredCache) -> None:
    found = find(process, building("a"))
    assert (found.entry.body, found.tier, found.is_shared) == (b"a", "l3", True)
    assert found.built is not None and found.built.rows == 3
    for cache, tier in ((process, "l1"), (other, "l2"), (other, "l1")):
        found = find(cache, never)
        assert (found.entry.body, found.tier, found.built) == (b"a", tier, None)


def test_what_is_stale_is_built_anew_unless_the_caller_takes_it(process: TieredCache, clock: Clock) -> None:
    become_stale(clock, find(process, building("a")).entry)
    assert find(process, never, accepts_stale=True).entry.body == b"a"
    assert find(process, building("b")).entry.body == b"b"


def test_what_is_stale_in_l1_and_fresh_in_l2_is_not_built(
    process: TieredCache, other: TieredCache, clock: Clock
) -> None:
    become_stale(clock, find(process, building("a")).entry)
    find(other, building("b", fresh_seconds=600))
    found = find(process, never)
    assert (found.entry.body, found.tier) == (b"b", "l2")


def test_a_rebuilt_entry_enters_l2_after_a_write_too(
    process: TieredCache, other: TieredCache, clock: Clock
) -> None:
    process.invalidate("g")
    become_stale(clock, find(process, building("a")).entry)
    find(process, building("b", fresh_seconds=600))
    assert find(other, never).tier == "l2"


def test_what_build_raises_passes_through_and_nothing_is_kept(process: TieredCache) -> None:
    def build() -> Figures:
        raise KeyError("there is none")

    with pytest.raises(KeyError):
        find(process, build)
    assert find(process, building("a")).tier == "l3"


def test_a_write_during_the_building_keeps_it_out(process: TieredCache, other: TieredCache) -> None:
    def build() -> Figures:
        other.invalidate("g")
        return Figures(entry_of("old"))

    find(process, build)
    assert find(other, building("new")).entry.body == b"new"


def test_without_redis_it_is_built_each_time_and_not_shared(
    process: TieredCache, clock: Clock, stop_redis: Callable[[], Callable[[], None]]
) -> None:
    start_redis = stop_redis()
    for text in ("a", "b"):
        clock.pass_a_second()
        found = find(process, building(text))
        assert (found.entry.body.decode(), found.is_shared) == (text, False)
    start_redis()


class TestOutage:
    def test_the_last_known_entry_is_served_and_one_caller_asks(
        self, process: TieredCache, clock: Clock
    ) -> None:
        become_stale(clock, find(process, building("a")).entry)
        asked = 0

        def ask() -> Figures:
            nonlocal asked
            asked += 1
            no_mongo()

        for _ in range(3):
            found = find(process, ask)
            assert (found.entry.body, found.tier, found.built) == (b"a", "l1", None)
        assert asked == 1

    def test_with_nothing_known_each_caller_asks(self, process: TieredCache) -> None:
        for _ in range(2):
            with pytest.raises(PyMongoError):
                find(process, no_mongo)
        assert find(process, building("a")).tier == "l3"

    def test_another_error_of_the_database_serves_it_too_and_is_logged(
        self, process: TieredCache, clock: Clock
    ) -> None:
        become_stale(clock, find(process, building("a")).entry)

        def refuse() -> Figures:
            raise OperationFailure("not authorised", 13)

        with capture_logs() as logs:
            assert find(process, refuse).entry.body == b"a"
        assert [(one["event"], one["error"]) for one in logs] == [
            ("entry_without_mongodb", "OperationFailure")
        ]
        assert not mongo_outage.is_known


class TestBuildOrRecall:
    def test_nothing_is_recalled_while_all_is_well(self) -> None:
        assert build_or_recall(lambda: 1, lambda: pytest.fail("not asked"), event="e") == 1

    def test_known_to_be_out_mongodb_is_not_asked(self) -> None:
        mongo_outage.note()
        assert build_or_recall(lambda: pytest.fail("asked"), lambda: 2, event="e") == 2

    def test_nothing_known_leaves_the_error(self) -> None:
        def recall() -> int:
            raise NothingKnown

        def fail() -> int:
            raise DatabaseError("the reason")

        with pytest.raises(DatabaseError, match="the reason"):
            build_or_recall(fail, recall, event="e")

    def test_an_error_of_the_recall_is_final(self) -> None:
        def recall() -> int:
            raise LookupError

        mongo_outage.note()
        with pytest.raises(LookupError):
            build_or_recall(lambda: pytest.fail("asked"), recall, event="e")
