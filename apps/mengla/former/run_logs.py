"""Imports the log of the former program's runs: each document becomes an ended run of this product."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import bson
from bson import ObjectId

from apps.core.management.tables import printable
from apps.core.storage.mongo import LENIENT_CODEC, has_collection, named_collection, utc_now
from apps.sync_tasks import services as runs
from apps.sync_tasks.choices import RunStatus, Trigger
from apps.sync_tasks.services import EndedRun

LOGS = "sync_task_logs"
_BATCH_SIZE = 500
_KEPT_FOR = timedelta(days=180)  # MongoDB deletes runs that ended earlier
_MAX_COUNT = 2**31 - 1
_TRIGGERS = {one.value: one for one in Trigger} | {"auto": Trigger.SCHEDULED, "cron": Trigger.SCHEDULED}
Document = Mapping[str, Any]


class UnreadableLog(ValueError):
    """The document is not a log of a run; the text is a short fixed reason."""


@dataclass(slots=True)
class LogCounts:
    """The outcomes of the logs: each is imported now, known from an earlier call, or left out by reason."""

    read: int = 0
    imported: int = 0
    known: int = 0
    unended: int = 0  # of those above: they were running when the former program ended
    left_out: dict[str, int] = field(default_factory=dict)

    def note_left_out(self, reason: str) -> None:
        """Count a log that is left out."""
        self.left_out[reason] = self.left_out.get(reason, 0) + 1


def import_run_logs(*, is_dry_run: bool = False) -> LogCounts:
    """Import every log; those that are known stay as they are. A dry run only counts."""
    counts = LogCounts()
    if not has_collection(LOGS):
        return counts
    oldest = utc_now() - _KEPT_FOR
    batch: list[EndedRun] = []

    def flush() -> None:
        new = runs.count_unknown(batch) if is_dry_run else runs.import_ended_runs(batch)
        counts.imported += new
        counts.known += len(batch) - new
        batch.clear()

    for document in named_collection(LOGS).with_options(codec_options=LENIENT_CODEC).find().sort("_id"):
        counts.read += 1
        try:
            run = read_log(document)
        except UnreadableLog as reason:
            counts.note_left_out(str(reason))
            continue
        if run.finished_at <= oldest:
            counts.note_left_out("past retention")
            continue
        counts.unended += run.is_unended
        batch.append(run)
        if len(batch) == _BATCH_SIZE:
            flush()
    flush()
    return counts


def read_log(document: Document) -> EndedRun:
    """Return the run of a log. A running one becomes failed: the program that ran it is gone.

    :raises UnreadableLog: when it has no task, no known status or no start.
    """
    task_id = document.get("task_id")
    if not isinstance(task_id, str) or not task_id:
        raise UnreadableLog("no task")
    status = str(document.get("status")).upper()
    if status not in RunStatus.values:
        raise UnreadableLog("unknown status")
    started_at = _instant(document, "started_at", "created_at")
    if started_at is None:
        raise UnreadableLog("no start")
    finished_at = _instant(document, "finished_at", "updated_at") or started_at
    counted = document.get("progress")
    progress = counted if isinstance(counted, Mapping) else {}
    is_unended = status == RunStatus.RUNNING
    return EndedRun(
        id=_id_of(document["_id"]),
        task_id=printable(task_id),
        name=printable(_text(document.get("task_name")) or task_id),
        status=RunStatus.FAILED if is_unended else RunStatus(status),
        trigger=_TRIGGERS.get(_text(document.get("trigger")).lower(), Trigger.MANUAL),
        total=_count(progress.get("total")),
        completed=_count(progress.get("completed")),
        failed=_count(progress.get("failed")),
        error_message=printable(_text(document.get("error_message"))),
        started_at=started_at,
        finished_at=max(started_at, finished_at),
        is_unended=is_unended,
    )


def _id_of(value: Any) -> ObjectId:
    """Return the id itself; the one of a value of another type is always the same."""
    if isinstance(value, ObjectId):
        return value
    return ObjectId(hashlib.sha256(bson.encode({"": value})).digest()[:12])


def _instant(document: Document, *names: str) -> datetime | None:
    """Return the first instant, as UTC without zone; None when there is none."""
    for name in names:
        value = document.get(name)
        if isinstance(value, str):
            try:
                value = datetime.fromisoformat(value)
            except ValueError:
                continue
        if isinstance(value, datetime):
            return value.astimezone(UTC).replace(tzinfo=None) if value.tzinfo else value
    return None


def _count(value: object) -> int:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return int(value) if is_number and 0 <= value <= _MAX_COUNT else 0  # type: ignore[operator, call-overload]


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""
