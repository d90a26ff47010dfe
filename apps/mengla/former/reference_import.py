"""Copies what the reference program has collected into our records.

The source is read in the order of its ids, one batch after the other, and how far it was read is noted after
each batch: a killed import goes on where it stopped, and reading a batch twice changes nothing. A record here
is replaced only by one collected later.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import structlog

from apps.core.caching.tiers import clear_all
from apps.core.storage.mongo import utc_now
from apps.mengla.former.import_journal import ImportCounts, Journal, NoJournal
from apps.mengla.former.reference_document import NothingInIt, Unreadable, read_document
from apps.mengla.former.reference_source import ReferenceSource, SourceDocument, is_same_id
from apps.mengla.ingest.records import UNSTORABLE_ERRORS, ImportedRecord, older_or_missing, write_if_newer

logger = structlog.get_logger(__name__)

DEFAULT_BATCH_SIZE = 200
Document = dict[str, Any]


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
    journal = NoJournal() if is_dry_run else Journal(source)
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
    """Count the records that are not stored, or older than they should be, after one more try."""
    missing = older_or_missing(records)
    again = [record for record in records if id(record) in missing]
    if again:
        # Two writers met at a new record, and the older one won: now it is there to be updated.
        write_if_newer(again)
        missing = older_or_missing(again)
    return len(missing)


def _logged(counts: ImportCounts) -> dict[str, Any]:
    return {name: value for name, value in asdict(counts).items() if name != "listed"}
