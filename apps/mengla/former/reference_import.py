"""Copies what the reference program has collected into our records.

The source is read in the order of its ids, one batch after the other, and how far it was read is noted after
each batch: a killed import goes on where it stopped, and reading a batch twice changes nothing. A record here
is replaced only by one collected later.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from datetime import timedelta
from typing import Any

import pymongo
import structlog
from bson.errors import BSONError
from django.utils.translation import gettext as _
from pymongo import ReturnDocument, UpdateOne
from pymongo.errors import BulkWriteError, DuplicateKeyError

from apps.core.caching.tiers import clear_all
from apps.core.errors import Conflict
from apps.core.storage.mongo import collection_of, named_collection, utc_now
from apps.mengla.former.reference_document import ImportedRecord, NothingInIt, Unreadable, read_document
from apps.mengla.former.reference_source import ReferenceSource, SourceDocument, is_same_id
from apps.mengla.models import Record

logger = structlog.get_logger(__name__)

MAX_LISTED = 20
DEFAULT_BATCH_SIZE = 200
_IMPORTS = "mengla_imports"
_LEASE = timedelta(minutes=5)
_WRITE_SECONDS = 120
_DUPLICATE_KEY = 11000
# BadValue, Overflow (nested too deep), InvalidBSON, bad names and BSONObjectTooLarge: it is the data's fault.
_REFUSALS = frozenset({2, 15, 22, 52, 55, 56, 57, 10334})
Document = dict[str, Any]


@dataclass(slots=True)
class ImportCounts:
    """What became of the documents read so far; each is counted once."""

    read: int = 0
    imported: int = 0
    kept: int = 0  # what is stored here is as new or newer
    skipped: dict[str, int] = field(default_factory=dict)  # by reason
    unreadable: dict[str, int] = field(default_factory=dict)  # by reason
    records: int = 0  # written: a trend makes one for each point
    lost: int = 0  # written records that were not there when they were looked for
    listed: list[dict[str, str]] = field(default_factory=list)  # the first unreadable ones, and why

    @property
    def is_balanced(self) -> bool:
        """Whether every document read is accounted for, and every record written was found again."""
        others = sum(self.skipped.values()) + sum(self.unreadable.values())
        return self.read == self.imported + self.kept + others and self.lost == 0

    def note_skipped(self, reason: str) -> None:
        """Count a document with nothing to import."""
        self.skipped[reason] = self.skipped.get(reason, 0) + 1

    def note_unreadable(self, document_id: Any, problem: Unreadable) -> None:
        """Count a document that cannot be read."""
        self.unreadable[problem.reason] = self.unreadable.get(problem.reason, 0) + 1
        if len(self.listed) < MAX_LISTED:
            self.listed.append({"id": str(document_id)[:100], "reason": str(problem)})


@dataclass(frozen=True, slots=True)
class ImportResult:
    """How an import ended."""

    counts: ImportCounts
    source_count: int
    was_resumed: bool
    is_announced: bool  # whether the caches were told

    @property
    def is_complete(self) -> bool:
        """Whether the source holds no more than was read."""
        return self.counts.read >= self.source_count


def import_reference_data(
    source: ReferenceSource,
    *,
    batch_size: int = DEFAULT_BATCH_SIZE,
    is_dry_run: bool = False,
    is_restarted: bool = False,
    report: Callable[[ImportCounts, int], None] = lambda _counts, _total: None,
) -> ImportResult:
    """Import everything the source holds, or say what would be imported.

    ``report`` is called after each batch with the counts so far and the number of documents in the source.

    :raises InvalidInput: when the source is where the records are written to.
    :raises Conflict: when another import of the same source is under way.
    :raises DependencyUnavailable: when the source does not answer; then another call goes on from there.
    """
    source.check()
    total = source.estimate_count()
    journal = _NoJournal() if is_dry_run else _Journal(source)
    counts, after = journal.begin(is_restarted=is_restarted)
    was_resumed = after is not None
    try:
        while batch := source.read_batch(after, limit=batch_size):
            _take_batch(batch, counts, is_dry_run=is_dry_run)
            if after is not None and is_same_id(after[0], batch[-1].id):
                break
            after = (batch[-1].id,)
            journal.note(counts, batch[-1].id)
            report(counts, total)
        journal.finish(counts)
    finally:
        journal.release()
        # Also when it was stopped: a batch may have been written and not yet counted.
        is_announced = is_dry_run or counts.read == 0 or clear_all()
    logger.info("reference_data_imported", source=source.name, is_dry_run=is_dry_run, **_logged(counts))
    return ImportResult(counts, source.estimate_count(), was_resumed, is_announced)


def _take_batch(batch: Sequence[SourceDocument], counts: ImportCounts, *, is_dry_run: bool) -> None:
    now = utc_now()
    readable: list[tuple[Any, list[ImportedRecord]]] = []
    for document in batch:
        counts.read += 1
        try:
            readable.append((document.id, read_document(_decoded(document), now=now)))
        except NothingInIt as nothing:
            counts.note_skipped(str(nothing))
        except Unreadable as problem:
            counts.note_unreadable(document.id, problem)
    records = [record for _document_id, made in readable for record in made]
    written, refused = _older_or_missing(records), frozenset[int]()
    if not is_dry_run:
        written, refused = _write(records)
        counts.lost += _count_lost([record for record in records if id(record) not in refused])
    for document_id, made in readable:
        if any(id(record) in refused for record in made):
            counts.note_unreadable(document_id, Unreadable("data cannot be stored", "MongoDB refused it"))
        elif any(id(record) in written for record in made):
            counts.imported += 1
        else:
            counts.kept += 1
    counts.records += len(written)


def _decoded(document: SourceDocument) -> Document:
    try:
        return document.decode()
    except (BSONError, UnicodeError, OverflowError, RecursionError) as error:
        raise Unreadable("broken document", type(error).__name__) from error


def _write(records: Sequence[ImportedRecord]) -> tuple[frozenset[int], frozenset[int]]:
    """Write the records where nothing newer is stored; returns the identities of those written and refused.

    A record that is as new or newer does not match the filter, so MongoDB tries to insert and meets its key:
    that duplicate key is how it says so.
    """
    if not records:
        return frozenset(), frozenset()
    operations = [
        UpdateOne(
            {"_id": record.id, "collected_at": {"$lt": record.collected_at}},
            {"$set": record.changes, "$setOnInsert": record.first},
            upsert=True,
        )
        for record in records
    ]
    errors: dict[int, int | None] = {}
    try:
        with pymongo.timeout(_WRITE_SECONDS):
            collection_of(Record).bulk_write(operations, ordered=False)
    except BulkWriteError as error:
        details = error.details or {}
        if details.get("writeConcernErrors"):
            raise
        errors = {one["index"]: one.get("code") for one in details.get("writeErrors", [])}
        if strange := set(errors.values()) - {_DUPLICATE_KEY} - _REFUSALS:
            logger.warning("import_write_failed", codes=sorted(map(str, strange)))
            raise
    return (
        frozenset(id(record) for index, record in enumerate(records) if index not in errors),
        frozenset(
            id(record)
            for index, record in enumerate(records)
            if index in errors and errors[index] != _DUPLICATE_KEY
        ),
    )


def _count_lost(records: Sequence[ImportedRecord]) -> int:
    """Count the records that are not stored, or older than they should be, after one more try."""
    missing = _older_or_missing(records)
    again = [record for record in records if id(record) in missing]
    if again:
        # Two writers met at a new record, and the older one won: now it is there to be updated.
        _write(again)
        missing = _older_or_missing(again)
    return len(missing)


def _older_or_missing(records: Sequence[ImportedRecord]) -> frozenset[int]:
    """Return the identities of the records that are not stored, or stored with older figures."""
    wanted = {"_id": {"$in": [record.id for record in records]}}
    with pymongo.timeout(_WRITE_SECONDS):
        found = collection_of(Record).find(wanted, {"collected_at": 1})
        stored = {document["_id"]: document["collected_at"] for document in found}
    return frozenset(
        id(record) for record in records if record.id not in stored or stored[record.id] < record.collected_at
    )


class _Journal:
    """How far the import of one source is: a document that one process at a time may write."""

    def __init__(self, source: ReferenceSource) -> None:
        self._name = source.name
        self._key = source.key
        self._token = secrets.token_hex(16)
        self._documents = named_collection(_IMPORTS)

    def begin(self, *, is_restarted: bool) -> tuple[ImportCounts, tuple[Any] | None]:
        """Take the source for this process; returns the counts so far and the last id read."""
        now = utc_now()
        try:
            journal: Any = self._documents.find_one_and_update(
                {"_id": self._key, "$or": [{"lease_until": None}, {"lease_until": {"$lt": now}}]},
                {
                    "$set": {"token": self._token, "lease_until": now + _LEASE},
                    "$setOnInsert": {"source": self._name, "is_done": False, "started_at": now},
                },
                upsert=True,
                return_document=ReturnDocument.AFTER,
            )
        except DuplicateKeyError as error:
            raise Conflict(_("This source is being imported by another process.")) from error
        if is_restarted or journal["is_done"] or "last_id" not in journal:
            # A source that was read to its end may have changed since, anywhere.
            self._update({"$set": {"is_done": False, "started_at": now}, "$unset": {"last_id": 1}})
            return ImportCounts(), None
        return ImportCounts(**journal["counts"]), (journal["last_id"],)

    def note(self, counts: ImportCounts, last_id: Any) -> None:
        """Note that everything up to this id is done.

        :raises Conflict: when the lease went to another process, because this one was asleep for long.
        """
        changes = {"counts": asdict(counts), "last_id": last_id, "lease_until": utc_now() + _LEASE}
        if not self._update({"$set": changes}):
            raise Conflict(_("This source is being imported by another process."))

    def finish(self, counts: ImportCounts) -> None:
        """Note that the source was read to its end."""
        self._update({"$set": {"is_done": True, "counts": asdict(counts), "finished_at": utc_now()}})

    def release(self) -> None:
        """Let others import."""
        self._update({"$set": {"lease_until": None}})

    def _update(self, changes: Document) -> bool:
        owned = {"_id": self._key, "token": self._token}
        return self._documents.update_one(owned, changes).matched_count == 1


class _NoJournal:
    """A dry run begins at the beginning and notes nothing."""

    def begin(self, *, is_restarted: bool) -> tuple[ImportCounts, tuple[Any] | None]:
        """Begin."""
        return ImportCounts(), None

    def note(self, counts: ImportCounts, last_id: Any) -> None:
        """Note nothing."""

    def finish(self, counts: ImportCounts) -> None:
        """Note nothing."""

    def release(self) -> None:
        """Hold nothing."""


def _logged(counts: ImportCounts) -> dict[str, Any]:
    return {name: value for name, value in asdict(counts).items() if name != "listed"}
