"""The clock of MongoDB's server, as processes on hosts with clocks of their own know it."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import pytest

from apps.core.storage import clock as module
from apps.core.storage.clock import ClockListener, ServerClock, mongo_clock, server_now, unix_now
from apps.core.storage.mongo import run_command, utc_now
from tests.clocks import another_host, move_clock

HOUR = 3600.0


@pytest.mark.django_db
@pytest.mark.mongo
@pytest.mark.parametrize("ahead_seconds", [90.0, -90.0, 2 * HOUR])
def test_a_host_whose_clock_is_off_follows_the_servers(ahead_seconds: float) -> None:
    before = run_command("hello")["localTime"]
    with another_host(ahead_seconds):
        assert abs((datetime.now(UTC).replace(tzinfo=None) - before).total_seconds() - ahead_seconds) < 30
        noted = utc_now(), datetime.fromtimestamp(unix_now(), UTC), server_now()
        measured = mongo_clock.measured_ahead_seconds
    after = run_command("hello")["localTime"]
    for instant in noted:
        assert (before - instant.replace(tzinfo=None)).total_seconds() < 0.9
        assert (instant.replace(tzinfo=None) - after).total_seconds() < 0.9
    assert measured is not None
    assert abs(measured - ahead_seconds) < 5


def test_less_than_a_second_is_not_corrected() -> None:
    clock = ServerClock()
    assert (clock.measured_ahead_seconds, clock.ahead_seconds) == (None, 0.0)
    clock.note(time.time() - 0.5)
    assert clock.ahead_seconds == 0.0
    assert clock.measured_ahead_seconds == pytest.approx(0.5, abs=0.3)


class Times:
    """The clocks of a host, which the test moves."""

    def __init__(self) -> None:
        self.ahead_seconds, self.now = 0.0, 1000.0

    def monotonic(self) -> float:
        return self.now

    def time(self) -> float:
        return 5000.0 + self.now + self.ahead_seconds

    def reply(self, clock: ServerClock, *, late_seconds: float = 0.0, server: str = "a") -> None:
        clock.note(5000.0 + self.now - late_seconds, server=server)


@pytest.fixture
def times(monkeypatch: pytest.MonkeyPatch) -> Times:
    times = Times()
    monkeypatch.setattr(module, "time", times)
    return times


def test_late_replies_do_not_count(times: Times) -> None:
    clock = ServerClock()
    times.reply(clock)
    times.now += 60  # the process was stopped, and reads at once what came meanwhile
    for late_seconds in (50, 40, 30, 20, 10):
        times.reply(clock, late_seconds=late_seconds)
        assert clock.ahead_seconds == 0
    for late_seconds in (8, 0, 8, 8, 0):
        times.now += 10
        times.reply(clock, late_seconds=late_seconds)
        assert clock.ahead_seconds == 0


def test_clocks_that_are_set_are_followed(times: Times) -> None:
    clock = ServerClock()
    times.reply(clock)
    times.ahead_seconds = 90  # noticed without another reply
    assert clock.ahead_seconds == 90
    times.ahead_seconds = 0
    for late_seconds in (300, 300, 300):  # the server's clock was set back by five minutes
        times.now += 10
        times.reply(clock, late_seconds=late_seconds)
    assert clock.ahead_seconds == 300
    times.reply(clock, server="b")  # another primary
    assert clock.ahead_seconds == 0


def test_only_a_primary_counts() -> None:
    clock = ServerClock()
    listener = ClockListener(clock)

    def event(is_writable: bool, **document: Any) -> Any:
        reply = SimpleNamespace(document=document, is_writable=is_writable)
        return SimpleNamespace(reply=reply, connection_id=("localhost", 27017))

    listener.succeeded(event(False, localTime=datetime(2020, 1, 1)))
    listener.succeeded(event(True))
    assert clock.measured_ahead_seconds is None
    listener.succeeded(event(True, localTime=datetime.now(UTC)))
    assert clock.measured_ahead_seconds == pytest.approx(0, abs=1)


def test_the_clock_of_a_moved_process_differs_as_told() -> None:
    before = time.time(), time.monotonic()
    with move_clock(90):
        assert time.time() - before[0] - (time.monotonic() - before[1]) == pytest.approx(90, abs=1)
