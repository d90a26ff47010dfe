"""The only access to PyMongo, for what the ORM cannot express: atomic claims, bulk upserts, cursors.

It also makes forks safe: a MongoClient must not be used on both sides of a fork (PyMongo warns of a possible
deadlock), and django-q2 forks its workers from a process that reads schedules.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from typing import Any, TypeVar, cast

from bson.codec_options import CodecOptions, DatetimeConversion
from django.db import connections
from django.db.models import Model
from pymongo import MongoClient
from pymongo.client_session import ClientSession
from pymongo.collection import Collection as MongoCollection
from pymongo.database import Database
from pymongo.read_concern import ReadConcern
from pymongo.write_concern import WriteConcern

from apps.core.storage.clock import server_now
from apps.core.storage.database.base import DatabaseWrapper

DUPLICATE_KEY = 11000  # the error code of MongoDB when a unique index rejects a document
# For what another program has stored: invalid UTF-8 is replaced, and a date that Python does not have stays
# a number (``DatetimeMS``). Otherwise one such value makes the whole cursor fail.
LENIENT_CODEC: CodecOptions[dict[str, Any]] = CodecOptions(
    unicode_decode_error_handler="replace", datetime_conversion=DatetimeConversion.DATETIME_AUTO
)
_DB_ALIAS = "default"
_inherited_clients: list[Any] = []
_is_registered = False
_THREADS_END_SECONDS = 2.0
T = TypeVar("T")


def collection_of(model: type[Model]) -> MongoCollection[dict[str, Any]]:
    """Return the MongoDB collection of a model."""
    return named_collection(model._meta.db_table)


def named_collection(name: str) -> MongoCollection[dict[str, Any]]:
    """Return a MongoDB collection of our database by its name.

    :raises pymongo.errors.PyMongoError: when MongoDB did not respond a moment ago and still does not.
    """
    return _connection().get_collection(name)


def our_database() -> Database[dict[str, Any]]:
    """Return our database, for what concerns all of its MongoDB collections.

    :raises pymongo.errors.PyMongoError: when MongoDB did not respond a moment ago and still does not.
    """
    database: Database[dict[str, Any]] = _awake_connection().database
    return database


def run_command(name: str, **options: Any) -> dict[str, Any]:
    """Run a server command, such as ``dbStats``, on our database and return its reply."""
    reply: dict[str, Any] = _awake_connection().database.command(name, **options)
    return reply


def has_collection(name: str) -> bool:
    """Whether our database has a MongoDB collection (not a view) of this name."""
    return name in _awake_connection().database.list_collection_names(
        filter={"type": "collection", "name": name}
    )


def snapshot_session() -> ClientSession:
    """Return a session (a context manager) whose reads all see the database at one instant."""
    client: MongoClient[dict[str, Any]] = _awake_connection().connection
    return client.start_session(snapshot=True)


def in_transaction(work: Callable[[ClientSession], T]) -> T:
    """Call ``work`` in one transaction and return its result.

    Its reads see one instant, and its writes are applied together or not at all. It is called again after a
    conflict with another writer, so it must have no other side effects.
    """
    client: MongoClient[dict[str, Any]] = _connection().connection
    with client.start_session() as session:
        return session.with_transaction(
            work, read_concern=ReadConcern("snapshot"), write_concern=WriteConcern("majority")
        )


def delete_matching(
    documents: MongoCollection[dict[str, Any]], criteria: dict[str, Any], *, batch_size: int
) -> Iterator[int]:
    """Delete all matching documents in batches; yields the number that each batch deleted."""
    while found := [one["_id"] for one in documents.find(criteria, {"_id": 1}).limit(batch_size)]:
        # The criteria again: a document that was changed between the two steps, and no longer matches, stays.
        yield documents.delete_many({"$and": [{"_id": {"$in": found}}, criteria]}).deleted_count


def count_each(documents: MongoCollection[dict[str, Any]], criteria: Sequence[dict[str, Any]]) -> list[int]:
    """Count the documents that match each of the filters, in one command.

    MongoDB counts the keys of an index, without merging or reading anything, if the index begins with the
    fields of the filter, and the filter has one value for each of them, a range for the last one at most.
    """
    counts = [0] * len(criteria)
    counting = [
        [{"$match": one}, {"$group": {"_id": {"$literal": number}, "count": {"$sum": 1}}}]
        for number, one in enumerate(criteria)
    ]
    if not counting:
        return counts
    others = [{"$unionWith": {"coll": documents.name, "pipeline": one}} for one in counting[1:]]
    for row in documents.aggregate([*counting[0], *others]):
        counts[row["_id"]] = row["count"]
    return counts


def count_up_to(
    limit: int, documents: MongoCollection[dict[str, Any]], criteria: dict[str, Any], *, hint: str = ""
) -> int:
    """Count the documents that match the filter, but no further than ``limit``; 0 is no limit.

    Like :func:`count_each` it counts the keys of an index, if one fits. It costs MongoDB half as much as
    PyMongo's ``count_documents``, which is an aggregation, but cannot be part of a transaction.

    :param hint: the index, if several begin with the fields of the filter. Otherwise MongoDB may use the plan
        that it remembers for a search with this filter, which does not only count keys.
    """
    count: dict[str, Any] = {"count": documents.name, "query": criteria, "limit": limit}
    return int(documents.database.command(count | ({"hint": hint} if hint else {}))["n"])


def utc_now() -> datetime:
    """Return the current time as PyMongo stores and returns it: UTC without zone, in whole milliseconds.

    It is the time of MongoDB's server, so that hosts agree (see :mod:`apps.core.storage.clock`).
    """
    now = server_now()
    return now.replace(tzinfo=None, microsecond=now.microsecond // 1000 * 1000)


def ping() -> None:
    """Check that MongoDB answers.

    :raises pymongo.errors.PyMongoError: when it does not answer in time.
    """
    _connection().database.command("ping")


def open_client() -> None:
    """Open this process's client without contacting the server; call it before threads start.

    Otherwise, two threads that need the first client at the same time open one each, and one client leaks.
    """
    connection = connections[_DB_ALIAS]
    if isinstance(connection, DatabaseWrapper):
        connection.get_new_connection(connection.get_connection_params())


def _connection() -> DatabaseWrapper:
    connection = cast(DatabaseWrapper, connections[_DB_ALIAS])
    connection.ensure_connection()
    return connection


def _awake_connection() -> DatabaseWrapper:
    connection = _connection()
    connection.ensure_awake()
    return connection


def close_client() -> None:
    """Close the connections of this thread's client to MongoDB, and wait for the end of its other threads.

    Call it before a fork: a process with one thread copies no lock that another thread holds, also none of
    TLS, which nobody would release in the child. The next operation opens new connections.
    """
    cast(DatabaseWrapper, connections[_DB_ALIAS]).close_pool()
    for thread in threading.enumerate():
        if thread.name.startswith("pymongo_"):  # one of them sleeps for half a second
            thread.join(_THREADS_END_SECONDS)


def forget_clients_after_fork() -> None:
    """Make each forked child open its own MongoDB client instead of using its parent's."""
    global _is_registered  # noqa: PLW0603 - os.register_at_fork cannot be undone, so once is enough
    if not _is_registered:
        os.register_at_fork(after_in_child=_forget_clients)
        _is_registered = True


def _forget_clients() -> None:
    # The parent's client stays referenced and is never closed here: that would end the parent's server
    # sessions over the shared socket.
    _inherited_clients.extend(DatabaseWrapper._connection_pools.values())
    DatabaseWrapper._connection_pools.clear()
    for connection in connections.all(initialized_only=True):
        connection.connection = None
        connection.__dict__.pop("database", None)
