"""The tasks that the worker cluster runs for this app; each one calls a service."""

from __future__ import annotations

import dataclasses

import pymongo

from apps.core.periods import Granularity
from apps.mengla.dispatch.dispatcher import run_dispatch
from apps.mengla.maintenance.tick import run_tick
from apps.mengla.runs import planning, scheduled
from apps.sync_tasks.services import settle_run as settle_ended_run

# A worker may wait longer for MongoDB than a web request, but not for ever.
_OPERATION_TIMEOUT_SECONDS = 240
# What is not planned by then is left to the next task, which goes on where this one stopped.
_PLANNING_TIMEOUT_SECONDS = 540


def dispatch() -> int:
    """Send the due collections to the collection service; returns how many were sent."""
    with pymongo.timeout(_OPERATION_TIMEOUT_SECONDS):
        return run_dispatch()


def tick() -> dict[str, int]:
    """Repair overdue collections, unfinished runs and lost wake-ups; runs once a minute."""
    with pymongo.timeout(_OPERATION_TIMEOUT_SECONDS):
        return dataclasses.asdict(run_tick())


def plan_run(run_id: str) -> int:
    """Turn the plan of a run into collections."""
    with pymongo.timeout(_PLANNING_TIMEOUT_SECONDS):
        return planning.plan_run(run_id)


def daily_collect(intended_at: str | None = None) -> str | None:
    """Collect the previous day; returns the run's id, None when no run was started."""
    return scheduled.run_period_collect(Granularity.DAY, intended_at=intended_at)


def monthly_collect(intended_at: str | None = None) -> str | None:
    """Collect the previous month; returns the run's id, None when no run was started."""
    return scheduled.run_period_collect(Granularity.MONTH, intended_at=intended_at)


def quarterly_collect(intended_at: str | None = None) -> str | None:
    """Collect the previous quarter; returns the run's id, None when no run was started."""
    return scheduled.run_period_collect(Granularity.QUARTER, intended_at=intended_at)


def yearly_collect(intended_at: str | None = None) -> str | None:
    """Collect the previous year; returns the run's id, None when no run was started."""
    return scheduled.run_period_collect(Granularity.YEAR, intended_at=intended_at)


def backfill_check(intended_at: str | None = None) -> str | None:
    """Fill the gaps in the last closed periods; returns the run's id, None when no run was started."""
    return scheduled.run_backfill_check(intended_at=intended_at)


def settle_run(run_id: str) -> bool:
    """Go on with the cancellation of a large run; returns whether this call stored its totals."""
    return settle_ended_run(run_id)
