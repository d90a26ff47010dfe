"""The arithmetic of progress; needs no server."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest
from bson import ObjectId
from hypothesis import given
from hypothesis import strategies as st

from apps.sync_tasks.progress import Progress, progress_of
from apps.sync_tasks.services.lifecycle import totals_of
from apps.sync_tasks.work import Counts
from tests.sync_tasks.conftest import FakeWork, stand_in

STARTED = datetime(2025, 6, 1, 2)


def make_run(**fields: Any) -> dict[str, Any]:
    """A running, planned run; other states by their fields."""
    return {
        "_id": ObjectId(),
        "status": "RUNNING",
        "totals": None,
        "is_planned": True,
        "task_id": "backfill",
        "expected_total": 0,
        "skipped": {},
        "started_at": STARTED,
        "finished_at": None,
    } | fields


def progress(work: FakeWork, counts: Counts, *, pace: float = 0.0, **fields: Any) -> Progress:
    run = make_run(**fields)
    work.counts[str(run["_id"])] = counts
    work.pace = pace
    return progress_of(run)


def ended_run(counts: Counts, *, minutes: float = 10, **fields: Any) -> dict[str, Any]:
    finished_at = STARTED + timedelta(minutes=minutes)
    facts = {"status": "COMPLETED", "totals": totals_of(counts), "finished_at": finished_at}
    return make_run(**facts | fields)


class TestRunning:
    def test_everything_is_counted_now(self, work: FakeWork) -> None:
        counts = Counts(total=40, completed=7, failed=2, empty=1, cancelled=0, active=30)
        assert progress(work, counts, pace=4.004) == Progress(
            total=40,
            completed=7,
            failed=2,
            empty=1,
            cancelled=0,
            active=30,
            percent=25.0,
            per_minute=4.0,
            eta_seconds=450,
        )

    @pytest.mark.parametrize(
        ("ended", "total", "percent"),
        [(0, 10, 0.0), (1, 3, 33.3), (2, 3, 66.6), (99_999, 100_000, 99.9), (1, 100_000, 0.0), (3, 3, 100.0)],
    )
    def test_percent_is_rounded_down(self, work: FakeWork, ended: int, total: int, percent: float) -> None:
        counts = Counts(total=total, completed=ended, active=total - ended)
        assert progress(work, counts).percent == percent

    def test_a_planned_run_with_nothing_to_do_is_done(self, work: FakeWork) -> None:
        result = progress(work, Counts(), skipped={"fresh": 5}, expected_total=5)
        assert (result.total, result.percent, result.eta_seconds) == (0, 100.0, 0)

    @pytest.mark.parametrize(
        ("ended", "active", "pace", "eta_seconds"),
        [
            (5, 5, 0.0, None),
            (5, 5, 10.0, 30),
            (9, 1, 59.0, 2),  # rounded up: 1.02 s
            (0, 10, 0.2, 3000),
            (0, 10, 0.001, None),  # a pace shown as zero
            (10, 0, 0.0, 0),
            (10, 0, 10.0, 0),
        ],
    )
    def test_remaining_time(
        self, work: FakeWork, ended: int, active: int, pace: float, eta_seconds: int | None
    ) -> None:
        counts = Counts(total=10, completed=ended, active=active)
        assert progress(work, counts, pace=pace).eta_seconds == eta_seconds


class TestBeingPlanned:
    def test_the_expected_total_counts_without_what_is_skipped(self, work: FakeWork) -> None:
        counts = Counts(total=500, completed=20, active=480)
        skipped = {"fresh": 90, "present": 10}
        result = progress(work, counts, pace=10, is_planned=False, expected_total=1000, skipped=skipped)
        assert (result.total, result.percent, result.eta_seconds) == (900, 2.2, 5280)

    def test_an_expectation_that_was_too_low_gives_way(self, work: FakeWork) -> None:
        counts = Counts(total=500, completed=250, active=250)
        assert progress(work, counts, is_planned=False, expected_total=10).total == 500
        skipped = {"fresh": 400}
        assert progress(work, counts, is_planned=False, expected_total=10, skipped=skipped).total == 500

    def test_it_is_never_done(self, work: FakeWork) -> None:
        counts = Counts(total=500, completed=500)
        result = progress(work, counts, pace=10, is_planned=False, expected_total=500)
        assert (result.percent, result.eta_seconds) == (99.9, None)

    def test_nothing_planned_yet_is_zero(self, work: FakeWork) -> None:
        for expected in (0, 100):
            result = progress(work, Counts(), is_planned=False, expected_total=expected)
            assert (result.total, result.percent, result.eta_seconds) == (expected, 0.0, None)


class TestEnded:
    def test_frozen_totals_are_told_and_nothing_is_counted(self, work: FakeWork) -> None:
        counts = Counts(total=50, completed=40, failed=6, empty=4)
        assert progress_of(ended_run(counts)) == Progress(
            total=50,
            completed=40,
            failed=6,
            empty=4,
            cancelled=0,
            active=0,
            percent=100.0,
            per_minute=5.0,
            eta_seconds=None,
        )
        assert not work.asked

    def test_cancelling_is_no_work_in_the_average(self, work: FakeWork) -> None:
        counts = Counts(total=50, completed=20, cancelled=30)
        result = progress_of(ended_run(counts, status="CANCELLED"))
        assert (result.percent, result.per_minute) == (100.0, 2.0)

    def test_a_run_that_took_no_time_has_no_pace(self, work: FakeWork) -> None:
        assert progress_of(ended_run(Counts(total=1, completed=1), minutes=0)).per_minute == 0.0

    def test_a_failed_run_with_open_collections_is_not_at_100(self, work: FakeWork) -> None:
        counts = Counts(total=8, completed=2, failed=2, active=4)
        ended = {"status": "FAILED", "is_planned": False, "finished_at": STARTED + timedelta(minutes=4)}
        result = progress(work, counts, **ended)
        assert (result.total, result.active, result.percent, result.eta_seconds) == (8, 4, 50.0, None)
        # As an older version stored it.
        stored = progress_of(ended_run(counts, status="FAILED", is_planned=False))
        assert (stored.total, stored.percent) == (8, 50.0)

    def test_a_run_stopped_before_it_had_anything_is_at_zero(self, work: FakeWork) -> None:
        for status in ("FAILED", "CANCELLED"):
            assert progress_of(ended_run(Counts(), status=status, is_planned=False)).percent == 0.0
        assert progress_of(ended_run(Counts())).percent == 100.0

    def test_a_cancelled_run_tells_before_it_is_settled_what_it_tells_after(self, work: FakeWork) -> None:
        counts = Counts(total=10, completed=3, failed=1, cancelled=6)
        frozen = ended_run(counts, status="CANCELLED")
        assert progress(work, counts, status="CANCELLED", finished_at=frozen["finished_at"]) == progress_of(
            frozen
        )


NUMBER = st.integers(0, 10**6)


@given(
    stands=st.tuples(NUMBER, NUMBER, NUMBER, NUMBER, NUMBER),
    expected=NUMBER,
    skipped=NUMBER,
    is_planned=st.booleans(),
    pace=st.floats(0, 10**6),
)
def test_progress_is_always_sane(
    *, stands: tuple[int, int, int, int, int], expected: int, skipped: int, is_planned: bool, pace: float
) -> None:
    counts = Counts(sum(stands), *stands)
    planning = {"is_planned": is_planned, "expected_total": expected, "skipped": {"fresh": skipped}}
    with stand_in() as fake:
        result = progress(fake, counts, pace=pace, **planning)
    assert result.total >= counts.total
    assert 0 <= result.percent <= 100
    assert (result.percent == 100) == (is_planned and counts.active == 0)
    assert result.eta_seconds is None or result.eta_seconds >= 0
    if result.total > counts.ended:
        assert bool(result.eta_seconds) == (result.per_minute > 0)
