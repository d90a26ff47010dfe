"""Every change of a run: its start, its planning, its end, and what operators do with it."""

from __future__ import annotations

from apps.sync_tasks.selectors import is_running
from apps.sync_tasks.services.former_runs import EndedRun, count_unknown, import_ended_runs
from apps.sync_tasks.services.lifecycle import (
    fail_run,
    finish_run,
    reopen_totals,
    start_run,
    store_totals,
)
from apps.sync_tasks.services.operators import (
    Deleted,
    cancel_run,
    delete_ended_rows,
    delete_run,
    find_retryable,
    retry_run,
    settle_run,
)
from apps.sync_tasks.services.planner import claim_planner_lease, mark_planned, note_planned, store_plan
from apps.sync_tasks.work import Started

__all__ = [
    "Deleted",
    "EndedRun",
    "Started",
    "cancel_run",
    "claim_planner_lease",
    "count_unknown",
    "delete_ended_rows",
    "delete_run",
    "fail_run",
    "find_retryable",
    "finish_run",
    "import_ended_runs",
    "is_running",
    "mark_planned",
    "note_planned",
    "reopen_totals",
    "retry_run",
    "settle_run",
    "start_run",
    "store_plan",
    "store_totals",
]
