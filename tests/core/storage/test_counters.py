"""Counters in Redis: exact with real processes, deleted after their expiry, and never blocking a caller."""

from __future__ import annotations

import os
import signal
import sys
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import psutil
import pytest
import redis
from django.conf import settings

from apps.core.storage import counters
from apps.core.storage import redis as shared_redis
from apps.core.storage.counters import DayCounts
from apps.core.storage.latency import LATENCY, fields_of, histogram_of
from apps.core.storage.outages import redis_outage
from apps.launcher.embedded import EmbeddedError, EmbeddedServer, start_redis
from apps.launcher.processes import ManagedProcess, ProcessGroup
from tests.integration.waiting import at_once
from tests.missing import leave_out
from tests.programs import ROOT

pytestmark = pytest.mark.redis

PATIENT_SECONDS = 20
SHANGHAI = settings.BUSINESS_TIME_ZONE
# Redis expires by its own clock, so the frozen instant is of today: noon.
NOW = datetime.now(SHANGHAI).replace(hour=12, minute=0, second=0, microsecond=0)
TODAY = NOW.date()


def add(amount: int = 1, *, now: datetime = NOW, field: str = "read:hot:l1:fresh") -> bool:
    return counters.add({counters.STATS: {field: amount}}, now=now)


def days_of(*, days: int, now: datetime = NOW) -> list[DayCounts]:
    found = counters.read_days(counters.STATS, days=days, now=now)
    assert found is not None
    return found


def business_day(now: datetime) -> date:
    return now.astimezone(SHANGHAI).date()


def _key_of_age(now: datetime, days: int) -> str:
    return counters.key_of(counters.STATS, business_day(now - timedelta(days=days)))


class TestCounting:
    def test_all_counts_of_an_event_arrive_together(self, redis_client: redis.Redis) -> None:
        event = {counters.STATS: {"a": 1, "b": 2}, LATENCY: fields_of("read", 0.25)}
        assert counters.add(event, now=NOW)
        assert counters.add(event, now=NOW)
        (today,) = days_of(days=1)
        assert today == DayCounts(TODAY, {"a": 2, "b": 4})
        (durations,) = counters.read_days(LATENCY, days=1, now=NOW) or []
        assert histogram_of("read", durations.counts).count == 2
        assert counters.read_total(counters.STATS) == {"a": 2, "b": 4}

    def test_days_are_those_of_the_market_newest_first(self, redis_client: redis.Redis) -> None:
        midnight = NOW.replace(hour=0).astimezone(UTC)
        add(now=midnight - timedelta(seconds=1))
        add(3, now=midnight)
        today, yesterday, before = days_of(days=3)
        assert (today.day, list(today.counts.values())) == (TODAY, [3])
        assert (yesterday.day, list(yesterday.counts.values())) == (TODAY - timedelta(days=1), [1])
        assert before.counts == {}

    def test_redis_forgets_the_script_and_nothing_is_lost(self, redis_client: redis.Redis) -> None:
        add()
        redis_client.script_flush()
        assert add()
        assert days_of(days=1)[0].counts == {"read:hot:l1:fresh": 2}


