"""Recognises a database that holds the data of the former program; it only reads.

Both programs name their database and its main MongoDB collection alike. Every process asks before it touches
anything (``apps.core.management.database_state``).
"""

from __future__ import annotations

from enum import Enum

from django.utils.translation import gettext as _

from apps.core.storage.mongo import collection_of, has_collection, named_collection
from apps.mengla.models import Record

COMMAND = "python manage.py import_reference_data --in-place"
JOURNALS = "mengla_imports"
IN_PLACE = "in_place"  # the id of the journal of the move
# The unique index of the former program; it is there even when nothing was collected.
_FORMER_INDEX = "idx_main_query"
_RECORDS_MIGRATION = {"app": "mengla", "name": "0001_initial"}


class DatabaseState(Enum):
    """Whose database it is."""

    OURS = "ours"  # ours, or empty
    FORMER = "former"
    HALF_MOVED = "half_moved"
    MOVED = "moved"  # ours; the collections of the former program may still be kept
    RETURNED = "returned"  # was ours, but the former program's MongoDB collection has taken its place again


def database_state() -> DatabaseState:
    """Return whose database it is."""
    journal = named_collection(JOURNALS).find_one({"_id": IN_PLACE}, {"finished_at": 1})
    if journal is not None and not journal.get("finished_at"):
        return DatabaseState.HALF_MOVED
    if _is_migrated():
        if _has_former_index():
            return DatabaseState.RETURNED
        return DatabaseState.OURS if journal is None else DatabaseState.MOVED
    return DatabaseState.FORMER if holds_former_data() else DatabaseState.OURS


def holds_former_data() -> bool:
    """Whether the MongoDB collection that our records need is still the one of the former program."""
    if _is_migrated() or not has_collection(Record._meta.db_table):
        return False
    return _has_former_index() or _has_former_document()


def former_database_problem() -> str | None:
    """Return why this database must not be used yet, and the command that carries it over; None if it may."""
    match database_state():
        case DatabaseState.FORMER:
            text = _(
                "The database %(database)s holds the data of the former program (about %(count)d documents "
                "in the MongoDB collection %(name)s). Nothing was changed. Stop the former program, then "
                "carry its data over: %(command)s (with --dry-run, it only shows what it would do)"
            )
        case DatabaseState.HALF_MOVED:
            text = _(
                "The data of the former program in the database %(database)s is not completely carried over "
                "yet. To continue, run again: %(command)s"
            )
        case DatabaseState.RETURNED:
            text = _(
                "The MongoDB collection %(name)s of the database %(database)s belongs to the former program "
                "or is in use by it: it has an index of that program. All other MongoDB collections belong "
                "to this product. Nothing was changed. See “Going back” in docs/moving.md."
            )
        case _:
            return None
    documents = collection_of(Record)
    return text % {
        "database": documents.database.name,
        "command": COMMAND,
        "name": documents.name,
        "count": documents.estimated_document_count(),
    }


def _is_migrated() -> bool:
    return named_collection("django_migrations").find_one(_RECORDS_MIGRATION, {"_id": 1}) is not None


def _has_former_index() -> bool:
    return _FORMER_INDEX in collection_of(Record).index_information()


def _has_former_document() -> bool:
    # Ours have texts as ids.
    former = {"_id": {"$type": "objectId"}, "action": {"$exists": True}}
    return collection_of(Record).find_one(former, {"_id": 1}) is not None
