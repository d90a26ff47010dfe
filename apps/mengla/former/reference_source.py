"""The database of the former program; it is only read."""

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
from apps.core.storage.mongo import LENIENT_CODEC, collection_of
from apps.mengla.models import Record

_CONNECT_TIMEOUT_MS = 5000
_OPERATION_SECONDS = 120
# A batch ends with the document that reaches this size.
_BATCH_BYTES = 8 * 1024 * 1024
_MAX_URI_LENGTH = 4096
_SCHEMES = ("mongodb://", "mongodb+srv://")
_MAX_NAME_LENGTH = 120
_STRICT: CodecOptions[dict[str, Any]] = CodecOptions(datetime_conversion=DatetimeConversion.DATETIME_AUTO)


@dataclass(frozen=True, slots=True)
class SourceDocument:
    """One document of the source, as BSON, and its id."""

    raw: bytes
    id: Any

    def decode(self) -> dict[str, Any]:
        """Return its fields.

        :raises bson.errors.InvalidBSON: for invalid UTF-8, or other invalid BSON.
        """
        return bson.decode(self.raw, codec_options=_STRICT)


class ReferenceSource:
    """A collection in another MongoDB; reading it raises :class:`DependencyUnavailable` on every failure."""

    def __init__(
        self,
        client: pymongo.MongoClient[Any],
        hosts: str,
        database: str,
        collection: str,
        *,
        may_be_target: bool = False,
    ) -> None:
        self._client = client
        self._may_be_target = may_be_target
        self.name = f"{hosts}/{database}.{collection}"
        self.key = hashlib.sha256(self.name.encode()).hexdigest()
        try:
            self._documents: MongoCollection[RawBSONDocument] = client[database].get_collection(
                collection, codec_options=CodecOptions(document_class=RawBSONDocument)
            )
        except InvalidName as error:
            raise InvalidInput(_("Invalid name of a database or MongoDB collection.")) from error

    def check(self) -> None:
        """Connect, and check that the source is not the MongoDB collection of our records.

        :raises InvalidInput: when it is.
        :raises DependencyUnavailable: when the source does not respond.
        """
        # A short limit, because PyMongo looks for a server until the limit of the operation is over.
        with self._reading(seconds=_CONNECT_TIMEOUT_MS / 1000):
            theirs = self._client.admin.command("hello")
        ours = collection_of(Record)
        is_same_name = self._documents.full_name == ours.full_name and not self._may_be_target
        if is_same_name and _is_same_deployment(theirs, ours.database.command("hello")):
            raise InvalidInput(_("The source and the target are the same MongoDB collection."))

    def estimate_count(self) -> int:
        """Return the approximate number of documents, from the metadata of the collection."""
        with self._reading():
            return self._documents.estimated_document_count()

    def read_batch(self, after: tuple[Any] | None, *, limit: int) -> list[SourceDocument]:
        """Return at most ``limit`` documents in the order of their ids; empty at the end of the source.

        ``after`` holds the last id that was read; None begins at the first document. The batch is found by
        index bounds, because ``$gt`` finds only ids of the same type.
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
def open_source(
    *, uri: str, database: str, collection: str, may_be_target: bool = False
) -> Iterator[ReferenceSource]:
    """Open the source within the block; nothing is read until its first use.

    ``may_be_target``: for a dry run before the former program's collection of the same name is renamed.

    :raises InvalidInput: for an invalid address or name. The message does not show the address, because it
        may hold a password.
    """
    for name in (database, collection):
        if not name.isprintable() or not 0 < len(name) <= _MAX_NAME_LENGTH:
            raise InvalidInput(_("Invalid name of a database or MongoDB collection."))
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
        yield ReferenceSource(client, _hosts_of(uri), database, collection, may_be_target=may_be_target)


def is_same_id(one: Any, other: Any) -> bool:
    """Whether two ids are the same value of the same type; NaN is the same as NaN."""
    return bson.encode({"": one}) == bson.encode({"": other})


def _document(raw: bytes) -> SourceDocument:
    return SourceDocument(raw, bson.decode(raw, codec_options=LENIENT_CODEC)["_id"])


def _uri_problem() -> str:
    return _(
        "Invalid MongoDB address: write mongodb://USER:PASSWORD@HOST:PORT/, with the special characters of "
        "the password escaped."
    )


def _hosts_of(uri: str) -> str:
    """Return the hosts of the address, without credentials."""
    hosts = uri.partition("://")[2].partition("/")[0].rpartition("@")[2]
    return ",".join(sorted(hosts.split(",")))


def _is_same_deployment(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    """Whether two replies to ``hello`` come from one server, or from members of one replica set."""
    processes = [hello.get("topologyVersion", {}).get("processId") for hello in (one, other)]
    if processes[0] is not None and processes[0] == processes[1]:
        return True
    is_one_set = one.get("setName") is not None and one.get("setName") == other.get("setName")
    return is_one_set and bool(set(one.get("hosts", ())) & set(other.get("hosts", ())))
