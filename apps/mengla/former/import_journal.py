"""How far the import of one source is, and what became of its documents; only this module writes it."""

from __future__ import annotations

import secrets
from dataclasses import asdict, dataclass, field
from datetime import timedelta
from typing import Any

from django.utils.translation import gettext as _
from pymongo import ReturnDocument
from pymongo.errors import DuplicateKeyError

from apps.core.errors import Conflict
from apps.core.storage.mongo import named_collection, utc_now
from apps.mengla.former.reference_document import Unreadable
from apps.mengla.former.reference_source import ReferenceSource

MAX_LISTED = 20
_IMPORTS = "mengla_imports"
_LEASE = timedelta(minutes=5)
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


class Journal:
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


class NoJournal:
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
