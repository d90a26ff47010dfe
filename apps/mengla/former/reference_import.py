"""Copies the figures that the former program has collected into our records.

The source is read in the order of its ids, batch by batch. The journal notes the last id after each batch,
so a killed import goes on where it stopped. Importing a batch twice changes nothing. A record is replaced
only by one that was collected later.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import structlog

from apps.core.caching.tiers import clear_all
from apps.core.storage.mongo import utc_now
from apps.mengla.former.import_journal import ImportCounts, Journal, NoJournal
from apps.mengla.former.reference_document import NothingToImport, Unreadable, read_document
from apps.mengla.former.reference_source import ReferenceSource, SourceDocument, is_same_id
from apps.mengla.ingest.records import UNSTORABLE_ERRORS, ImportedRecord, older_or_missing, write_if_newer

logger = structlog.get_logger(__name__)

DEFAULT_BATCH_SIZE = 200
Document = dict[str, Any]


@dataclass(frozen=True, slots=True)
class ImportResult:
    """The result of an import."""

    counts: ImportCounts
    source_count: int
    was_resumed: bool
    are_caches_notified: bool

    @property
    def is_complete(self) -> bool:
        """Whether all documents of the source were read."""
        return self.counts.read >= self.source_count


def import_reference_data(
    source: ReferenceSource,
    *,
    batch_size: int = DEFAULT_BATCH_SIZE,
    is_dry_run: bool = False,
    is_restarted: bool = False,
    report: Callable[[ImportCounts, int], None] = lambda _counts, _total: None,
) -> ImportResult:
    """Import all documents of the source; a dry run only counts what would be imported.

    ``report`` is called after each batch with the counts so far and the number of documents in the source.
    ``is_restarted`` begins with the first document, also after an interrupted import.

    :raises InvalidInput: when the source is the MongoDB collection of our records.
    :raises Conflict: when another import of the same source is running.
    :raises DependencyUnavailable: when the source does not respond; the next call goes on from there.
    """
    source.check()
    total = source.estimate_count()
    journal = NoJournal() if is_dry_run else Journal(source)
    counts, after = journal.begin(is_restarted=is_restarted)
    was_resumed = after is not None
    try:
        while batch := source.read_batch(after, limit=batch_size):
            _import_batch(batch, counts, is_dry_run=is_dry_run)
            if after is not None and is_same_id(after[0], batch[-1].id):
                break
            after = (batch[-1].id,)
            journal.note(counts, batch[-1].id)
            report(counts, total)
        journal.finish(counts)
    finally:
        journal.release()
        # Also after a failure: a batch may be written but not counted yet.
        are_caches_notified = is_dry_run or counts.read == 0 or clear_all()
    logger.info("reference_data_imported", source=source.name, is_dry_run=is_dry_run, **_logged(counts))
    return ImportResult(counts, source.estimate_count(), was_resumed, are_caches_notified)


def _import_batch(batch: Sequence[SourceDocument], counts: ImportCounts, *, is_dry_run: bool) -> None:
    now = utc_now()
    readable: list[tuple[Any, list[ImportedRecord]]] = []
    for document in batch:
        counts.read += 1
        try:
            readable.append((document.id, read_document(_decoded(document), now=now)))
        except NothingToImport as reason:
            counts.note_skipped(str(reason))
        except Unreadable as problem:
            counts.note_unreadable(document.id, problem)
    records = [record for _document_id, made in readable for record in made]
    written, refused = older_or_missing(records), frozenset[int]()
    if not is_dry_run:
        written, refused = write_if_newer(records)
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
    except UNSTORABLE_ERRORS as error:
        raise Unreadable("broken document", type(error).__name__) from error


def _count_lost(records: Sequence[ImportedRecord]) -> int:
    """Count the records that are missing or stored with older figures, after a second attempt to write."""
    missing = older_or_missing(records)
    again = [record for record in records if id(record) in missing]
    if again:
        # Two writers inserted the same new record, and the older one won: now it can be updated.
        write_if_newer(again)
        missing = older_or_missing(again)
    return len(missing)


def _logged(counts: ImportCounts) -> dict[str, Any]:
    return {name: value for name, value in asdict(counts).items() if name != "listed"}
