"""The file of a backup: the documents of a database in their own bytes, compressed, with a checksum.

It is a gzip file: a first line, then entries. Each is a letter and a BSON document (which begins with its
length):

====== ======================================================================================
``H``  the header: what wrote the file and when, and which migrations the database has
``C``  a MongoDB collection or a view: its name, options and indexes
``D``  a document of the MongoDB collection before it
``E``  the end: the number of documents, and the SHA-256 of everything before it
====== ======================================================================================

A file without its end was cut off.
"""

from __future__ import annotations

import gzip
import hashlib
import struct
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import IO, Any

import bson
from bson.errors import BSONError
from django.utils.translation import gettext as _

from apps.core.errors import InvalidInput

FORMAT = 1
_FIRST_LINE = b"MengLa Collector backup %d\n"
_LEVEL = 1  # the fastest: the documents are compressed to a fifth, and level 6 would take three times as long
_MAX_DOCUMENT_BYTES = 17 * 2**20  # MongoDB's limit is 16 MB and a little more
_MIN_DOCUMENT_BYTES = 5
_LENGTH = struct.Struct("<i")
Document = dict[str, Any]


class EntryKind(bytes, Enum):
    """What an entry holds."""

    HEADER = b"H"
    COLLECTION = b"C"
    DOCUMENT = b"D"
    END = b"E"


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry; ``content`` is its BSON."""

    kind: EntryKind
    content: bytes

    def decoded(self) -> Document:
        """Return the content as a dictionary.

        :raises EOFError: when it is damaged.
        """
        try:
            return bson.decode(self.content)
        except BSONError as error:
            raise EOFError from error


class ArchiveWriter:
    """Writes the entries into a file that is open for writing; call :meth:`finish` at the end."""

    def __init__(self, file: IO[bytes], header: Mapping[str, Any]) -> None:
        self._file = gzip.GzipFile(fileobj=file, mode="wb", compresslevel=_LEVEL, filename="", mtime=0)
        self._hash = hashlib.sha256()
        self.documents = 0
        self._write(_FIRST_LINE % FORMAT)
        self._write(EntryKind.HEADER.value + bson.encode(header))

    def begin_collection(self, description: Mapping[str, Any]) -> None:
        """Write what is known of a MongoDB collection; its documents follow."""
        self._write(EntryKind.COLLECTION.value + bson.encode(description))

    def write_document(self, document: bytes) -> None:
        """Write a document, given its BSON."""
        self._write(EntryKind.DOCUMENT.value)
        self._write(document)
        self.documents += 1

    def finish(self) -> str:
        """Write the end; returns the checksum."""
        checksum = self._hash.hexdigest()
        self._write(EntryKind.END.value + bson.encode({"documents": self.documents, "sha256": checksum}))
        self._file.close()
        return checksum

    def _write(self, content: bytes) -> None:
        self._file.write(content)
        self._hash.update(content)


def read_archive(path: Path) -> Iterator[Entry]:
    """Read all entries but the end, which is checked: the loop ends only if the file is whole.

    Needs the memory of one document.

    :raises InvalidInput: when the file cannot be read, is no backup, is of a newer format, or is damaged.
    """
    try:
        with path.open("rb") as file, gzip.GzipFile(fileobj=file, mode="rb") as unpacked:
            yield from _read_entries(unpacked, path)
    except (EOFError, zlib.error) as error:
        raise damaged(path) from error
    except OSError as error:
        reason = error.strerror or _("this is no backup")
        raise refused(_("%(path)s cannot be read: %(error)s.") % {"path": path, "error": reason}) from error


def damaged(path: Path) -> InvalidInput:
    """Return the error of a file that was cut off or changed."""
    return refused(_("%(path)s is damaged: it was cut off or changed.") % {"path": path})


def refused(message: str) -> InvalidInput:
    """Return the error of a file that is not accepted."""
    return InvalidInput(message, fields={"file": [message]})


def _read_entries(file: gzip.GzipFile, path: Path) -> Iterator[Entry]:
    digest = hashlib.sha256()
    line = file.readline(len(_FIRST_LINE) + 20)
    prefix, _space, number = line.rstrip(b"\n").rpartition(b" ")
    if prefix != _FIRST_LINE.partition(b" %d")[0] or not number.isdigit():
        raise refused(_("%(path)s is no backup of this product.") % {"path": path})
    if int(number) != FORMAT:
        message = _("%(path)s was written by a newer version, in a format that this version cannot read.")
        raise refused(message % {"path": path})
    digest.update(line)
    documents = 0
    while True:
        letter = _exactly(file, 1)
        before = digest.hexdigest() if letter == EntryKind.END.value else ""
        length = _exactly(file, _LENGTH.size)
        (size,) = _LENGTH.unpack(length)
        if not _MIN_DOCUMENT_BYTES <= size <= _MAX_DOCUMENT_BYTES:
            raise EOFError
        content = length + _exactly(file, size - _LENGTH.size)
        digest.update(letter + content)
        if letter == EntryKind.END.value:
            found = Entry(EntryKind.END, content).decoded()
            if found != {"documents": documents, "sha256": before} or file.read(1):
                raise EOFError
            return
        try:
            kind = EntryKind(letter)
        except ValueError:
            raise EOFError from None
        documents += kind is EntryKind.DOCUMENT
        yield Entry(kind, content)


def _exactly(file: gzip.GzipFile, size: int) -> bytes:
    content = file.read(size)
    if len(content) != size:
        raise EOFError
    return content
