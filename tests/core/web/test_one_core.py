"""The threads of a web process that run Python share one core, the least busy one."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import pytest

from apps.core.web import one_core
from apps.core.web.one_core import OneCore, Usage, better_core

TICKS = 100  # a second of a core
BEFORE = Usage(at=50.0, idle_ticks={0: 7, 1: 9, 3: 0}, all_ticks={0: 50, 1: 60, 3: 10}, own_seconds=2.0)


def usage_after(own_seconds: float, **used: float) -> Usage:
    """Return the usage a second after BEFORE; ``used`` is the share of each core, such as ``core0=0.5``."""
    shares = {int(name[4:]): share for name, share in used.items()}
    return Usage(
        at=BEFORE.at + 1,
        idle_ticks={
            core: BEFORE.idle_ticks.get(core, 0) + round(TICKS * (1 - share))
            for core, share in shares.items()
        },
        all_ticks={core: BEFORE.all_ticks.get(core, 0) + TICKS for core in shares},
        own_seconds=BEFORE.own_seconds + own_seconds,
    )


@pytest.mark.parametrize(
    ("now", "core"),
    [
        (usage_after(0.9, core0=1.0, core1=0.0, core3=0.0), 0),  # no other process is there
        (usage_after(0.5, core0=1.0, core1=0.0, core3=0.4), 1),  # others use half of it
        (usage_after(0.5, core0=1.0, core1=0.9, core3=0.3), 3),
        (usage_after(0.5, core0=1.0, core1=0.7, core3=0.8), 0),  # no other is idle
        (usage_after(0.0, core0=0.1, core1=0.0, core3=0.0), 0),  # hardly anybody needs it
        (usage_after(0.5, core1=0.0), 0),  # it is not shown any more
        (replace(BEFORE, at=BEFORE.at + 1), 0),  # no tick has passed
    ],
)
def test_a_process_leaves_a_core_that_others_use_for_an_idle_one(now: Usage, core: int) -> None:
    assert better_core(0, BEFORE, now, choose=min) == core


def test_processes_that_leave_together_go_to_different_cores() -> None:
    found: list[list[int]] = []
    better_core(
        0,
        BEFORE,
        usage_after(0.4, core0=1.0, core1=0.05, core3=0.0),
        choose=lambda cores: found.append(cores) or cores[0],  # type: ignore[func-returns-value]
    )
    assert found == [[1, 3]]


class Application:
    """An application whose answer is the cores that its thread may use."""

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> list[bytes]:
        return [str(sorted(os.sched_getaffinity(0))).encode()]


@pytest.fixture
def cores() -> Iterator[list[int]]:
    """Return the cores that the test may use; its own thread may use them afterwards, too."""
    before = os.sched_getaffinity(0)
    yield sorted(before)
    os.sched_setaffinity(0, before)


def test_each_thread_that_answers_goes_to_the_core_of_the_process(cores: list[int]) -> None:
    process = OneCore(Application(), cores=cores, number=len(cores) + 1)
    assert process.core == cores[1 % len(cores)]
    barrier = threading.Barrier(3)

    def answers(_: int) -> list[bytes]:
        barrier.wait(20)
        found = [*process({}, None)]
        barrier.wait(20)
        process.core = cores[0]
        return [*found, *process({}, None)]

    with ThreadPoolExecutor(3) as pool:
        found = list(pool.map(answers, range(3)))
    assert found == [[f"[{cores[1 % len(cores)]}]".encode(), f"[{cores[0]}]".encode()]] * 3


def test_a_core_that_was_taken_away_breaks_nothing(cores: list[int]) -> None:
    process = OneCore(Application(), cores=[4000], number=0)
    assert [*process({}, None)] == [str(cores).encode()]


def test_the_process_looks_for_a_better_core(cores: list[int], monkeypatch: pytest.MonkeyPatch) -> None:
    looks: list[tuple[Usage, Usage]] = []
    has_looked = threading.Event()

    def better(core: int, before: Usage, now: Usage) -> int:
        looks.append((before, now))
        if len(looks) == 2:
            has_looked.set()
        return cores[0]

    monkeypatch.setattr(one_core, "LOOK_SECONDS", 0.01)
    monkeypatch.setattr(one_core, "better_core", better)
    process = OneCore(Application(), cores=cores, number=1)
    process({}, None)
    process.watch()
    assert has_looked.wait(20)
    for before, now in looks:
        assert set(now.all_ticks) == set(now.idle_ticks) == set(cores)
        assert 0 < before.own_seconds <= now.own_seconds
        assert before.at < now.at
    assert process.core == cores[0]
    monkeypatch.setattr(one_core, "LOOK_SECONDS", 3600)


@pytest.mark.parametrize(("worker_count", "is_on_one"), [(1, True), (3, True), (4, False), (9, False)])
def test_a_core_must_be_left_for_others(
    monkeypatch: pytest.MonkeyPatch, worker_count: int, is_on_one: bool
) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _pid: {0, 1, 5, 6})
    monkeypatch.setattr(OneCore, "watch", lambda _: None)
    application = Application()
    found = one_core.on_one_core(application, worker_count=worker_count)
    assert (found is not application) == is_on_one
    assert isinstance(found, OneCore if is_on_one else Application)
