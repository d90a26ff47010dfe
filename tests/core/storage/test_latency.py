"""Durations in fixed buckets: exact counts and means, percentiles within the stated error."""

from __future__ import annotations

import math
import random
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apps.core.storage.latency import (
    BUCKET_COUNT,
    MIN_SECONDS,
    PERCENTILES,
    RELATIVE_ERROR,
    Histogram,
    bucket_of,
    fields_of,
    histogram_of,
    upper_bound,
)

MAX_SECONDS = 1e5
durations = st.floats(min_value=MIN_SECONDS, max_value=MAX_SECONDS)


def noted(seconds: list[float], series: str = "read") -> Histogram:
    counts: Counter[str] = Counter()
    for one in seconds:
        counts.update(fields_of(series, one))
    return histogram_of(series, counts)


def nearest_rank(seconds: list[float], percent: float) -> float:
    return sorted(seconds)[max(1, math.ceil(len(seconds) * percent / 100)) - 1]


@pytest.mark.parametrize("seed", range(5))
def test_percentiles_are_within_the_stated_error(seed: int) -> None:
    chance = random.Random(seed)
    seconds = [chance.lognormvariate(-3, 2.5) for _ in range(5000)]
    seconds = [min(max(one, MIN_SECONDS), MAX_SECONDS) for one in seconds]
    histogram = noted(seconds)
    summary = histogram.summary()
    assert RELATIVE_ERROR < 0.0231
    for percent in PERCENTILES:
        reported, true = summary.percentiles[percent], nearest_rank(seconds, percent)
        assert reported is not None
        assert abs(reported - true) / true <= RELATIVE_ERROR * (1 + 1e-9), percent


@given(st.lists(durations, min_size=1, max_size=60), st.floats(min_value=0.1, max_value=100))
def test_any_percentile_of_anything_is_within_the_stated_error(seconds: list[float], percent: float) -> None:
    reported, true = noted(seconds).percentile(percent), nearest_rank(seconds, percent)
    assert reported is not None
    assert abs(reported - true) / true <= RELATIVE_ERROR * (1 + 1e-6)


@given(st.lists(st.floats(min_value=0, max_value=1e6), max_size=50))
def test_count_and_mean_are_exact_to_a_microsecond(seconds: list[float]) -> None:
    summary = noted(seconds).summary()
    assert summary.count == len(seconds)
    if seconds:
        assert summary.mean_seconds == pytest.approx(sum(seconds) / len(seconds), abs=1e-6)
    else:
        assert summary.mean_seconds is None
        assert set(summary.percentiles.values()) == {None}


@given(durations)
def test_a_duration_is_in_the_bucket_whose_bounds_hold_it(seconds: float) -> None:
    bucket = bucket_of(seconds)
    assert seconds <= upper_bound(bucket) * (1 + 1e-9)
    if bucket > 0:
        assert seconds > upper_bound(bucket - 1) * (1 - 1e-9)


def test_a_bound_belongs_to_the_bucket_below_it() -> None:
    for bucket in range(BUCKET_COUNT - 1):
        assert bucket_of(upper_bound(bucket)) == bucket


@pytest.mark.parametrize(
    ("seconds", "bucket"),
    [(-1.0, 0), (0.0, 0), (MIN_SECONDS, 0), (2e5, BUCKET_COUNT - 1), (math.inf, BUCKET_COUNT - 1)],
)
def test_what_is_outside_goes_to_the_ends(seconds: float, bucket: int) -> None:
    histogram = noted([seconds])
    assert list(histogram.buckets) == [bucket]
    assert math.isfinite(histogram.sum_seconds)
    assert histogram.percentile(50) in (MIN_SECONDS, pytest.approx(MAX_SECONDS))


def test_the_structure_is_bounded() -> None:
    chance = random.Random(1)
    histogram = noted([10 ** chance.uniform(-6, 7) for _ in range(20_000)])
    assert len(histogram.buckets) <= BUCKET_COUNT == 452
    assert histogram.count_up_to(BUCKET_COUNT) == histogram.count == 20_000
    assert histogram.count_up_to(-1) == 0


def test_series_do_not_mix_and_days_add_up() -> None:
    counts: Counter[str] = Counter()
    for seconds in (0.1, 0.2):
        counts.update(fields_of("read", seconds))
        counts.update(fields_of("collection", seconds * 100))
    assert histogram_of("read", counts).sum_seconds == pytest.approx(0.3)
    assert histogram_of("collection", counts + counts).count == 4
