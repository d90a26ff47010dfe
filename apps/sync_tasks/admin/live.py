"""The current state of runs as numbers and texts, for the pages and for the script that refreshes them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any

from django.utils.translation import gettext as _

from apps.core.printable import percent_text
from apps.core.storage.clock import server_now
from apps.core.time_texts import NOTHING, duration_text, seconds_between
from apps.sync_tasks.choices import Outcome, RunStatus, outcome_of
from apps.sync_tasks.models import SyncTask
from apps.sync_tasks.progress import Progress
from apps.sync_tasks.selectors import progress_of, waiting_of
from apps.sync_tasks.words import rate_text, time_left_text
from apps.sync_tasks.work import Waiting

COLOURS: dict[Outcome, str] = {
    Outcome.RUNNING: "info",
    Outcome.COMPLETED: "success",
    Outcome.COMPLETED_WITH_FAILURES: "warning",
    Outcome.FAILED: "danger",
    Outcome.CANCELLED: "default",
}


@dataclass(frozen=True, slots=True)
class LiveRun:
    """The state of a run as the pages show it; the texts are in the user's language."""

    id: str
    is_running: bool
    is_changing: bool  # it runs, or has ended while collections of it are in flight
    status: str  # the outcome in words
    colour: str  # of the outcome, as the style sheet names it
    percent: float
    percent_text: str
    ended: int
    total: int
    completed: int
    empty: int
    failed: int
    cancelled: int
    queued: int
    in_flight: int
    rate: str
    time_left: str  # with what it rests on; or why it makes no progress
    duration: str

    def to_json(self) -> dict[str, Any]:
        """Return the fields by name."""
        return asdict(self)


def live_run(task: SyncTask, waiting: Waiting | None = None) -> LiveRun:
    """Return the state of a run: from its totals if they are stored, else counted now.

    ``waiting`` is shown in place of the remaining time.
    """
    progress = progress_of(document_of(task))
    is_running = task.status == RunStatus.RUNNING
    outcome = outcome_of(task.status, failed=progress.failed)
    if is_running and waiting is None and progress.per_minute == 0:
        waiting = waiting_of(document_of(task))  # nothing holds back all runs, but this one makes no progress
    until = task.finished_at or server_now()
    return LiveRun(
        id=str(task.pk),
        is_running=is_running,
        is_changing=is_running or progress.active > 0,
        status=str(outcome.label),
        colour=COLOURS[outcome],
        percent=progress.percent,
        percent_text=percent_text(f"{progress.percent:g}"),
        ended=progress.completed + progress.empty + progress.failed + progress.cancelled,
        total=progress.total,
        completed=progress.completed,
        empty=progress.empty,
        failed=progress.failed,
        cancelled=progress.cancelled,
        queued=progress.active - progress.in_flight,
        in_flight=progress.in_flight,
        rate=rate_text(progress.per_minute),
        time_left=_time_left(progress, waiting) if is_running else NOTHING,
        duration=duration_text(seconds_between(task.started_at, until)),
    )


def _time_left(progress: Progress, waiting: Waiting | None) -> str:
    if waiting is not None:
        return _("Waiting: %(reason)s") % {"reason": waiting.message}
    return time_left_text(progress)


def document_of(task: SyncTask) -> Mapping[str, Any]:
    """Return the run as the selectors read it, with instants in UTC without zone."""
    return {
        "_id": task.pk,
        "task_id": task.task_id,
        "status": task.status,
        "totals": task.totals,
        "is_planned": task.is_planned,
        "expected_total": task.expected_total,
        "skipped": task.skipped,
        "started_at": _naive(task.started_at),
        "finished_at": task.finished_at and _naive(task.finished_at),
    }


def _naive(instant: datetime) -> datetime:
    return instant.astimezone(UTC).replace(tzinfo=None)
