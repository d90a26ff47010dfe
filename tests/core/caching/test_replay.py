"""Replays of a small application, and what a finished answer rests on."""

from __future__ import annotations

import time
from collections.abc import Iterator
from io import BytesIO
from types import SimpleNamespace
from typing import Any

import pytest

from apps.core.caching import replay
from apps.core.caching.renewal import Renewal
from apps.core.caching.replay import BASIS, Basis, Replay
from apps.core.caching.tiers import TieredCache
from tests.core.caching.support import START, Clock, fill

pytestmark = pytest.mark.redis


class Accepted:
    """A caller who is always accepted."""

    def is_accepted(self, now: float) -> bool:
        return True

    def renew(self) -> None:
        """Do nothing."""


def basis_of(process: TieredCache, field: str = "-", *, tiers: Any = None) -> Basis:
    slot = process.slot_of("g", field)
    assert slot is not None
    return Basis(slot=slot, tiers=tiers or process, caller=Accepted())


class Site:
    """An application that answers with the entry whose field the query string names."""

    def __init__(self, process: TieredCache) -> None:
        self.counted: list[float] = []
        self.line_seconds: list[float] = []
        self.asked: list[str] = []
        self._process = process
        self.renewal = Renewal()
        self.replay = Replay(self._answer, renewal=self.renewal, request_id_of=lambda _: "id")

    def _answer(self, environ: dict[str, Any], start_response: Any) -> list[bytes]:
        field = environ.get("QUERY_STRING", "-")
        self.asked.append(field)
        basis = environ[BASIS] = basis_of(self._process, field)
        basis.count = self.counted.append
        basis.write_line = lambda _id, seconds: self.line_seconds.append(seconds)
        environ["wsgi.input"].read(4096)
        start_response("200 OK", [])
        assert basis.slot.entry is not None
        return [basis.slot.entry.body]

    def is_replayed(self, *, stream: BytesIO | None = None, **environ: str) -> bool:
        """Send a request; returns whether its answer was a replay."""
        count = len(self.asked)
        whole = {"wsgi.input": stream or BytesIO(), **environ}
        assert self.replay(whole, lambda *_: None) == [b"figures"]
        return len(self.asked) == count


@pytest.fixture
def site(process: TieredCache, clock: Clock, monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    monkeypatch.setattr(replay, "unix_now", clock.time)
    site = Site(process)
    yield site
    site.renewal.stop()


def test_one_whose_process_catches_up_at_this_moment(
    process: TieredCache, other: TieredCache, clock: Clock
) -> None:
    """A process that was idle knows of no news; another thread learns them while this one looks."""

    class Caught:
        @property
        def is_caught_up(self) -> bool:
            process.keep_up()
            return process.is_caught_up

    fill(process, "old")
    basis = basis_of(process, tiers=Caught())
    assert basis.current_entry(START) is not None
    other.invalidate("g")
    clock.pass_a_second()
    assert basis.current_entry(START) is None


def test_the_wait_for_a_body_is_in_the_line_and_not_in_the_count(
    process: TieredCache, site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 0.0

    class SlowBody(BytesIO):
        def read(self, size: int | None = -1) -> bytes:
            nonlocal now
            now += 5
            return super().read(size)

    fill(process)
    moved = SimpleNamespace(perf_counter=lambda: now, monotonic=time.monotonic)
    monkeypatch.setattr(replay, "time", moved)
    sent = [site.is_replayed(stream=SlowBody(b"{}"), CONTENT_LENGTH="2") for _ in range(2)]
    assert sent == [False, True]
    assert (site.counted, site.line_seconds) == ([0.0], [5.0])


class TestBounds:
    @pytest.fixture(autouse=True)
    def _few(self, settings: Any) -> None:
        settings.L1_CACHE_MAX_SIZE = 1  # so there are four answers

    def test_answers_that_do_not_hold_any_more_go_first(self, process: TieredCache, site: Site) -> None:
        fields = "abcd"
        for field in fields:
            fill(process, field=field)
            assert [site.is_replayed(QUERY_STRING=field) for _ in range(2)] == [False, True]
        process.fill(process.lookup("g", "b").ticket, basis_of(process, "a").slot.entry)  # another slot
        fill(process, field="e")
        assert [site.is_replayed(QUERY_STRING="e") for _ in range(2)] == [False, True]
        assert [site.is_replayed(QUERY_STRING=one) for one in "acd"] == [True] * 3

    def test_long_keys_leave_room_for_fewer_answers(
        self, process: TieredCache, site: Site, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(replay, "MEAN_KEY_BYTES", 1024)
        fill(process)
        for _ in range(3):  # what is forgotten makes room again
            for number in range(4):
                site.is_replayed(HTTP_COOKIE=f"{number}" * 1500)
            held = [site.is_replayed(HTTP_COOKIE=f"{number}" * 1500) for number in (2, 3)]
            assert held == [True, True]


def test_without_a_thread_of_its_own_it_answers_all_the_same(
    process: TieredCache, site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_thread: Any) -> None:
        raise RuntimeError("can't start new thread")

    fill(process)
    with monkeypatch.context() as patch:
        patch.setattr(replay.threading.Thread, "start", refuse)
        assert [site.is_replayed() for _ in range(2)] == [False, True]
    assert not site.is_replayed(HTTP_ACCEPT="a")
    assert "renewal" in {thread.name for thread in replay.threading.enumerate()}
