"""Durations of all processes together, in a structure of bounded size: a histogram with fixed buckets.

A duration is counted in one of :data:`BUCKET_COUNT` buckets whose bounds grow by ``10 ** (1/50)``, from 0.1
ms to 100,000 s; one more count adds up the microseconds. Buckets are ``storage.counters``: they
are exact under any number of processes, and days are merged by adding.

Error: count and mean are exact (to a microsecond per duration). A percentile is the value of the bucket that
holds it, at most :data:`RELATIVE_ERROR` (2.3 %) from the true one between 0.1 ms and 100,000 s; what is
shorter or longer is told as these bounds.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

LATENCY = "latency"
STEPS_PER_DECADE = 50
MIN_SECONDS = 1e-4
DECADES = 9
# Bucket 0 holds what is no longer than the minimum, the last one what is longer than the maximum.
BUCKET_COUNT = STEPS_PER_DECADE * DECADES + 2
_GROWTH: float = 10 ** (1 / STEPS_PER_DECADE)
RELATIVE_ERROR = (_GROWTH - 1) / (_GROWTH + 1)
PERCENTILES = (50, 90, 95, 99)
_SUM = "sum_us"
_LONGEST_SECONDS = 1e9  # what a clock that jumped may add to the sum


@dataclass(frozen=True, slots=True)
class Latency:
    """What a histogram says; without any duration, mean and percentiles are None."""

    count: int
    mean_seconds: float | None
    percentiles: dict[int, float | None]


@dataclass(frozen=True, slots=True)
class Histogram:
    """Durations of one kind."""

    buckets: Mapping[int, int]
    sum_seconds: float

    @property
    def count(self) -> int:
        """How many durations were noted."""
        return sum(self.buckets.values())

    def percentile(self, percent: float) -> float | None:
        """Return the duration that ``percent`` of all are no longer than (nearest rank), None of none."""
        count = self.count
        if not count:
            return None
        rank = max(1, math.ceil(count * percent / 100))
        passed = 0
        for bucket in sorted(self.buckets):
            passed += self.buckets[bucket]
            if passed >= rank:
                return _value_of(bucket)
        raise AssertionError("unreachable: the rank is at most the count")

    def count_up_to(self, bucket: int) -> int:
        """Return how many durations are no longer than the upper bound of a bucket."""
        return sum(count for one, count in self.buckets.items() if one <= bucket)

    def summary(self) -> Latency:
        """Return count, mean and the usual percentiles."""
        count = self.count
        return Latency(
            count,
            self.sum_seconds / count if count else None,
            {percent: self.percentile(percent) for percent in PERCENTILES},
        )


def fields_of(series: str, seconds: float) -> dict[str, int]:
    """Return the counters (of the hash :data:`LATENCY`) that note one duration of a series."""
    seconds = min(max(0.0, seconds), _LONGEST_SECONDS)
    return {f"{series}:{bucket_of(seconds)}": 1, f"{series}:{_SUM}": round(seconds * 1e6)}


def histogram_of(series: str, counts: Mapping[str, int]) -> Histogram:
    """Read a series back from the counters of one day, or of several added up."""
    prefix = f"{series}:"
    buckets = {
        int(field.removeprefix(prefix)): count
        for field, count in counts.items()
        if field.startswith(prefix) and not field.endswith(_SUM)
    }
    return Histogram(buckets, counts.get(f"{prefix}{_SUM}", 0) / 1e6)


def bucket_of(seconds: float) -> int:
    """Return the number of the bucket that holds a duration."""
    if seconds <= MIN_SECONDS:
        return 0
    # Rounded first, so that a duration that is a bound falls below it whatever its last bit says.
    position = round(math.log10(seconds / MIN_SECONDS) * STEPS_PER_DECADE, 9)
    return min(math.ceil(position), BUCKET_COUNT - 1)


def upper_bound(bucket: int) -> float:
    """Return the longest duration that a bucket holds, in seconds; infinity for the last one."""
    if bucket >= BUCKET_COUNT - 1:
        return math.inf
    exponent = bucket / STEPS_PER_DECADE
    return float(MIN_SECONDS * 10**exponent)


def _value_of(bucket: int) -> float:
    """Return the value whose relative error is the least for everything in the bucket."""
    if bucket <= 0:
        return MIN_SECONDS
    if bucket >= BUCKET_COUNT - 1:
        return upper_bound(BUCKET_COUNT - 2)
    return upper_bound(bucket) * 2 / (1 + _GROWTH)
