"""Finds and removes documents that answer the same question twice.

Our own keys make duplicates impossible; documents that others wrote (the former program, an import by hand)
have none of our keys. An aggregation names the duplicates of every group: the document to keep is one with
figures rather than an empty one, then the newest, then the one under our key. Right before a document is
deleted, it and the one that is kept are looked at again, and the deletion names the state that was seen: what
changes in between is left alone. So it may run at any time, in several processes, and again.

Documents of the former program are understood too: ``catId``, ``dateType`` and ``timest`` in place of
``cat_id``, ``granularity`` and ``period_key``, whatever their spelling (``2025-06`` or ``202506``).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

import pymongo
import structlog
from bson.codec_options import CodecOptions, DatetimeConversion
from django.utils.translation import gettext as _
from pymongo import DeleteOne
from pymongo.collection import Collection as MongoCollection
from pymongo.errors import PyMongoError

from apps.core import mongo
from apps.core.cache import get_cache
from apps.core.errors import DependencyUnavailable, NotFound
from apps.core.mongo import has_collection, named_collection
from apps.mengla.duplicate_ranking import CHANGE_MARKS, ranking_stages
from apps.mengla.models import Record
from apps.mengla.services.deletions import demand_told

audit = structlog.get_logger("collector.audit")

MAX_EXAMPLES = 20
_BATCH = 500
Document = dict[str, Any]
OnProgress = Callable[[int], None]
_NOBODY = object()
_CODEC: CodecOptions[Document] = CodecOptions(datetime_conversion=DatetimeConversion.DATETIME_AUTO)


@dataclass(slots=True)
class DuplicateReport:
    """What was found, and what was done about it.

    ``left_alone`` counts duplicates that changed, or went, while they were being removed.
    """

    collection: str
    is_applied: bool
    groups: int = 0
    duplicates: int = 0
    deleted: int = 0
    left_alone: int = 0
    examples: list[Document] = field(default_factory=list)


def remove_duplicates(
    *,
    is_applied: bool,
    requested_by: str,
    collection_name: str | None = None,
    on_progress: OnProgress | None = None,
) -> DuplicateReport:
    """Find the duplicates of a collection (the records, unless named) and, if applied, delete them.

    Takes as long as the collection is large: the caller sets the limit (``pymongo.timeout``).
    ``on_progress`` is told, now and then, how many were found so far.

    :raises NotFound: when there is no collection of that name.
    :raises DependencyUnavailable: when the caches cannot be told; repeating it makes that good.
    """
    name = Record._meta.db_table if collection_name is None else collection_name
    if not has_collection(name):
        raise NotFound(_("There is no collection named %(name)s.") % {"name": repr(name)[:80]})
    # Others may have written dates that Python has none for.
    documents = named_collection(name).with_options(_CODEC)
    report = DuplicateReport(collection=name, is_applied=is_applied)
    is_served = name == Record._meta.db_table
    try:
        _go_through(documents, report, on_progress)
    finally:
        # Also when nothing was deleted now: the time before this may have ended before this line.
        is_told = not (is_applied and is_served) or get_cache().clear_all()
    if is_applied:
        audit.info(
            "duplicates_removed",
            collection=name,
            groups=report.groups,
            deleted=report.deleted,
            left_alone=report.left_alone,
            requested_by=requested_by,
        )
    demand_told(is_told)
    return report


def _go_through(
    documents: MongoCollection[Document], report: DuplicateReport, on_progress: OnProgress | None
) -> None:
    last_keeper: Any = _NOBODY
    with documents.aggregate(ranking_stages(), allowDiskUse=True, batchSize=_BATCH) as found:
        for batch in _batches(found):
            last_keeper = _note(report, batch, last_keeper)
            if report.is_applied:
                deleted = _delete_verified(documents, batch)
                report.deleted += deleted
                report.left_alone += len(batch) - deleted
            if on_progress is not None:
                on_progress(report.duplicates)


def remove_duplicate_records(*, is_applied: bool, requested_by: str, max_seconds: float) -> DuplicateReport:
    """Find the duplicates among the records and, if applied, delete them, within the time.

    What was deleted until the time is over stays deleted.

    :raises DependencyUnavailable: when the time is not enough.
    """
    mongo.ping()  # under the usual short limit: one that hangs is told at once
    try:
        with pymongo.timeout(max_seconds):
            return remove_duplicates(is_applied=is_applied, requested_by=requested_by)
    except PyMongoError as error:
        if not error.timeout:
            raise
    # Outside of the handler: a slow search is no outage, and must not be taken for one by its cause.
    mongo.ping()  # or does it hang by now?
    message = _(
        "The records are too many to look through within %(seconds)d s. "
        "Use `manage.py remove_duplicates`, which has no such limit."
    )
    raise DependencyUnavailable(message % {"seconds": max_seconds})


def _batches(found: Iterable[Document]) -> Iterator[list[Document]]:
    iterator = iter(found)
    while batch := list(islice(iterator, _BATCH)):
        yield batch


def _note(report: DuplicateReport, batch: Sequence[Document], last_keeper: Any) -> Any:
    """Count the duplicates, which come group by group; returns the document the last group keeps."""
    for duplicate in batch:
        if duplicate["keeper"] != last_keeper:
            last_keeper = duplicate["keeper"]
            report.groups += 1
            if len(report.examples) < MAX_EXAMPLES:
                report.examples.append(_example(duplicate))
        report.duplicates += 1
    return last_keeper


def _example(duplicate: Document) -> Document:
    key = {name: duplicate["key"][name] for name in ("action", "cat_id", "granularity", "period_key")}
    return key | {"kept": str(duplicate["keeper"]), "duplicate": str(duplicate["_id"])}


def _delete_verified(documents: MongoCollection[Document], batch: Sequence[Document]) -> int:
    """Rank the batch and what is kept of it anew, and delete what still comes after another; how many."""
    duplicates = {duplicate["_id"] for duplicate in batch}
    keepers = {duplicate["keeper"] for duplicate in batch}
    ranked = documents.aggregate(ranking_stages(only_ids=[*duplicates | keepers]))
    deletions = [
        DeleteOne({"_id": one["_id"], **_as_seen(one["seen"])}) for one in ranked if one["_id"] in duplicates
    ]
    return documents.bulk_write(deletions, ordered=False).deleted_count if deletions else 0


def _as_seen(seen: Document) -> Document:
    """Return the condition that a document has not changed since it was ranked."""
    marks = CHANGE_MARKS if any(mark in seen for mark in CHANGE_MARKS) else (*CHANGE_MARKS, "data")
    return {mark: {"$eq": seen[mark]} if mark in seen else {"$exists": False} for mark in marks}
