"""Starts cache warm-ups: a worker then puts the newest answers into L2, before readers ask for them."""

from __future__ import annotations

from collections.abc import Iterable

from apps.core.periods import Granularity
from apps.mengla.choices import WARM_UP_TASK_ID
from apps.mengla.runs.collect import TASK_NAMES, Order, Selection
from apps.mengla.runs.planning import request_planning
from apps.mengla.runs.warm_up_work import Wanted
from apps.sync_tasks import services as runs
from apps.sync_tasks.services import Started

__all__ = ["DEFAULT_LIMIT", "MAX_LIMIT", "start_warm_up"]

DEFAULT_LIMIT = 1000
MAX_LIMIT = 10_000


def start_warm_up(
    selection: Selection,
    *,
    granularities: Iterable[Granularity] = (),
    limit: int = DEFAULT_LIMIT,
    order: Order,
) -> Started:
    """Start a run that puts the answers of the newest records into L2, at most ``limit`` records.

    Of the selection, empty means all: all actions, and all categories of every level.

    :raises AlreadyRunning: while another warm-up runs.
    """
    wanted = Wanted(selection.actions, selection.cat_ids, tuple(dict.fromkeys(granularities)), limit)
    started = runs.start_run(
        task_id=WARM_UP_TASK_ID,
        name=TASK_NAMES[WARM_UP_TASK_ID],
        trigger=order.trigger,
        requested_by=order.requested_by,
        parameters=wanted.to_json(),
        expected_total=limit,
    )
    request_planning(started.run_id)
    return started
