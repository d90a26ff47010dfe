"""What it costs to fill the gaps of a range: the number of collections, and the time at the present pace."""

from __future__ import annotations

from dataclasses import dataclass

from apps.mengla.monitoring.queue_state import queue_depth
from apps.mengla.monitoring.throughput import Pace, present_pace
from apps.mengla.queries.plans import Plan
from apps.mengla.runs.planning import preview_plan


@dataclass(frozen=True, slots=True)
class FillCost:
    """The collections that a fill would create or join, and those ahead of them in the queue.

    ``under_way``: how many of them are queued or in flight already.
    """

    to_collect: int
    under_way: int
    skipped: int
    waiting: int
    pace: Pace

    @property
    def to_queue(self) -> int:
        """How many collections the fill would create."""
        return self.to_collect - self.under_way

    @property
    def seconds(self) -> int:
        """How many seconds these take at the present pace."""
        return self.pace.seconds_for(self.to_queue)

    @property
    def seconds_with_waiting(self) -> int:
        """How many seconds until it is done: a fill has the lowest priority, so the queue goes first."""
        return self.pace.seconds_for(self.to_queue + self.waiting)


def fill_cost(plan: Plan) -> FillCost:
    """Return what a run of this plan would cost at the lowest priority; changes nothing."""
    preview = preview_plan(plan)
    return FillCost(
        to_collect=preview.to_collect,
        under_way=preview.under_way,
        skipped=sum(preview.skipped.values()),
        waiting=queue_depth().pending,
        pace=present_pace(),
    )
