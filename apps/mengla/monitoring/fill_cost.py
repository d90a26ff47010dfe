"""What filling the gaps of a range would mean: how many collections, and how long at the present rate."""

from __future__ import annotations

from dataclasses import dataclass

from apps.mengla.monitoring.queue_state import queue_depth
from apps.mengla.monitoring.throughput import Pace, present_pace
from apps.mengla.queries.plans import Plan
from apps.mengla.runs.planning import preview_plan


@dataclass(frozen=True, slots=True)
class FillCost:
    """The collections a fill would make or join, and those in the queue that go before them."""

    to_collect: int
    skipped: int
    waiting: int
    pace: Pace

    @property
    def seconds(self) -> int:
        """How long the fill itself takes at the present rate."""
        return self.pace.seconds_for(self.to_collect)

    @property
    def seconds_with_waiting(self) -> int:
        """How long until it is done: a fill has the lowest priority, so all that waits goes before it."""
        return self.pace.seconds_for(self.to_collect + self.waiting)


def fill_cost(plan: Plan) -> FillCost:
    """Look at what a run of this plan, of the lowest priority, would do; nothing is changed."""
    preview = preview_plan(plan)
    return FillCost(
        to_collect=preview.to_collect,
        skipped=sum(preview.skipped.values()),
        waiting=queue_depth().pending,
        pace=present_pace(),
    )
