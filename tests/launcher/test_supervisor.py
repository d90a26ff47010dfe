"""When a worker cluster is replaced, and when the command gives up; the whole is in tests/integration."""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator
from typing import Any

import pytest
import redis
from django.core.management.base import CommandError

from apps.core.liveness import processes
from apps.core.scheduling import pulse as pulses
from apps.core.scheduling.pulse import BEAT_TASK, Pulse
from apps.launcher import supervisor
from apps.launcher.supervisor import MAX_FALSE_STARTS, Supervisor, _problem_of

BEAT = {"func": BEAT_TASK, "success": True}


class FakeCluster:
    """A cluster whose sentinel ends at once."""

    started: list[FakeCluster] = []
    works = False
    stop_after = 1_000

    def __init__(self) -> None:
        self.started.append(self)
        self.pulse = Pulse()
        self.status = -9
        if self.works:
            self.pulse.note_beat(task=BEAT)
        if len(self.started) > self.stop_after:
            signal.raise_signal(signal.SIGTERM)
            self.status = 0

    def is_alive(self) -> bool:
        return False

    def end(self) -> None:
        pass


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch) -> Iterator[type[FakeCluster]]:
    class Fake(FakeCluster):
        started = []

    handlers = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    monkeypatch.setattr(supervisor, "_Cluster", Fake)
    monkeypatch.setattr(supervisor, "_MAX_PAUSE_SECONDS", 0)
    monkeypatch.setattr(supervisor, "_POLL_SECONDS", 0)
    yield Fake
    for number, handler in handlers.items():
        signal.signal(number, handler)


@pytest.mark.redis
def test_a_cluster_that_never_begins_to_work_ends_the_command(
    fake: type[FakeCluster], redis_client: redis.Redis
) -> None:
    with pytest.raises(CommandError, match="its first process ended with signal SIGKILL"):
        Supervisor().run(is_once=False)
    assert len(fake.started) == MAX_FALSE_STARTS


@pytest.mark.redis
def test_a_cluster_that_worked_is_replaced_however_often(
    fake: type[FakeCluster], redis_client: redis.Redis
) -> None:
    fake.works, fake.stop_after = True, 10
    Supervisor().run(is_once=False)
    assert len(fake.started) == 11
    replaced = processes.last_replacement()
    assert replaced is not None
    assert replaced.age_seconds < 60


@pytest.mark.parametrize(
    ("busy_seconds", "idle_seconds", "is_stopping", "problem"),
    [
        (0, 9, False, None),
        (0, 11, False, "its workers have run nothing for 11 s"),
        (600, 9, False, None),
        (600, 11, False, "its workers have run nothing for 11 s"),
        (0, 29, True, None),
        (0, 31, True, "it has not stopped within 31 s"),
        (600, 0, True, None),
    ],
)
def test_it_is_replaced_when_a_worker_is_idle_and_none_runs_anything(
    monkeypatch: pytest.MonkeyPatch,
    busy_seconds: float,
    idle_seconds: float,
    is_stopping: bool,
    problem: str | None,
) -> None:
    now = [1000.0]
    monkeypatch.setattr(pulses.time, "monotonic", lambda: now[0])
    cluster: Any = FakeCluster()
    cluster.pulse.note_workers(are_all_busy=busy_seconds > 0)
    now[0] += busy_seconds
    if idle_seconds:
        cluster.pulse.note_workers(are_all_busy=False)
    now[0] += idle_seconds
    assert _problem_of(cluster, 1_000, is_stopping=is_stopping) == problem
    assert _problem_of(cluster, 5, is_stopping=is_stopping) is None  # too much happened meanwhile


def test_a_sentinel_that_stands_still_is_replaced(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [time.monotonic()]
    monkeypatch.setattr(pulses.time, "monotonic", lambda: now[0])
    cluster: Any = FakeCluster()
    cluster.pulse.note_workers(are_all_busy=True)
    now[0] += 31
    assert _problem_of(cluster, 1_000, is_stopping=False) == "its first process has stood still for 31 s"
