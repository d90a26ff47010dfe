"""The journal of an import: its progress and its counts. Only this module writes it."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

from django.utils.translation import gettext as _

from apps.core.storage.mongo import utc_now
from apps.mengla.former.import_lease import JournalLease
from apps.mengla.former.reference_document import Unreadable
from apps.mengla.former.reference_source import ReferenceSource

MAX_LISTED = 20


@dataclass(slots=True)
class ImportCounts:
    """The outcomes of the documents read so far; each document is counted once."""

    read: int = 0
    imported: int = 0
    kept: int = 0  # our record is as new or newer
    skipped: dict[str, int] = field(default_factory=dict)  # by reason
    unreadable: dict[str, int] = field(default_factory=dict)  # by reason
    records: int = 0  # written records; a trend makes one for each point
    lost: int = 0  # written records that were missing when they were read again
    listed: list[dict[str, str]] = field(default_factory=list)  # the first unreadable documents

    @property
    def is_balanced(self) -> bool:
        """Whether each document that was read has an outcome, and each written record was found again."""
        others = sum(self.skipped.values()) + sum(self.unreadable.values())
        return self.read == self.imported + self.kept + others and self.lost == 0

    def note_skipped(self, reason: str) -> None:
        """Count a document with nothing to import, by its reason."""
        self.skipped[reason] = self.skipped.get(reason, 0) + 1

    def note_unreadable(self, document_id: Any, problem: Unreadable) -> None:
        """Count a document that cannot be read, and list it if it is one of the first."""
        self.unreadable[problem.reason] = self.unreadable.get(problem.reason, 0) + 1
        if len(self.listed) < MAX_LISTED:
            self.listed.append({"id": str(document_id)[:100], "reason": str(problem)})


class Journal:
    """The stored progress of the import of one source; a lease lets one process at a time write it."""

    def __init__(self, source: ReferenceSource) -> None:
        self._name = source.name
        self._lease = JournalLease(
            source.key, held_message=_("This source is being imported by another process.")
        )

    def begin(self, *, is_restarted: bool) -> tuple[ImportCounts, tuple[Any] | None]:
        """Acquire the lease; returns the counts so far and the last id that was read, None at the beginning.

        :raises Conflict: when another process has the lease.
        """
        journal = self._lease.acquire(first={"source": self._name, "is_done": False})
        if is_restarted or journal["is_done"] or "last_id" not in journal:
            # A source that was read to its end may have changed anywhere since then.
            changes = {"is_done": False, "started_at": utc_now()}
            self._lease.update({"$set": changes, "$unset": {"last_id": 1}})
            return ImportCounts(), None
        return ImportCounts(**journal["counts"]), (journal["last_id"],)

    def note(self, counts: ImportCounts, last_id: Any) -> None:
        """Note that all documents up to this id are done.

        :raises Conflict: when the lease has expired and another process has acquired it.
        """
        self._lease.update({"$set": {"counts": asdict(counts), "last_id": last_id}})

    def finish(self, counts: ImportCounts) -> None:
        """Note that the source was read to its end.

        :raises Conflict: as :meth:`note` does.
        """
        done = {"is_done": True, "counts": asdict(counts), "finished_at": utc_now()}
        self._lease.update({"$set": done})

    def release(self) -> None:
        """Release the lease."""
        self._lease.release()


class NoJournal:
    """The journal of a dry run: it begins at the first document and stores nothing."""

    def begin(self, *, is_restarted: bool) -> tuple[ImportCounts, tuple[Any] | None]:
        """Return empty counts and no last id."""
        return ImportCounts(), None

    def note(self, counts: ImportCounts, last_id: Any) -> None:
        """Do nothing."""

    def finish(self, counts: ImportCounts) -> None:
        """Do nothing."""

    def release(self) -> None:
        """Do nothing: a dry run has no lease."""
