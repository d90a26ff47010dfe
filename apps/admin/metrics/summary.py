"""The counts and durations of reads, collections and retries, by day and in total."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any

from django.utils.translation import gettext as _

from apps.core.errors import DependencyUnavailable
from apps.core.storage import counters
from apps.core.storage.latency import LATENCY, Latency, histogram_of
from apps.mengla.store.outcomes import (
    COLLECTION,
    COLLECTION_SECONDS,
    MISS,
    READ,
    READ_SECONDS,
    RETRY,
    TIERS,
    WAS_EMPTY,
    Outcome,
    ReadResult,
    each_counter,
    lookups_of,
)

MAX_DAYS = counters.RETENTION_DAYS + 1
SERIES = {"reads": READ_SECONDS, "collections": COLLECTION_SECONDS}
Document = dict[str, Any]


@dataclass(frozen=True, slots=True)
class MetricCounts:
    """The counts of one day, or of several added up (then without a date)."""

    day: date | None
    counts: Mapping[str, int]
    durations: Mapping[str, int]


def read_metrics(*, days: int) -> Document:
    """Return the counts of today and the days before it, newest first, and their sum.

    :raises DependencyUnavailable: when Redis does not respond.
    """
    by_day = _read_counts(days)
    return {"days": [_summary_of(one) for one in by_day], "total": _summary_of(_sum_of(by_day))}


def read_latency(*, days: int) -> Document:
    """Return how long reads and collections of the last days took, all processes together.

    :raises DependencyUnavailable: when Redis does not respond.
    """
    total = _sum_of(_read_counts(days))
    return {"days": days, **_durations_of(total.durations)}


def _read_counts(days: int) -> list[MetricCounts]:
    found, durations = counters.read_days(counters.STATS, days=days), counters.read_days(LATENCY, days=days)
    if found is None or durations is None:
        raise DependencyUnavailable(_("The counters are unavailable. Try again shortly."), detail="Redis")
    return [
        MetricCounts(of_day.day, of_day.counts, times.counts)
        for of_day, times in zip(found, durations, strict=True)
    ]


def _sum_of(by_day: list[MetricCounts]) -> MetricCounts:
    counts: Counter[str] = Counter()
    durations: Counter[str] = Counter()
    for found in by_day:
        counts.update(found.counts)
        durations.update(found.durations)
    return MetricCounts(None, counts, durations)


def _summary_of(found: MetricCounts) -> Document:
    return {
        "date": found.day,
        "reads": _reads_of(found.counts),
        "collections": _collections_of(found.counts),
        "retries": _retries_of(found.counts),
        "durations": _durations_of(found.durations),
    }


def _reads_of(counts: Mapping[str, int]) -> Document:
    rows = [
        {"action": action, "source": source, "result": result, "count": count}
        for (action, source, result), count in each_counter(counts, READ)
    ]
    lookups = lookups_of(counts)
    return {
        "total": _count(rows),
        "hits": lookups.hits,
        "misses": _count(rows, source=MISS),
        "stale": _count(rows, result=ReadResult.STALE),
        "by_tier": {tier: _count(rows, source=tier) for tier in TIERS},
        "hit_rate": rate_of(lookups.hits, lookups.total),
        "counts": rows,
    }


def _collections_of(counts: Mapping[str, int]) -> Document:
    rows = [
        {"action": action, "source": source, "outcome": outcome, "reason": reason, "count": count}
        for (action, source, outcome, reason), count in each_counter(counts, COLLECTION)
    ]
    by_outcome = {outcome.value: _count(rows, outcome=outcome) for outcome in Outcome}
    # A recovered collection was counted before, perhaps on another day: as failed or as empty.
    failed = max(by_outcome[Outcome.FAILED] - _count(rows, outcome=Outcome.RECOVERED, reason=""), 0)
    empty = max(by_outcome[Outcome.EMPTY] - _count(rows, outcome=Outcome.RECOVERED, reason=WAS_EMPTY), 0)
    answered = by_outcome[Outcome.SUCCEEDED] + empty + by_outcome[Outcome.RECOVERED]
    return {
        "total": _count(rows),
        **by_outcome,
        "success_rate": rate_of(answered, answered + failed),
        "counts": rows,
    }


def _retries_of(counts: Mapping[str, int]) -> Document:
    rows = [
        {"action": action, "source": source, "reason": reason, "count": count}
        for (action, source, reason), count in each_counter(counts, RETRY)
    ]
    return {"total": _count(rows), "counts": rows}


def _durations_of(durations: Mapping[str, int]) -> Document:
    return {name: _latency_of(histogram_of(series, durations).summary()) for name, series in SERIES.items()}


def _latency_of(latency: Latency) -> Document:
    percentiles = {f"p{percent}_seconds": _round(value) for percent, value in latency.percentiles.items()}
    return {"count": latency.count, "mean_seconds": _round(latency.mean_seconds), **percentiles}


def rate_of(part: int, whole: int) -> float | None:
    """Return the share of the whole, to four digits; None when the whole is 0."""
    return round(part / whole, 4) if whole else None


def _count(rows: list[Document], **wanted: str) -> int:
    return sum(row["count"] for row in rows if all(row[name] == value for name, value in wanted.items()))


def _round(seconds: float | None) -> float | None:
    return None if seconds is None else float(f"{seconds:.4g}")
