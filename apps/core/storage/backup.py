"""Copies our whole database into the file of a backup, as of one instant, and back.

The file has every MongoDB collection and view of the database, with its options and indexes, so that a
restored database is the same, whichever version wrote it. Both directions need the memory of one batch.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import IO, Any

from bson.codec_options import CodecOptions
from bson.raw_bson import RawBSONDocument
from django.conf import settings
from django.utils.translation import gettext as _
from pymongo.database import Database
from pymongo.errors import OperationFailure

from apps.core.errors import Conflict, DomainError
from apps.core.printable import list_text
from apps.core.storage.archive import ArchiveWriter, Entry, EntryKind, damaged, read_archive, refused
from apps.core.storage.mongo import our_database, snapshot_session, utc_now

# Restored last and dropped first: without it no process starts, so a half restored database is never used.
_MIGRATIONS = "django_migrations"
_RAW: CodecOptions[RawBSONDocument] = CodecOptions(document_class=RawBSONDocument)
_BATCH_DOCUMENTS, _BATCH_BYTES = 1000, 8 * 2**20
_SNAPSHOT_TOO_OLD = 239
Document = dict[str, Any]
OnProgress = Callable[[int], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Backup:
    """What a backup holds; ``made_at`` is UTC without zone."""

    version: str
    made_at: datetime
    database: str
    migrations: frozenset[str]
    collections: int
    documents: int


def count_documents() -> int:
    """Return about how many documents our database has."""
    database = our_database()
    names = (one["name"] for one in _contents(database) if one["type"] == "collection")
    return sum(database[name].estimated_document_count() for name in names)


def write_backup(file: IO[bytes], *, on_progress: OnProgress = lambda _count: None) -> tuple[Backup, str]:
    """Write the database into a file; returns what was written, and its checksum.

    All documents are of one instant, whatever is written in the meantime, but those of capped MongoDB
    collections, which cannot be read so.

    :raises DomainError: when it takes longer than MongoDB keeps that instant.
    """
    database = our_database()
    contents = _contents(database)
    with snapshot_session() as session:
        try:
            applied = database[_MIGRATIONS].find({}, {"app": 1, "name": 1}, session=session)
            backup = Backup(
                version=settings.VERSION,
                made_at=utc_now(),
                database=database.name,
                migrations=frozenset(f"{one['app']}.{one['name']}" for one in applied),
                collections=len(contents),
                documents=0,
            )
            writer = ArchiveWriter(file, _header(backup))
            for description in contents:
                writer.begin_collection(description)
                if description["type"] == "view":
                    continue
                documents = database[description["name"]].with_options(codec_options=_RAW)
                is_capped = description["options"].get("capped")
                for document in documents.find({}, session=None if is_capped else session):
                    writer.write_document(bytes(document.raw))
                    if not writer.documents % _BATCH_DOCUMENTS:
                        on_progress(writer.documents)
        except OperationFailure as error:
            if error.code != _SNAPSHOT_TOO_OLD:
                raise
            message = _(
                "The backup took longer than MongoDB keeps the state of one instant. Raise its parameter "
                "minSnapshotHistoryWindowInSeconds for the time of the backup."
            )
            raise DomainError(message) from error
    checksum = writer.finish()
    return replace(backup, documents=writer.documents), checksum


def examine(path: Path, *, on_progress: OnProgress = lambda _count: None) -> Backup:
    """Read a whole backup; returns what it holds.

    :raises InvalidInput: when it is not a whole one.
    """
    header: Document = {}
    collections = documents = 0
    for entry in read_archive(path):
        if entry.kind is EntryKind.DOCUMENT:
            documents += 1
            if not documents % _BATCH_DOCUMENTS:
                on_progress(documents)
            continue
        try:
            described = entry.decoded()
        except EOFError as error:
            raise damaged(path) from error
        if entry.kind is EntryKind.HEADER:
            header = described
        else:
            collections += 1
    try:
        return Backup(
            version=str(header["version"]),
            made_at=header["made_at"],
            database=str(header["database"]),
            migrations=frozenset(map(str, header["migrations"])),
            collections=collections,
            documents=documents,
        )
    except (KeyError, TypeError) as error:
        raise refused(_("%(path)s is no backup of this product.") % {"path": path}) from error


def refuse_newer(backup: Backup) -> None:
    """Refuse a backup of a version that has migrations which this one does not know.

    :raises Conflict: then.
    """
    from django.db.migrations.loader import MigrationLoader

    loader = MigrationLoader(None)
    known = {f"{app}.{name}" for app, name in loader.disk_migrations} | _replaced(loader)
    if unknown := sorted(backup.migrations - known):
        message = _(
            "The backup is of version %(version)s, which is newer: this version does not know %(names)s. "
            "Install that version first."
        )
        raise Conflict(message % {"version": backup.version, "names": list_text(unknown[:5])})


def is_database_empty() -> bool:
    """Whether our database has no MongoDB collection and no view."""
    return not _contents(our_database())


def restore_backup(path: Path, *, on_progress: OnProgress = lambda _count: None) -> None:
    """Replace the whole database by a backup that was examined; run it again after a kill.

    :raises InvalidInput: when the file was changed in the meantime.
    """
    database, entries = our_database(), read_archive(path)
    next(entries)  # the header: the file is opened before anything is deleted
    names = sorted((one["name"] for one in _contents(database)), key=lambda name: name != _MIGRATIONS)
    for name in names:
        database.drop_collection(name)
    restored, late = 0, None
    for description, documents in _by_collection(entries):
        if description["name"] == _MIGRATIONS:
            late = description, [document for batch in documents for document in batch]
            continue
        for count in _restore(database, description, documents):
            restored += count
            on_progress(restored)
    if late is not None:
        for _count in _restore(database, late[0], iter([late[1]])):
            pass


def _header(backup: Backup) -> Document:
    return {
        "version": backup.version,
        "made_at": backup.made_at,
        "database": backup.database,
        "migrations": sorted(backup.migrations),
    }


def _replaced(loader: Any) -> set[str]:
    replaced = (one for migration in loader.disk_migrations.values() for one in migration.replaces)
    return {f"{app}.{name}" for app, name in replaced}


def _contents(database: Database[Document]) -> list[Document]:
    """Describe all MongoDB collections, then all views, each by name."""
    found = []
    for one in database.list_collections():
        if one["name"].startswith("system.") or one["type"] not in ("collection", "view"):
            continue
        is_view = one["type"] == "view"
        indexes = [] if is_view else [dict(index) for index in database[one["name"]].list_indexes()]
        found.append(
            {
                "name": one["name"],
                "type": one["type"],
                "options": one["options"],
                "indexes": [index for index in indexes if index["name"] != "_id_"],
            }
        )
    return sorted(found, key=lambda one: (one["type"], one["name"]))


def _by_collection(entries: Iterable[Entry]) -> Iterator[tuple[Document, Iterator[list[RawBSONDocument]]]]:
    """Yield each MongoDB collection with the batches of its documents, which must be used up."""
    source = iter(entries)
    following: list[Entry] = []

    def batches() -> Iterator[list[RawBSONDocument]]:
        batch: list[RawBSONDocument] = []
        size = 0
        for entry in source:
            if entry.kind is not EntryKind.DOCUMENT:
                following.append(entry)
                break
            if len(batch) == _BATCH_DOCUMENTS or size + len(entry.content) > _BATCH_BYTES:
                yield batch
                batch, size = [], 0
            batch.append(RawBSONDocument(entry.content, _RAW))
            size += len(entry.content)
        if batch:
            yield batch

    for first in source:
        if first.kind is EntryKind.COLLECTION:
            following.append(first)
            break
    while following:
        yield following.pop().decoded(), batches()


def _restore(
    database: Database[Document], description: Document, batches: Iterator[list[RawBSONDocument]]
) -> Iterator[int]:
    """Create one MongoDB collection or view with its documents, then its indexes; yields the counts."""
    name = description["name"]
    database.create_collection(name, check_exists=False, **description["options"])
    for batch in batches:
        if batch:
            database[name].with_options(codec_options=_RAW).insert_many(batch)
            yield len(batch)
    if description["indexes"]:
        database.command("createIndexes", name, indexes=description["indexes"])
