"""Carries the data of the former program over within its own database.

The MongoDB collections whose names ours need are renamed, not copied: that takes no time and no space, and
the former program's documents stay as they are. The journal notes each step before it is done, so a move that
was killed at any moment goes on with the next call; until it is finished, every other process refuses the
database.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import structlog
from django.utils.translation import gettext as _

from apps.core.errors import Conflict, NotFound
from apps.core.storage.mongo import has_collection, named_collection, utc_now
from apps.mengla.former.former_database import (
    COMMAND,
    IN_PLACE,
    JOURNALS,
    DatabaseState,
    database_state,
    former_database_problem,
    holds_former_data,
)
from apps.mengla.former.import_lease import JournalLease
from apps.mengla.former.left_behind import JOB_COLLECTIONS
from apps.mengla.former.run_logs import LOGS
from apps.mengla.models import Record

audit = structlog.get_logger("collector.audit")

_KEPT_SUFFIX = "_former"
Document = dict[str, Any]


@dataclass(frozen=True, slots=True)
class KeptCollection:
    """A MongoDB collection of the former program: its own name, and the name under which it is kept."""

    name: str
    kept_as: str

    @property
    def has_figures(self) -> bool:
        """Whether it holds the figures."""
        return self.name == Record._meta.db_table


class Move:
    """A move that is under way; made by :func:`moving`."""

    def __init__(self, lease: JournalLease, journal: Document) -> None:
        self._lease = lease
        self.kept = [KeptCollection(**one) for one in journal["kept"]]
        self.finished_at: datetime | None = journal["finished_at"]

    def rename(self, names: Sequence[str]) -> None:
        """Rename these MongoDB collections, under the names that an interrupted move has noted for them.

        :raises Conflict: when another process has taken over the move.
        """
        noted = {one.name for one in self.kept if not has_collection(one.kept_as)}
        self.kept += plan_renames([name for name in names if name not in noted], taken=self.kept)
        notes = [{"name": one.name, "kept_as": one.kept_as} for one in self.kept]
        self._lease.update({"$set": {"kept": notes}})
        for one in self.kept:
            if one.name in names and not has_collection(one.kept_as):
                named_collection(one.name).rename(one.kept_as)
            _drop_expiry(one.kept_as)

    def finish(self) -> None:
        """Note that everything is carried over; from now on the database belongs to this product.

        :raises Conflict: when another process has taken over the move.
        """
        self.finished_at = utc_now()
        self._lease.update({"$set": {"finished_at": self.finished_at}})
        audit.info("former_data_moved", kept=[one.kept_as for one in self.kept])


@contextmanager
def moving() -> Iterator[Move]:
    """Begin a move, go on with an interrupted one, or return the finished one; one process at a time.

    :raises NotFound: when the database holds nothing of the former program; nothing was changed.
    :raises Conflict: when another process is at work, or as :func:`require_former_data` does.
    """
    require_former_data()
    lease = JournalLease(IN_PLACE, held_message=_("The data is being carried over by another process."))
    journal = lease.acquire(first={"kept": [], "finished_at": None})
    try:
        yield Move(lease, journal)
    finally:
        lease.release()


def require_former_data() -> None:
    """Check that the database holds data of the former program, or has held it.

    :raises NotFound: when it does not.
    :raises Conflict: when its MongoDB collection has replaced this product's again.
    """
    state = database_state()
    if state is DatabaseState.OURS:
        raise NotFound(_("This database holds no data of the former program."))
    if state is DatabaseState.RETURNED:
        raise Conflict(former_database_problem() or "")


def plan_renames(names: Sequence[str], *, taken: Sequence[KeptCollection] = ()) -> list[KeptCollection]:
    """Return under which names these MongoDB collections would be kept: the first ones that are free."""
    planned: list[KeptCollection] = []
    reserved = {one.kept_as for one in taken}
    for name in names:
        number, kept_as = 1, f"{name}{_KEPT_SUFFIX}"
        while kept_as in reserved or has_collection(kept_as):
            number += 1
            kept_as = f"{name}{_KEPT_SUFFIX}_{number}"
        reserved.add(kept_as)
        planned.append(KeptCollection(name, kept_as))
    return planned


def names_to_rename(foreign: Sequence[str]) -> list[str]:
    """Return which MongoDB collections must be renamed, sorted.

    ``foreign`` are those that hold documents under a name that our migrations need. The one with the figures
    also has to go when it is empty: its unique index is not ours.
    """
    figures = {Record._meta.db_table} if holds_former_data() else set()
    return sorted(figures | set(foreign))


def read_kept() -> list[KeptCollection]:
    """Return the renamed MongoDB collections of a move, also of one that is not finished."""
    journal = named_collection(JOURNALS).find_one({"_id": IN_PLACE}) or {}
    return [KeptCollection(**one) for one in journal.get("kept", ())]


def read_finished_at() -> datetime | None:
    """Return when the move was finished (UTC without zone), None if it was not."""
    journal = named_collection(JOURNALS).find_one({"_id": IN_PLACE}) or {}
    finished_at: datetime | None = journal.get("finished_at")
    return finished_at


def count_former() -> dict[str, int]:
    """Return what :func:`drop_former` would delete: documents by MongoDB collection.

    :raises Conflict: when the move is not finished.
    """
    if database_state() is not DatabaseState.MOVED:
        message = _("Nothing is deleted before the data of the former program is carried over: %(command)s")
        raise Conflict(message % {"command": COMMAND})
    names = [*(one.kept_as for one in read_kept()), LOGS, *JOB_COLLECTIONS]
    return {name: named_collection(name).estimated_document_count() for name in names if has_collection(name)}


def drop_former(*, dropped_by: str) -> dict[str, int]:
    """Delete the MongoDB collections of the former program; returns their documents by name.

    :raises Conflict: when the move is not finished.
    """
    counts = count_former()
    for name in counts:
        named_collection(name).drop()
    audit.info("former_data_dropped", documents=counts, dropped_by=dropped_by)
    return counts


def _drop_expiry(name: str) -> None:
    """Drop the indexes by which MongoDB deletes documents of a kept collection that are old enough."""
    documents = named_collection(name)
    for index, facts in documents.index_information().items():
        if "expireAfterSeconds" in facts:
            documents.drop_index(index)
