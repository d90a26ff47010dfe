"""The database of the reference program, opened for reading only."""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import bson
import pymongo
from bson.codec_options import CodecOptions, DatetimeConversion
from bson.raw_bson import RawBSONDocument
from django.utils.translation import gettext as _
from pymongo.collection import Collection as MongoCollection
from pymongo.errors import InvalidName, OperationFailure, PyMongoError

from apps.core.errors import DependencyUnavailable, InvalidInput
from apps.core.storage.mongo import collection_of
from apps.mengla.models import Record

_CONNECT_TIMEOUT_MS = 5000
_OPERATION_SECONDS = 120
# A batch never holds much more than this, however large its documents are.
_BATCH_BYTES = 8 * 1024 * 1024
_MAX_URI_LENGTH = 4096
_SCHEMES = ("mongodb://", "mongodb+srv://")
_MAX_NAME_LENGTH = 120
_LENIENT: CodecOptions[dict[str, Any]] = CodecOptions(
    unicode_decode_error_handler="replace", datetime_conversion=DatetimeConversion.DATETIME_AUTO
)
_STRICT: CodecOptions[dict[str, Any]] = CodecOptions(datetime_conversion=DatetimeConversion.DATETIME_AUTO)


@dataclass(frozen=True, slots=True)
class SourceDocument:
    """One document as it lies in the source."""

    raw: bytes
    id: Any

    def decode(self) -> dict[str, Any]:
        """Return its fields.

        :raises bson.errors.InvalidBSON: for broken text, or anything else that is no BSON.
        """
        return bson.decode(self.raw, codec_options=_STRICT)


class ReferenceSource:
    """A collection of another MongoDB; every failure to read it is a :class:`DependencyUnavailable`."""

    def __init__(self, client: pymongo.MongoClient[Any], hosts: str, database: str, collection: str) -> None:
        self._client = client
        self.name = f"{hosts}/{database}.{collection}"
        self.key = hashlib.sha256(self.name.encode()).hexdigest()
        try:
            self._documents: MongoCollection[RawBSONDocument] = client[database].get_collection(
                collection, codec_options=CodecOptions(document_class=RawBSONDocument)
            )
        except InvalidName as error:
            raise InvalidInput(_("MongoDB takes no such name of a database or collection.")) from error

    def check(self) -> None:
        """Connect, and make sure that this is not the collection the records are written to.

        :raises InvalidInput: when it is.
        """
        # Its own limit: under the one of an operation PyMongo would look for a server just as long.
        with self._reading(seconds=_CONNECT_TIMEOUT_MS / 1000):
            theirs = self._client.admin.command("hello")
        ours = collection_of(Record)
        is_same_name = self._documents.full_name == ours.full_name
        if is_same_name and _is_same_deployment(theirs, ours.database.command("hello")):
            raise InvalidInput(_("The source is the collection that would be written to."))

    def estimate_count(self) -> int:
        """Return how many documents there are, without counting them."""
        with self._reading():
            return self._documents.estimated_document_count()

    def read_batch(self, after: tuple[Any] | None, *, limit: int) -> list[SourceDocument]:
        """Return the next documents in the order of their ids; ``after`` holds the last id that was read.

        By index bounds and not by ``$gt``, which finds only ids of the same type.
        """
        batch: list[SourceDocument] = []
        size_bytes = 0
        with self._reading():
            found = self._documents.find(limit=limit + 1).sort("_id").hint([("_id", 1)])
            if after is not None:
                found = found.min([("_id", after[0])])
            with contextlib.closing(found) as cursor:
                for raw in cursor:
                    document = _document(bytes(raw.raw))
                    if after is not None and not batch and is_same_id(document.id, after[0]):
                        continue  # the index bound is inclusive
                    batch.append(document)
                    size_bytes += len(document.raw)
                    if len(batch) == limit or size_bytes >= _BATCH_BYTES:
                        break
        return batch

    @contextmanager
    def _reading(self, *, seconds: float | None = None) -> Iterator[None]:
        try:
            with pymongo.timeout(_OPERATION_SECONDS if seconds is None else seconds):
                yield
        except PyMongoError as error:
            reason = type(error).__name__
            if isinstance(error, OperationFailure) and error.details:
                reason = str(error.details.get("codeName", reason))
            message = _("The source %(name)s cannot be read (%(reason)s).")
            raise DependencyUnavailable(message % {"name": self.name, "reason": reason}) from error


@contextmanager
def open_source(*, uri: str, database: str, collection: str) -> Iterator[ReferenceSource]:
    """Open the source within the block.

    :raises InvalidInput: for an address or a name that cannot be one. No message holds the address: it may
        hold a password.
    """
    for name in (database, collection):
        if not name.isprintable() or not 0 < len(name) <= _MAX_NAME_LENGTH:
            raise InvalidInput(_("MongoDB takes no such name of a database or collection."))
    if len(uri) > _MAX_URI_LENGTH or not uri.isprintable() or not uri.startswith(_SCHEMES):
        raise InvalidInput(_uri_problem())
    try:
        client: pymongo.MongoClient[Any] = pymongo.MongoClient(
            uri,
            serverSelectionTimeoutMS=_CONNECT_TIMEOUT_MS,
            connectTimeoutMS=_CONNECT_TIMEOUT_MS,
            appname="mengla-collector-import",
            connect=False,
        )
    except (PyMongoError, ValueError, TypeError) as error:
        raise InvalidInput(_uri_problem()) from error
    with client:
        yield ReferenceSource(client, _hosts_of(uri), database, collection)


def is_same_id(one: Any, other: Any) -> bool:
    """Whether two ids are the same value of the same type (NaN is, too)."""
    return bson.encode({"": one}) == bson.encode({"": other})


def _document(raw: bytes) -> SourceDocument:
    return SourceDocument(raw, bson.decode(raw, codec_options=_LENIENT)["_id"])


def _uri_problem() -> str:
    return _(
        "This is no address of a MongoDB: write mongodb://USER:PASSWORD@HOST:PORT/, with the special "
        "characters of the password escaped."
    )


def _hosts_of(uri: str) -> str:
    """Return the hosts of the address, without credentials."""
    hosts = uri.partition("://")[2].partition("/")[0].rpartition("@")[2]
    return ",".join(sorted(hosts.split(",")))


def _is_same_deployment(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    """Whether two answers of ``hello`` come from one server, or from members of one replica set."""
    processes = [hello.get("topologyVersion", {}).get("processId") for hello in (one, other)]
    if processes[0] is not None and processes[0] == processes[1]:
        return True
    is_one_set = one.get("setName") is not None and one.get("setName") == other.get("setName")
    return is_one_set and bool(set(one.get("hosts", ())) & set(other.get("hosts", ())))
