"""Stores runs that ended in another program."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from bson import ObjectId
from pymongo import UpdateOne

from apps.core.storage.mongo import collection_of
from apps.sync_tasks.choices import RunStatus, Trigger
from apps.sync_tasks.models import SyncTask
from apps.sync_tasks.services.lifecycle import clip, new_document, totals_of
from apps.sync_tasks.words import ERRORS, PROGRAM_ENDED
from apps.sync_tasks.work import Counts


@dataclass(frozen=True, slots=True, kw_only=True)
class EndedRun:
    """A run of another program; instants are UTC without zone.

    ``is_unended``: it was running when that program ended, and its status is FAILED.
    """

    id: ObjectId
    task_id: str
    name: str
    status: RunStatus
    trigger: Trigger
    total: int
    completed: int
    failed: int
    error_message: str
    started_at: datetime
    finished_at: datetime
    is_unended: bool = False


def import_ended_runs(runs: Sequence[EndedRun]) -> int:
    """Store the runs that are not stored yet, with their recorded counts; returns how many were stored."""
    if not runs:
        return 0
    writes = [UpdateOne({"_id": run.id}, {"$setOnInsert": _document_of(run)}, upsert=True) for run in runs]
    return collection_of(SyncTask).bulk_write(writes, ordered=False).upserted_count


def count_unknown(runs: Sequence[EndedRun]) -> int:
    """Return how many of the runs :func:`import_ended_runs` would store."""
    ids = [run.id for run in runs]
    return len(ids) - collection_of(SyncTask).count_documents({"_id": {"$in": ids}})


def _document_of(run: EndedRun) -> dict[str, object]:
    counts = Counts(total=run.total, completed=run.completed, failed=run.failed)
    document = new_document(
        task_id=clip("task_id", run.task_id),
        name=clip("name", run.name),
        trigger=run.trigger.value,
        requested_by="",
        parameters={},
        period="",
        slot=None,
        expected_total=run.total,
        retry_of="",
    )
    del document["_id"]
    return document | {
        "status": run.status.value,
        "running_key": None,
        "totals": totals_of(counts),
        "planned_count": run.total,
        "is_planned": True,
        **ERRORS.stored(PROGRAM_ENDED() if run.is_unended else run.error_message),
        "started_at": run.started_at,
        "finished_at": run.finished_at,
        "updated_at": run.finished_at,
    }
