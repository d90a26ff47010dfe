"""The progress of a run: exact counts, and an estimate of the remaining time."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from math import ceil
from typing import Any

from apps.core.time_texts import seconds_between
from apps.sync_tasks.choices import RunStatus
from apps.sync_tasks.work import Counts, Rate, get_work

_TENTHS_OF_A_PERCENT = 1000
_MOST_BEFORE_THE_END = 99.9


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a run is.

    ``active`` counts the collections that have not ended, ``in_flight`` those of them that are sent; a run
    that has ended may still have some in flight.
    ``percent`` has one decimal and is 100 only when everything has ended. ``per_minute`` is the current rate,
    or the average rate of a run that has ended. ``eta_seconds`` is None when it cannot be estimated.
    ``rate_collections`` says of how many ended collections the rate was measured; they are those of the run,
    or while none of it has ended, of all runs and readers (``is_own_rate`` false).
    """

    total: int
    completed: int
    failed: int
    empty: int
    cancelled: int
    active: int
    percent: float
    per_minute: float
    eta_seconds: int | None
    rate_collections: int = field(default=0, compare=False)
    is_own_rate: bool = field(default=True, compare=False)
    in_flight: int = field(default=0, compare=False)


def progress_of(run: Mapping[str, Any]) -> Progress:
    """Return the progress of a run: from its stored totals, else counted now."""
    if run["totals"] is not None:
        counts = Counts(**run["totals"])
        is_all_known = run["is_planned"] or counts.total > 0
        return _progress(counts, is_all_known=is_all_known, rate=_average(run, counts))
    run_id, work = str(run["_id"]), get_work(run["task_id"])
    counts = work.count(run_id)
    if run["status"] != RunStatus.RUNNING:  # it has ended, and not all of its collections have
        is_all_known = run["is_planned"] or counts.total > 0
        return _progress(counts, is_all_known=is_all_known, rate=_average(run, counts))
    if not run["is_planned"]:
        still_expected = run["expected_total"] - sum(run["skipped"].values())
        counts = replace(counts, total=max(counts.total, still_expected))
    rate = work.rate(run_id, run["started_at"])
    return _progress(counts, is_all_known=run["is_planned"], rate=rate, has_eta=True)


def _progress(counts: Counts, *, is_all_known: bool, rate: Rate, has_eta: bool = False) -> Progress:
    pace = round(rate.per_minute, 2)
    return Progress(
        total=counts.total,
        completed=counts.completed,
        failed=counts.failed,
        empty=counts.empty,
        cancelled=counts.cancelled,
        active=counts.active,
        percent=_percent(counts.ended, counts.total, is_all_known=is_all_known),
        per_minute=pace,
        eta_seconds=_eta_seconds(counts, is_all_known=is_all_known, pace=pace) if has_eta else None,
        rate_collections=rate.measured,
        is_own_rate=rate.is_own,
        in_flight=counts.in_flight,
    )


def _eta_seconds(counts: Counts, *, is_all_known: bool, pace: float) -> int | None:
    remaining = counts.total - counts.ended
    if remaining > 0:
        return ceil(remaining * 60 / pace) if pace > 0 else None
    return 0 if is_all_known else None


def _percent(ended: int, total: int, *, is_all_known: bool) -> float:
    if ended >= total:
        if is_all_known:
            return 100.0
        return _MOST_BEFORE_THE_END if ended else 0.0
    # Rounded down: 99.96 % is not yet 100 %.
    return ended * _TENTHS_OF_A_PERCENT // total / 10


def _average(run: Mapping[str, Any], counts: Counts) -> Rate:
    """Return how many collections ended per minute on average; cancelled ones do not count."""
    minutes = seconds_between(run["started_at"], run["finished_at"]) / 60
    worked = counts.ended - counts.cancelled
    return Rate(worked / minutes if minutes > 0 else 0.0, worked)
