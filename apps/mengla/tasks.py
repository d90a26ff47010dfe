"""What the worker cluster runs for this app: thin doors to services."""

from __future__ import annotations

import dataclasses

import pymongo

from apps.core.periods import Granularity
from apps.mengla.dispatch.dispatcher import run_dispatch
from apps.mengla.maintenance.tick import run_tick
from apps.mengla.runs import planning, scheduled
from apps.sync_tasks.services import settle_cancelled

# A worker may wait longer for MongoDB than a web request, yet never for ever.
_OPERATION_TIMEOUT_SECONDS = 240
# What is not planned by then is planned by the next one, which goes on where this one stopped.
_PLANNING_TIMEOUT_SECONDS = 540


def dispatch() -> int:
    """Send what is due to the collection service."""
    with pymongo.timeout(_OPERATION_TIMEOUT_SECONDS):
        return run_dispatch()


def tick() -> dict[str, int]:
    """Look after overdue collections, unfinished runs and lost wake-ups, once a minute."""
    with pymongo.timeout(_OPERATION_TIMEOUT_SECONDS):
        return dataclasses.asdict(run_tick())


def plan_run(run_id: str) -> int:
    """Turn the plan of a run into collections."""
    with pymongo.timeout(_PLANNING_TIMEOUT_SECONDS):
        return planning.plan_run(run_id)


def daily_collect(intended_at: str | None = None) -> str | None:
    """Collect the day before."""
    return scheduled.run_period_collect(Granularity.DAY, intended_at=intended_at)


def monthly_collect(intended_at: str | None = None) -> str | None:
    """Collect the month before."""
    return scheduled.run_period_collect(Granularity.MONTH, intended_at=intended_at)


def quarterly_collect(intended_at: str | None = None) -> str | None:
    """Collect the quarter before."""
    return scheduled.run_period_collect(Granularity.QUARTER, intended_at=intended_at)


def yearly_collect(intended_at: str | None = None) -> str | None:
    """Collect the year before."""
    return scheduled.run_period_collect(Granularity.YEAR, intended_at=intended_at)


def backfill_check(intended_at: str | None = None) -> str | None:
    """Look for gaps in the last closed periods and plan them."""
    return scheduled.run_backfill_check(intended_at=intended_at)


def settle_run(run_id: str) -> bool:
    """Bring the cancelling of a large run to its end, a moment at a time."""
    return settle_cancelled(run_id)
