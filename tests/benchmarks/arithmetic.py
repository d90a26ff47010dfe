"""Percentiles, medians and ratios."""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable, Sequence


def percentile(ordered: Sequence[float], percent: float) -> float:
    """Return the smallest value that so many percent of the values do not exceed; 0 when there is none."""
    if not ordered:
        return 0.0
    return ordered[max(0, math.ceil(len(ordered) * percent / 100) - 1)]


def median(values: Iterable[float]) -> float:
    """Return the median; 0 when there is no value."""
    found = list(values)
    return statistics.median(found) if found else 0.0


def median_ratio(values: Iterable[float], others: Iterable[float]) -> float:
    """Return the median of the ratios in each round; rounds in which the second figure is 0 are left out."""
    return median(value / other for value, other in zip(values, others, strict=True) if other)
