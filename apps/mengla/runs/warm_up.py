"""The plan of a cache warm-up: a worker puts the newest figures into L2 before readers ask for them."""

from __future__ import annotations

from collections.abc import Iterable

from apps.core.periods import Granularity
from apps.mengla.runs.collect import Selection
from apps.mengla.runs.warm_up_work import WarmUpPlan

__all__ = ["DEFAULT_LIMIT", "MAX_LIMIT", "warm_up_plan"]

DEFAULT_LIMIT = 1000
MAX_LIMIT = 10_000


def warm_up_plan(
    selection: Selection, *, granularities: Iterable[Granularity] = (), limit: int = DEFAULT_LIMIT
) -> WarmUpPlan:
    """Return the plan that puts the figures of the newest records into L2, ``limit`` records at most.

    An empty part of the selection means all: all actions, or all categories of every level.
    """
    return WarmUpPlan(selection.actions, selection.cat_ids, tuple(dict.fromkeys(granularities)), limit)
