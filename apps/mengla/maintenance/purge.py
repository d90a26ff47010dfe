"""Deletes what was collected and nothing else: records, ended collections and ended runs.

Categories, settings, schedules, users, tokens and panels are never touched. Active collections go on, and
their answers are stored: cancel them first to have nothing left. The caches are cleared with the records, so
that no reader gets deleted figures from a cache.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import structlog

from apps.core.caching.tiers import get_cache
from apps.core.storage.mongo import collection_of, count_up_to, utc_now
from apps.core.storage.redis import get_redis
from apps.mengla.choices import FINAL_STATUSES
from apps.mengla.ingest import records
from apps.mengla.ingest.deletions import require_caches_notified
from apps.mengla.models import QUEUE_INDEX, Collection, Record
from apps.mengla.queue import removal
from apps.sync_tasks import selectors as run_selectors
from apps.sync_tasks import services as runs

audit = structlog.get_logger("collector.audit")

_BATCH = 500
_MAX_RUNNING = 1000
Document = dict[str, Any]
OnProgress = Callable[[int], None]


class PurgeTarget(StrEnum):
    """What a purge can empty."""

    MONGODB = "mongodb"
    REDIS = "redis"
    L1 = "l1"


@dataclass(frozen=True, slots=True)
class Collected:
    """How many documents of each kind a purge of MongoDB deletes."""

    records: int
    collections: int
    runs: int

    @property
    def total(self) -> int:
        """The number of all documents."""
        return self.records + self.collections + self.runs


@dataclass(frozen=True, slots=True)
class Purged:
    """What was deleted; ``is_complete`` is false when the time ran out before the end."""

    records: int
    collections: int
    runs: int
    are_caches_cleared: bool
    is_l1_cleared: bool
    is_complete: bool


def count_collected() -> Collected:
    """Count what a purge of MongoDB would delete now."""
    return Collected(
        records=collection_of(Record).estimated_document_count(),
        collections=_count_ended_collections(),
        runs=run_selectors.count_ended(),
    )


def purge(
    *,
    targets: AbstractSet[PurgeTarget],
    purged_by: str,
    max_seconds: float | None = None,
    on_progress: OnProgress | None = None,
) -> Purged:
    """Empty the targets; safe to repeat and to kill at any point.

    ``on_progress`` is called with the number of documents deleted from MongoDB so far.

    :raises redis.RedisError: when Redis does not respond; then nothing is deleted.
    :raises DependencyUnavailable: when the caches cannot be notified after the deletion.
    """
    # Checked before the deletion: without Redis the caches would go on serving deleted figures.
    get_redis().ping()
    deleted = {"records": 0, "collections": 0, "runs": 0}
    is_complete = True
    are_caches_cleared = bool(targets & {PurgeTarget.MONGODB, PurgeTarget.REDIS})
    is_l1_cleared = are_caches_cleared or PurgeTarget.L1 in targets
    try:
        if PurgeTarget.MONGODB in targets:
            deadline = None if max_seconds is None else time.monotonic() + max_seconds
            for name, count in _delete_collected():
                deleted[name] += count
                if on_progress is not None:
                    on_progress(sum(deleted.values()))
                if deadline is not None and time.monotonic() > deadline:
                    is_complete = False
                    break
    finally:
        # Also after an error: the caches must not serve what was deleted until then.
        if are_caches_cleared:
            require_caches_notified(get_cache().clear_all())
        elif is_l1_cleared:
            require_caches_notified(get_cache().clear_l1_everywhere())
    audit.info(
        "collected_data_purged",
        targets=sorted(targets),
        is_complete=is_complete,
        purged_by=purged_by,
        **deleted,
    )
    return Purged(
        **deleted,
        are_caches_cleared=are_caches_cleared,
        is_l1_cleared=is_l1_cleared,
        is_complete=is_complete,
    )


def _delete_collected() -> Iterator[tuple[str, int]]:
    """Delete in batches; yields the kind and number of each. What is written from now on stays."""
    begun_at = utc_now()
    # Also records that another program wrote without this field.
    stored = {"updated_at": {"$not": {"$gt": begun_at}}}
    yield from (("records", count) for count in records.delete_in_batches(stored, batch_size=_BATCH))
    ended = _ended_collections() | {"finished_at": {"$lte": begun_at}}
    yield from (("collections", count) for count in removal.delete_ended(ended, batch_size=_BATCH))
    while count := runs.delete_ended_rows(before=begun_at, limit=_BATCH):
        yield "runs", count


def _ended_collections() -> Document:
    """Return the filter of ended collections, without those that a running run still counts."""
    ended: Document = {"status": {"$in": [status.value for status in FINAL_STATUSES]}}
    running = [str(run["_id"]) for run in run_selectors.list_running(_MAX_RUNNING)]
    return ended | ({"run_ids": {"$nin": running}} if running else {})


def _count_ended_collections() -> int:
    ended = _ended_collections()
    if "run_ids" in ended:
        return collection_of(Collection).count_documents(ended)
    documents = collection_of(Collection)
    return sum(
        count_up_to(0, documents, {"status": status.value}, hint=QUEUE_INDEX) for status in FINAL_STATUSES
    )
