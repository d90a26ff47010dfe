"""Finds and removes duplicates: documents with the figures of the same query.

Our own keys make duplicates impossible, but documents from elsewhere (the former program, a manual import)
do not have our keys. The documents of one query form a group, and one document of each group is kept.
Documents with figures go before empty and unreadable ones. Among our records the one with our key goes next,
because readers find no other. Then the newest goes first.

An aggregation finds the duplicates of every group. A transaction reads them again and deletes them. It also
writes the document to keep, so that a concurrent change makes it conflict and start again. Therefore the
removal may run at any time, in several processes, and repeatedly.

Documents of the former program are supported: they have ``catId``, ``dateType`` and ``timest`` instead of
``cat_id``, ``granularity`` and ``period_key``, and write a period as ``2025-06`` or ``202506``.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import structlog
from bson.codec_options import CodecOptions, DatetimeConversion
from django.utils.translation import gettext as _
from pymongo.client_session import ClientSession
from pymongo.errors import PyMongoError

from apps.core.batches import batches
from apps.core.caching.tiers import get_cache
from apps.core.errors import DependencyUnavailable, NotFound
from apps.core.storage import mongo
from apps.core.storage.database.client import heavy_operations
from apps.core.storage.mongo import has_collection, in_transaction, named_collection
from apps.mengla.former.duplicate_contest import identity_of, rank
from apps.mengla.former.duplicate_ranking import duplicate_stages
from apps.mengla.ingest.deletions import require_caches_notified
from apps.mengla.ingest.records import keep_and_delete
from apps.mengla.models import Record

audit = structlog.get_logger("collector.audit")

MAX_EXAMPLES = 20
_BATCH = 100
Document = dict[str, Any]
OnProgress = Callable[[int], None]
_NO_GROUP = object()
# Documents from elsewhere may hold invalid UTF-8, and dates that Python cannot represent.
_CODEC: CodecOptions[Document] = CodecOptions(
    unicode_decode_error_handler="replace", datetime_conversion=DatetimeConversion.DATETIME_AUTO
)


@dataclass(slots=True)
class DuplicateReport:
    """The duplicates that were found and deleted.

    ``duplicates`` counts the documents in addition to the kept one of each group. ``left_alone`` counts
    duplicates that changed or disappeared during the removal.
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
    """Find the duplicates of a MongoDB collection (default: the records) and, if applied, delete them.

    The time grows with the size of the collection: the caller sets the limit (``pymongo.timeout``).
    ``on_progress`` is called after each batch with the number of duplicates found so far.

    :raises NotFound: when there is no MongoDB collection of that name.
    :raises DependencyUnavailable: when the caches cannot be notified; a repeated call notifies them.
    """
    name = Record._meta.db_table if collection_name is None else collection_name
    if not has_collection(name):
        raise NotFound(_("There is no MongoDB collection named %(name)s.") % {"name": repr(name)[:80]})
    remover = _Remover(name, is_applied=is_applied)
    try:
        remover.run(on_progress)
    finally:
        # Also after a failure: the caches must not serve what was deleted before it.
        is_notified = not is_applied or remover.notify(requested_by)
    require_caches_notified(is_notified)
    return remover.report


def remove_duplicate_records(*, is_applied: bool, requested_by: str, max_seconds: float) -> DuplicateReport:
    """Find the duplicates among the records and, if applied, delete them, within ``max_seconds``.

    What was deleted before the time was up stays deleted.

    :raises DependencyUnavailable: when the time is not enough.
    """
    mongo.ping()  # with the usual short limit, so that a hanging MongoDB is noticed at once
    try:
        with heavy_operations(max_seconds):
            return remove_duplicates(is_applied=is_applied, requested_by=requested_by)
    except PyMongoError as error:
        if not error.timeout:
            raise
    # Outside the except block: a slow search is no outage, so the timeout must not become the cause.
    mongo.ping()  # raises the error of an outage if MongoDB hangs
    message = _(
        "There are too many records to check within %(seconds)d s. "
        "Use `manage.py remove_duplicates`, which does not have this limit."
    )
    raise DependencyUnavailable(message % {"seconds": max_seconds})


