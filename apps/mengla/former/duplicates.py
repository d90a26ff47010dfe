"""Finds and removes documents that answer the same question twice.

Our own keys make duplicates impossible; documents that others wrote (the former program, an import by hand)
have none of our keys. An aggregation names the duplicates of every group: the document to keep is one with
figures rather than an empty or unreadable one, then the newest; among our records the one under our key,
which alone readers can find. They are looked at again and deleted in one transaction, which holds the one to
keep, too: what changes meanwhile is decided anew. So it may run at any time, in several processes, and again.

Documents of the former program are understood too: ``catId``, ``dateType`` and ``timest`` in place of
``cat_id``, ``granularity`` and ``period_key``, whatever their spelling (``2025-06`` or ``202506``).
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
from apps.mengla.ingest.deletions import demand_told
from apps.mengla.ingest.records import keep_and_delete
from apps.mengla.models import Record

audit = structlog.get_logger("collector.audit")

MAX_EXAMPLES = 20
_BATCH = 100
Document = dict[str, Any]
OnProgress = Callable[[int], None]
_NOBODY = object()
# Others may have written text that is none, and dates that Python has none for.
_CODEC: CodecOptions[Document] = CodecOptions(
    unicode_decode_error_handler="replace", datetime_conversion=DatetimeConversion.DATETIME_AUTO
)


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
    remover = _Remover(name, is_applied=is_applied)
    try:
        remover.run(on_progress)
    finally:
        # Also when it stopped half way: what was deleted until then is served no more.
        is_told = not is_applied or remover.tell(requested_by)
    demand_told(is_told)
    return remover.report


def remove_duplicate_records(*, is_applied: bool, requested_by: str, max_seconds: float) -> DuplicateReport:
    """Find the duplicates among the records and, if applied, delete them, within the time.

    What was deleted until the time is over stays deleted.

    :raises DependencyUnavailable: when the time is not enough.
    """
    mongo.ping()  # under the usual short limit: one that hangs is told at once
    try:
        with heavy_operations(max_seconds):
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


class _Remover:
    """One walk through a collection, and what it has found."""

    def __init__(self, name: str, *, is_applied: bool) -> None:
        self.report = DuplicateReport(collection=name, is_applied=is_applied)
        self._documents = named_collection(name).with_options(_CODEC)
        self._is_ours = name == Record._meta.db_table
        # The group that the last batch ended in: its first document, and the one that stays of it so far.
        self._last_group: Any = _NOBODY
        self._last_kept: Any = _NOBODY

    def run(self, on_progress: OnProgress | None) -> None:
        stages = duplicate_stages(is_ours=self._is_ours)
        with self._documents.aggregate(stages, allowDiskUse=True, batchSize=_BATCH) as found:
            for batch in batches(found, _BATCH):
                self._take(batch)
                if on_progress is not None:
                    on_progress(self.report.duplicates)

    def tell(self, requested_by: str) -> bool:
        """Tell the caches and the audit log; False when Redis did not take it."""
        report = self.report
        # Also when nothing was deleted now: the time before this may have ended before this line.
        is_told = not self._is_ours or get_cache().clear_all()
        audit.info(
            "duplicates_removed",
            collection=report.collection,
            groups=report.groups,
            deleted=report.deleted,
            left_alone=report.left_alone,
            requested_by=requested_by,
        )
        return is_told

    def _take(self, batch: Sequence[Document]) -> None:
        """Count the duplicates of a batch, which come group by group, and delete them if that is wanted."""
        report = self.report
        report.duplicates += len(batch)
        contenders = self._contenders(batch)
        contests: list[list[Any]] = []
        if report.is_applied:
            contests = in_transaction(lambda session: self._settle(contenders, session))
            deleted = sum(len(losers) for _winner, *losers in contests)
            report.deleted += deleted
            report.left_alone += len(batch) - deleted
        elif len(report.examples) < MAX_EXAMPLES:
            contests = rank(self._documents, contenders, is_ours=self._is_ours)
        kept = {identity_of(one): winner for winner, *losers in contests for one in (winner, *losers)}
        for duplicate in batch:
            is_new_group = self._last_group is _NOBODY or duplicate["keeper"] != self._last_group
            # One that has gone meanwhile was in no contest.
            known = duplicate["keeper"] if is_new_group else self._last_kept
            stays = kept.get(identity_of(duplicate["_id"]), known)
            if is_new_group:
                report.groups += 1
                if len(report.examples) < MAX_EXAMPLES:
                    report.examples.append(_example(duplicate, stays))
            self._last_group, self._last_kept = duplicate["keeper"], stays

    def _contenders(self, batch: Sequence[Document]) -> list[Any]:
        """Return the duplicates and what their groups keep; of a group that goes on, what stayed of it."""
        first = {identity_of(one["keeper"]): one["keeper"] for one in batch}
        if self._last_group is not _NOBODY and identity_of(self._last_group) in first:
            first[identity_of(self._last_group)] = self._last_kept
        return [*first.values(), *(one["_id"] for one in batch)]

    def _settle(self, contenders: Sequence[Any], session: ClientSession) -> list[list[Any]]:
        """Rank the documents as they are now, and delete all but the first of each question."""
        contests = rank(self._documents, contenders, is_ours=self._is_ours, session=session)
        if contests:
            keep_and_delete(
                self._documents,
                keep=[winner for winner, *_losers in contests],
                delete=[one for _winner, *losers in contests for one in losers],
                session=session,
            )
        return contests


def _example(duplicate: Document, kept: Any) -> Document:
    key = {name: duplicate["key"][name] for name in ("action", "cat_id", "granularity", "period_key")}
    goes = duplicate["_id"] if duplicate["_id"] != kept else duplicate["keeper"]
    return key | {"kept": str(kept), "duplicate": str(goes)}
