"""What a process remembers, and how it begins anew."""

from __future__ import annotations

import threading
import time
from typing import Any

import pytest

from apps.auth.passwords.hashing_limit import process_hashing_limit
from apps.core import process_state
from apps.core.caching.retries import retries
from apps.core.caching.tiers import get_cache
from apps.core.storage.outages import mongo_outage, redis_outage
from tests.integration.waiting import at_once


@pytest.fixture(autouse=True)
def _nothing_registered(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if request.cls is TestRegistry:
        monkeypatch.setattr(process_state, "_memories", [])


class TestRegistry:
    def test_everything_registered_is_forgotten_each_time(self) -> None:
        one, other = {"a": 1}, [1, 2]
        process_state.register(one.clear)
        process_state.register(other.clear)
        process_state.forget_all()
        assert (one, other) == ({}, [])
        one["b"] = 2
        process_state.forget_all()
        assert one == {}

    def test_what_came_later_is_forgotten_first(self) -> None:
        forgotten: list[str] = []
        process_state.register(lambda: forgotten.append("first"))
        process_state.register(lambda: forgotten.append("second"))
        process_state.forget_all()
        assert forgotten == ["second", "first"]

    def test_it_decorates_a_function(self) -> None:
        @process_state.register
        def forget() -> str:
            return "still itself"

        assert forget() == "still itself"

    def test_what_is_made_once_is_made_by_one_of_many_threads(self) -> None:
        begin, made = threading.Barrier(8, timeout=10), []

        @process_state.made_once
        def thing() -> object:
            made.append(object())
            time.sleep(0.05)  # while the others ask for it
            return made[-1]

        def ask() -> object:
            begin.wait()
            return thing()

        assert set(at_once([ask] * 8)) == set(made)
        assert len(made) == 1
        process_state.forget_all()
        assert thing() is made[-1]
        assert len(made) == 2

    def test_what_could_not_be_made_is_tried_again(self) -> None:
        tries: list[int] = []

        @process_state.made_once
        def thing() -> int:
            tries.append(1)
            return 1 // (len(tries) - 1)

        with pytest.raises(ZeroDivisionError):
            thing()
        assert (thing(), thing(), len(tries)) == (1, 1, 2)

    def test_nothing_to_forget(self) -> None:
        process_state.forget_all()


def test_a_process_begins_anew(settings: Any) -> None:
    tiers, limit = get_cache(), process_hashing_limit()
    mongo_outage.note()
    settings.L1_CACHE_MAX_SIZE = 7
    process_state.forget_all()
    assert not mongo_outage.is_known
    assert process_hashing_limit() is not limit
    assert get_cache() is not tiers
    assert get_cache().l1_usage().max_entries == 7


def test_a_thread_that_ends_meanwhile_leaves_no_memory() -> None:
    notifying = threading.Event()

    def note_an_outage_at_the_end() -> bool:
        notifying.set()
        time.sleep(0.1)  # while the process forgets
        redis_outage.note()
        return False

    retries.add("g", note_an_outage_at_the_end)
    assert notifying.wait(10)
    process_state.forget_all()
    assert not redis_outage.is_known