class _Remover:
    """Goes through one MongoDB collection once and fills its report."""

    def __init__(self, name: str, *, is_applied: bool) -> None:
        self.report = DuplicateReport(collection=name, is_applied=is_applied)
        self._documents = named_collection(name).with_options(_CODEC)
        self._is_ours = name == Record._meta.db_table
        # The last group of the previous batch, which may continue: its first document and its kept one.
        self._last_group: Any = _NO_GROUP
        self._last_kept: Any = _NO_GROUP

    def run(self, on_progress: OnProgress | None) -> None:
        stages = duplicate_stages(is_ours=self._is_ours)
        with self._documents.aggregate(stages, allowDiskUse=True, batchSize=_BATCH) as found:
            for batch in batches(found, _BATCH):
                self._process(batch)
                if on_progress is not None:
                    on_progress(self.report.duplicates)

    def notify(self, requested_by: str) -> bool:
        """Clear the caches and write the audit log; returns False when Redis did not respond."""
        report = self.report
        # Also when nothing was deleted now: an earlier removal may have ended before it cleared the caches.
        is_notified = not self._is_ours or get_cache().clear_all()
        audit.info(
            "duplicates_removed",
            collection=report.collection,
            groups=report.groups,
            deleted=report.deleted,
            left_alone=report.left_alone,
            requested_by=requested_by,
        )
        return is_notified

    def _process(self, batch: Sequence[Document]) -> None:
        """Count the duplicates of a batch, which is sorted by group, and delete them if applied."""
        report = self.report
        report.duplicates += len(batch)
        candidates = self._candidates(batch)
        groups: list[list[Any]] = []
        if report.is_applied:
            groups = in_transaction(lambda session: self._delete_duplicates(candidates, session))
            deleted = sum(len(duplicates) for _kept, *duplicates in groups)
            report.deleted += deleted
            report.left_alone += len(batch) - deleted
        elif len(report.examples) < MAX_EXAMPLES:
            groups = rank(self._documents, candidates, is_ours=self._is_ours)
        kept_of = {identity_of(one): group[0] for group in groups for one in group}
        for duplicate in batch:
            is_new_group = self._last_group is _NO_GROUP or duplicate["first_id"] != self._last_group
            # A document that was deleted meanwhile is in no group.
            known = duplicate["first_id"] if is_new_group else self._last_kept
            kept = kept_of.get(identity_of(duplicate["_id"]), known)
            if is_new_group:
                report.groups += 1
                if len(report.examples) < MAX_EXAMPLES:
                    report.examples.append(_example(duplicate, kept))
            self._last_group, self._last_kept = duplicate["first_id"], kept

    def _candidates(self, batch: Sequence[Document]) -> list[Any]:
        """Return the ids of the duplicates and of the first document of each group.

        For a group that goes on from the previous batch, the document that was kept replaces the first one.
        """
        first = {identity_of(one["first_id"]): one["first_id"] for one in batch}
        if self._last_group is not _NO_GROUP and identity_of(self._last_group) in first:
            first[identity_of(self._last_group)] = self._last_kept
        return [*first.values(), *(one["_id"] for one in batch)]

    def _delete_duplicates(self, candidates: Sequence[Any], session: ClientSession) -> list[list[Any]]:
        """Rank the documents as they are now, and delete all but the first of each group."""
        groups = rank(self._documents, candidates, is_ours=self._is_ours, session=session)
        if groups:
            keep_and_delete(
                self._documents,
                keep=[kept for kept, *_duplicates in groups],
                delete=[one for _kept, *duplicates in groups for one in duplicates],
                session=session,
            )
        return groups


def _example(duplicate: Document, kept: Any) -> Document:
    key = {name: duplicate["key"][name] for name in ("action", "cat_id", "granularity", "period_key")}
    other = duplicate["_id"] if duplicate["_id"] != kept else duplicate["first_id"]
    return key | {"kept": str(kept), "duplicate": str(other)}