class TestGathering:
    def test_a_thousand_events_are_sent_at_once_when_they_are_read(
        self, redis_client: redis.Redis, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        sent: list[list[str]] = []
        send = counters._send

        def note(client: redis.Redis, keys: list[str], arguments: list[str | int]) -> bool:
            sent.append(keys)
            return send(client, keys, arguments)

        monkeypatch.setattr(counters, "_send", note)
        at_once([gather_a_thousand] * 4)
        assert sent == []
        assert counters.read_total(counters.STATS) == {"a": 4000, "b": 8000}
        assert len(sent) == 1
        assert histogram_of("read", counters.read_total(LATENCY)).count == 4000
        assert len(sent) == 1  # a count is sent once

    def test_the_day_is_the_one_of_the_event(
        self, redis_client: redis.Redis, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        midnight = NOW.replace(hour=0).timestamp()
        for offset, amount in ((-1, 1), (0, 3), (-1, 1), (86_399, 2)):  # the clock may be set back, too
            monkeypatch.setattr(counters, "unix_now", lambda offset=offset: midnight + offset)
            counters.gather({counters.STATS: {"a": amount}})
        assert [day.counts for day in days_of(days=2)] == [{"a": 5}, {"a": 2}]

    def test_what_redis_does_not_take_is_lost_and_needs_no_memory(
        self, redis_client: redis.Redis, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        redis_outage.note()
        gather_a_thousand()
        counters.flush()
        redis_outage.forget()
        counters.gather({counters.STATS: {"a": 1}})
        assert counters.read_total(counters.STATS) == {"a": 1}


def gather_a_thousand() -> None:
    for _ in range(1000):
        counters.gather({counters.STATS: {"a": 1, "b": 2}, LATENCY: fields_of("read", 0.25)})


class TestExpiry:
    def test_a_day_expires_when_it_is_31_days_old(
        self, redis_client: redis.Redis, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        sent: list[list[object]] = []
        send = counters._send

        def note(client: redis.Redis, keys: list[str], arguments: list[str | int]) -> bool:
            sent.append(list(arguments))
            return send(client, keys, arguments)

        monkeypatch.setattr(counters, "_send", note)
        add()
        assert sent[0][0] == (NOW.replace(hour=0) + timedelta(days=31)).timestamp()
        # That is what Redis goes by: the same with its own clock.
        now = datetime.now(UTC)
        add(now=now)
        seconds = redis_client.ttl(counters.key_of(counters.STATS, business_day(now)))
        assert isinstance(seconds, int)
        assert 30 * 86_400 < seconds <= 31 * 86_400

    def test_a_31_day_old_day_is_gone_and_a_30_day_old_one_is_there(self, redis_client: redis.Redis) -> None:
        now = datetime.now(UTC)
        for age in (29, 30, 31, 32):
            add(age, now=now - timedelta(days=age), field=f"age:{age}")
        found = {field for day in days_of(days=100, now=now) for field in day.counts}
        assert found == {"age:29", "age:30"}
        # Gone from Redis itself, and not only left out of the answer.
        kept = {age: redis_client.exists(_key_of_age(now, age)) for age in (29, 30, 31, 32)}
        assert kept == {29: 1, 30: 1, 31: 0, 32: 0}

    def test_the_total_never_expires(self, redis_client: redis.Redis) -> None:
        add(5, now=datetime.now(UTC) - timedelta(days=40))
        add(2, now=datetime.now(UTC))
        assert counters.read_total(counters.STATS) == {"read:hot:l1:fresh": 7}
        assert redis_client.ttl(counters.total_key_of(counters.STATS)) == -1

    def test_each_count_renews_nothing_but_its_own_day(self, redis_client: redis.Redis) -> None:
        now = datetime.now(UTC)
        add(now=now - timedelta(days=30))
        old = _key_of_age(now, 30)
        before = redis_client.ttl(old)
        add(now=now)
        after = redis_client.ttl(old)
        assert isinstance(before, int) and isinstance(after, int)
        assert 0 < after <= before <= 86_400


# The eight are forked, as the workers of a cluster are: Django is loaded once.
_PARENT = """
import os, sys, django
from django.conf import settings
pool = settings.CACHES["default"]["OPTIONS"]["CONNECTION_POOL_KWARGS"]
pool.update(socket_timeout=60, socket_connect_timeout=60)  # eight processes on few cores: slow is not down
django.setup()
from apps.core.storage import counters
from apps.core.storage.latency import LATENCY, fields_of
counters.gather({counters.STATS: {"parent": 1}})  # and not by each fork again
children = []
for child in range(8):
    children.append(os.fork())
    if children[-1] == 0:
        count = counters.gather if child % 2 else counters.add
        for number in range(1000):
            counts = {"shared": 1, f"of:{child}": 1}
            count({counters.STATS: counts, LATENCY: fields_of("read", 0.001 * (number + 1))})
        sys.exit()
assert [os.waitpid(child, 0)[1] for child in children] == [0] * 8
"""


def counted_lately(name: str) -> Counter[str]:
    """The counts of today and yesterday: midnight may have passed meanwhile."""
    found: Counter[str] = Counter()
    for day in counters.read_days(name, days=2) or []:
        found.update(day.counts)
    return found


@pytest.mark.slow
def test_eight_processes_with_a_thousand_increments_each(redis_client: redis.Redis, tmp_path: Path) -> None:
    with ProcessGroup() as group:
        parent = group.start(
            ManagedProcess(
                [sys.executable, "-c", _PARENT],
                name="counting",
                log_path=tmp_path / "counting.log",
                cwd=ROOT,
                env={**os.environ, "DJANGO_SETTINGS_MODULE": "config.settings"},
            )
        )
        assert parent.wait(120) == 0, (tmp_path / "counting.log").read_text()
    counted = counted_lately(counters.STATS)
    assert counted == {"parent": 1, "shared": 8000, **{f"of:{number}": 1000 for number in range(8)}}
    assert counters.read_total(counters.STATS) == counted
    histogram = histogram_of("read", counted_lately(LATENCY))
    assert histogram.count == 8000
    assert histogram.sum_seconds == pytest.approx(8 * 0.001 * 1000 * 1001 / 2)


class TestRedisDown:
    @pytest.fixture
    def server(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[EmbeddedServer]:
        """A Redis of our own, which this process counts in."""
        try:
            server = start_redis(tmp_path / "redis")
        except EmbeddedError as error:
            leave_out(f"this test stops and kills a Redis of its own, and there is none: {error}")
        client = redis.Redis.from_url(server.uri, socket_timeout=PATIENT_SECONDS)
        monkeypatch.setattr(shared_redis, "get_redis", lambda: client)
        yield server
        client.close()
        server.stop()

    def test_hanging_it_costs_one_timeout_and_the_counts_of_the_time(
        self, server: EmbeddedServer, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        assert add()
        os.kill(server.pid, signal.SIGSTOP)
        try:
            with (
                redis.Redis.from_url(server.uri, socket_timeout=0.3) as impatient,
                monkeypatch.context() as patch,
            ):
                patch.setattr(shared_redis, "get_redis", lambda: impatient)
                assert not add()
                assert redis_outage.is_known  # so that no other caller waits now
                assert counters.read_days(counters.STATS, days=1, now=NOW) is None
        finally:
            os.kill(server.pid, signal.SIGCONT)
        redis_outage.forget()
        assert add(10)
        # What Redis was sent while it hung, it may have counted when it went on.
        assert days_of(days=1)[0].counts["read:hot:l1:fresh"] in (11, 12)

    def test_restarted_empty_it_counts_from_zero(self, server: EmbeddedServer, tmp_path: Path) -> None:
        assert add(5)
        os.kill(server.pid, signal.SIGKILL)
        psutil.wait_procs([psutil.Process(server.pid)] if psutil.pid_exists(server.pid) else [], timeout=10)
        assert not add()
        redis_outage.forget()
        (tmp_path / "redis" / "dump.rdb").unlink(missing_ok=True)
        successor = start_redis(tmp_path / "redis", port=server.port)
        try:
            assert add(2)
            assert days_of(days=1)[0].counts == {"read:hot:l1:fresh": 2}
        finally:
            successor.stop()

    def test_a_full_server_takes_no_counts_and_no_caller_fails(self, server: EmbeddedServer) -> None:
        with redis.Redis.from_url(server.uri) as client:
            client.config_set("maxmemory", "1")
            client.config_set("maxmemory-policy", "noeviction")
        assert not add()
        assert not redis_outage.is_known
