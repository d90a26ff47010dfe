"""The durations of all processes together, in a histogram with fixed buckets, so of bounded size.

A duration is counted in one of :data:`BUCKET_COUNT` buckets. Their bounds grow by a factor of
``10 ** (1/50)``, from 0.1 ms to 100,000 s. One more counter sums up the microseconds. Buckets are counters of
``storage.counters``: they are exact for any number of processes, and days are merged by addition.

Error: count and mean are exact (to a microsecond per duration). A percentile is the value of its bucket. From
0.1 ms to 100,000 s it differs from the true value by at most :data:`RELATIVE_ERROR` (2.3 %). Shorter and
longer durations are reported as these bounds.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

LATENCY = "latency"
STEPS_PER_DECADE = 50
MIN_SECONDS = 1e-4
DECADES = 9
# Bucket 0 holds durations up to the minimum, the last bucket those above the maximum.
BUCKET_COUNT = STEPS_PER_DECADE * DECADES + 2
_GROWTH: float = 10 ** (1 / STEPS_PER_DECADE)
RELATIVE_ERROR = (_GROWTH - 1) / (_GROWTH + 1)
PERCENTILES = (50, 90, 95, 99)
_SUM = "sum_us"
_LONGEST_SECONDS = 1e9  # limits what a jump of the clock adds to the sum


@dataclass(frozen=True, slots=True)
class Latency:
    """A summary of a histogram; mean and percentiles are None when it holds no duration."""

    count: int
    mean_seconds: float | None
    percentiles: dict[int, float | None]


@dataclass(frozen=True, slots=True)
class Histogram:
    """The durations of one series: counts by bucket number, and their sum."""

    buckets: Mapping[int, int]
    sum_seconds: float

    @property
    def count(self) -> int:
        """The number of durations."""
        return sum(self.buckets.values())

    def percentile(self, percent: float) -> float | None:
        """Return a percentile in seconds (nearest rank); None when there is no duration."""
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
        """Return how many durations do not exceed the upper bound of a bucket."""
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
    """Return the increments, by field of the hash :data:`LATENCY`, that count one duration of a series."""
    seconds = min(max(0.0, seconds), _LONGEST_SECONDS)
    return {f"{series}:{bucket_of(seconds)}": 1, f"{series}:{_SUM}": round(seconds * 1e6)}


def histogram_of(series: str, counts: Mapping[str, int]) -> Histogram:
    """Return the histogram of a series from the counters of one day, or the sum of several days."""
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
    # Rounded, so that a duration equal to a bound falls into the lower bucket despite rounding errors.
    position = round(math.log10(seconds / MIN_SECONDS) * STEPS_PER_DECADE, 9)
    return min(math.ceil(position), BUCKET_COUNT - 1)


def upper_bound(bucket: int) -> float:
    """Return the longest duration that a bucket holds, in seconds; infinity for the last one."""
    if bucket >= BUCKET_COUNT - 1:
        return math.inf
    exponent = bucket / STEPS_PER_DECADE
    return float(MIN_SECONDS * 10**exponent)


def _value_of(bucket: int) -> float:
    """Return the value in seconds with the smallest maximum relative error for the bucket."""
    if bucket <= 0:
        return MIN_SECONDS
    if bucket >= BUCKET_COUNT - 1:
        return upper_bound(BUCKET_COUNT - 2)
    return upper_bound(bucket) * 2 / (1 + _GROWTH)
