"""Hosts whose clocks are off: leases, slots, spacing, freshness and durations hold all the same."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from rest_framework.test import APIClient

from apps.core import process_state
from apps.core.caching.tiers import get_cache
from apps.core.storage.mongo import run_command, utc_now
from apps.mengla.maintenance.tick import run_tick
from apps.mengla.queue import jobs
from apps.mengla.store import outcomes
from apps.mengla.upstream.spacing import Turn
from tests.clocks import another_host
from tests.mengla.support import (
    answer,
    begin_attempt,
    change,
    change_records,
    claim,
    collections,
    enqueue,
    hot,
    ranking,
    records,
    store,
)

pytestmark = [pytest.mark.django_db, pytest.mark.mongo, pytest.mark.redis]
MONTHS = ["202501", "202502", "202503"]


@pytest.fixture(autouse=True)
def _short_leases(settings: Any) -> None:
    settings.MENGLA_TIMEOUT_SECONDS = 60
    settings.COLLECT_REQUEST_TIMEOUT_SECONDS = 10
    settings.COLLECT_INTERVAL_SECONDS = 30


@pytest.mark.parametrize("ahead_seconds", [90.0, -90.0])
def test_a_host_whose_clock_is_off_breaks_no_lease_and_no_slot(ahead_seconds: float) -> None:
    for period in MONTHS:
        enqueue(hot(period))
    ours = jobs.claim(slot_count=2)
    assert ours is not None
    jobs.mark_accepted([jobs.Accepted(ours["_id"], ours["attempt_token"], "1")])
    with another_host(ahead_seconds):
        assert run_tick().overdue == 0
        theirs = jobs.claim(slot_count=2)
        assert theirs is not None and theirs["_id"] != ours["_id"]
        jobs.mark_accepted([jobs.Accepted(theirs["_id"], theirs["attempt_token"], "2")])
        assert jobs.claim(slot_count=2) is None
        due = enqueue(hot("202504"))
    assert run_tick().overdue == 0
    now = run_command("hello")["localTime"]
    in_flight = collections(status="DISPATCHED")
    assert [one["attempts"] for one in in_flight] == [1, 1]
    for one in in_flight:
        assert 30 < (one["lease_until"] - now).total_seconds() <= 61
    # What that host enqueues is due at once, and in its turn.
    assert [claim()["_id"] for _ in range(2)][-1] == due


def test_the_requests_keep_their_distance_in_every_process() -> None:
    turn = Turn()
    assert turn.claim() == 0
    turn.end()
    for ahead_seconds in (90.0, -90.0):
        with another_host(ahead_seconds):
            assert 20 < Turn().claim() <= 30


def test_figures_are_fresh_for_all_hosts_until_the_same_instant(reader: APIClient) -> None:
    def freshness() -> tuple[str, str]:
        response = reader.get("/api/mengla/", {"primaryCatId": "1001", "action": "hot", "timest": "202506"})
        return response.headers["X-MengLa-Source"], response.headers["X-MengLa-Freshness"]

    store(hot())
    change_records(hot(), fresh_until=utc_now() + timedelta(seconds=45))
    get_cache().clear_all()
    assert freshness()[1] == "fresh"
    for ahead_seconds in (90.0, -90.0):
        process_state.forget_all()  # nothing is in L1
        with another_host(ahead_seconds):
            assert freshness() == ("l2", "fresh")


@pytest.mark.parametrize("ahead", [timedelta(hours=1), timedelta(seconds=-3)])
def test_no_duration_is_negative(ahead: timedelta, monkeypatch: pytest.MonkeyPatch) -> None:
    recorded: list[float] = []
    monkeypatch.setattr(outcomes, "fields_of", lambda _series, seconds: recorded.append(seconds) or {})
    attempt = begin_attempt(hot())
    change(attempt, dispatched_at=utc_now() + ahead, created_at=utc_now() + ahead)
    answer(attempt, ranking("a"))
    took_ms = records()[hot().identity]["collect_duration_ms"]
    assert 0 <= took_ms < 60_000
    assert took_ms >= 3000 or ahead > timedelta(0)
    assert recorded and min(recorded) >= 0
