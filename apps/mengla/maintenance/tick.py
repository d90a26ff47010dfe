"""The one-minute tick: it repairs what a killed process or a lost message has left undone."""

from __future__ import annotations

from dataclasses import dataclass

from apps.core.liveness.processes import note_heartbeat
from apps.mengla.ingest import cache_sync, receive
from apps.mengla.queue import overdue, run_state
from apps.mengla.queue.wakeup import wake_dispatcher_anew
from apps.mengla.runs.planning import request_planning
from apps.sync_tasks import selectors as run_selectors
from apps.sync_tasks import services as runs

_RUNS_PER_TICK = 200


@dataclass(frozen=True, slots=True)
class TickResult:
    """How many collections and runs each part of the tick acted on."""

    deferred: int
    overdue: int
    caches_notified: int
    runs_to_plan: int
    runs_closed: int
    runs_settled: int


def run_tick() -> TickResult:
    """Record a heartbeat, repair what was left undone, then wake the dispatcher."""
    note_heartbeat()
    # Before overdue collections fail: their answers may be among those deferred while MongoDB was down.
    deferred = receive.receive_deferred()
    failed = overdue.fail_overdue()
    caches_notified = cache_sync.notify_caches_again()
    unplanned = run_selectors.list_unplanned(_RUNS_PER_TICK)
    for run in unplanned:
        request_planning(str(run["_id"]))
    closed = run_state.close_done(str(run["_id"]) for run in run_selectors.list_running(_RUNS_PER_TICK))
    settled = sum(runs.settle_run(str(run["_id"])) for run in run_selectors.list_unsettled(_RUNS_PER_TICK))
    wake_dispatcher_anew()
    return TickResult(deferred, failed, caches_notified, len(unplanned), closed, settled)
