"""Stores records and deletes them: the only writer of records."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import pymongo
import structlog
from bson.errors import BSONError
from pymongo import UpdateOne
from pymongo.client_session import ClientSession
from pymongo.collection import Collection as MongoCollection
from pymongo.errors import BulkWriteError, InvalidOperation, OperationFailure

from apps.core.periods import Period
from apps.core.storage.mongo import DUPLICATE_KEY, collection_of, delete_matching
from apps.core.storage.outages import is_mongo_outage
from apps.mengla.choices import EmptyReason
from apps.mengla.models import Record
from apps.mengla.queries import freshness
from apps.mengla.queries.data_query import DataQuery
from apps.mengla.queue.documents import has_reader
from apps.mengla.upstream.payloads import UnstorablePayload, canonical_json, hash_of_json
from apps.mengla.words import DATABASE_REFUSED, NOT_STORABLE, RESERVED_NAME

logger = structlog.get_logger(__name__)

_WRITE_TIMEOUT_SECONDS = 30
_WRITE_IMPORT_SECONDS = 120
_DETACH_SECONDS = 240
_HELD = "collector_duplicate_held"
# Raised for values that BSON cannot hold: nested too deeply, too large, too big a number, invalid text.
UNSTORABLE_ERRORS = (BSONError, OverflowError, RecursionError, TypeError, ValueError)
# MongoDB's error codes for the same: BadValue, Overflow, InvalidBSON, invalid names, BSONObjectTooLarge.
_REFUSALS = frozenset({2, 15, 22, 52, 55, 56, 57, 10334})
Document = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Provenance:
    """Where an answer came from; stored in each of its records."""

    collection_id: str
    run_ids: list[str]  # the runs that requested it
    has_reader: bool  # whether a reader requested it
    collected_at: datetime  # when the answer came; UTC without zone
    duration_ms: int | None
    asked_at: datetime | None = None  # when the service was asked, if that is known; UTC without zone


@dataclass(frozen=True, slots=True)
class Answer:
    """The service's answer for one period: figures, or the reason why there are none."""

    period: Period
    data: Any
    empty_reason: EmptyReason | None = field(default=None)


@dataclass(frozen=True, slots=True)
class ImportedRecord:
    """A record to import: ``changes`` are always set, ``first`` only when the record is new."""

    id: str
    collected_at: datetime  # UTC without zone
    changes: dict[str, Any]
    first: dict[str, Any]


def store_answers(query: DataQuery, answers: Iterable[Answer], provenance: Provenance) -> None:
    """Write one record per answer; repeating the call changes nothing.

    An empty answer never replaces stored figures: it only makes them fresh for a short time.

    :raises UnstorablePayload: when MongoDB cannot hold the data (too large, too deep, too big a number).
    """
    with pymongo.timeout(_WRITE_TIMEOUT_SECONDS):
        try:
            operations = [one for answer in answers for one in _operations(query, answer, provenance)]
            _bulk_write(operations)
        except BulkWriteError as error:
            if is_mongo_outage(error):
                raise
            if not _is_only_duplicate_keys(error):
                raise UnstorablePayload(DATABASE_REFUSED()) from error
            # Two processes inserted the same record at once: now it exists and is updated.
            _bulk_write(operations)
        except OperationFailure as error:
            if error.code not in _REFUSALS:
                raise
            raise UnstorablePayload(DATABASE_REFUSED()) from error
        except UnstorablePayload:
            raise
        except UNSTORABLE_ERRORS as error:
            raise UnstorablePayload(NOT_STORABLE(error=type(error).__name__)) from error


def add_requesters(query: DataQuery, collection: Mapping[str, Any]) -> None:
    """Add the present requesters of a collection to the records that it has stored."""
    collection_of(Record).update_many(
        {"_id": {"$in": query.record_ids}, "collection_id": str(collection["_id"])},
        {
            "$addToSet": {"run_ids": {"$each": collection["run_ids"]}},
            **({"$set": {"has_reader": True}} if has_reader(collection) else {}),
        },
    )


def write_if_newer(records: Sequence[ImportedRecord]) -> tuple[frozenset[int], frozenset[int]]:
    """Write the records that are newer than the stored ones, or not stored yet.

    Returns the ``id()`` of those written, and of those that MongoDB refused. A stored record that is as new
    or newer does not match the filter: MongoDB then tries an insert, and reports a duplicate key.
    """
    if not records:
        return frozenset(), frozenset()
    operations = [
        UpdateOne(
            {"_id": record.id, "collected_at": {"$lt": record.collected_at}},
            {"$set": record.changes, "$setOnInsert": record.first, "$unset": {"renewed_at": ""}},
            upsert=True,
        )
        for record in records
    ]
    errors: dict[int, int | None] = {}
    try:
        with pymongo.timeout(_WRITE_IMPORT_SECONDS):
            collection_of(Record).bulk_write(operations, ordered=False)
    except BulkWriteError as error:
        details = error.details or {}
        if details.get("writeConcernErrors"):
            raise
        errors = {one["index"]: one.get("code") for one in details.get("writeErrors", [])}
        if unexpected := set(errors.values()) - {DUPLICATE_KEY} - _REFUSALS:
            logger.warning("import_write_failed", codes=sorted(map(str, unexpected)))
            raise
    return (
        frozenset(id(record) for index, record in enumerate(records) if index not in errors),
        frozenset(
            id(record)
            for index, record in enumerate(records)
            if index in errors and errors[index] != DUPLICATE_KEY
        ),
    )


def older_or_missing(records: Sequence[ImportedRecord]) -> frozenset[int]:
    """Return the ``id()`` of each record that is not stored, or stored with older figures."""
    criteria = {"_id": {"$in": [record.id for record in records]}}
    with pymongo.timeout(_WRITE_IMPORT_SECONDS):
        found = collection_of(Record).find(criteria, {"collected_at": 1})
        stored = {document["_id"]: document["collected_at"] for document in found}
    return frozenset(
        id(record) for record in records if record.id not in stored or stored[record.id] < record.collected_at
    )


def own_records_of(run_id: str) -> Document:
    """Return the filter for the records that this run alone requested."""
    return {"run_ids": [run_id], "has_reader": {"$ne": True}}


def delete_in_batches(criteria: Document, *, batch_size: int) -> Iterator[int]:
    """Delete the records that match, batch by batch; yields how many each batch deleted.

    The calling code notifies the caches, see :func:`~apps.mengla.ingest.deletions.require_caches_notified`.
    """
    yield from delete_matching(collection_of(Record), criteria, batch_size=batch_size)


def detach_run(run_id: str) -> None:
    """Remove a deleted run from the ``run_ids`` of all records."""
    with pymongo.timeout(_DETACH_SECONDS):
        collection_of(Record).update_many({"run_ids": run_id}, {"$pull": {"run_ids": run_id}})


def keep_and_delete(
    documents: MongoCollection[Document],
    *,
    keep: Sequence[Any],
    delete: Sequence[Any],
    session: ClientSession,
) -> None:
    """Delete duplicates in a transaction that fails when another process writes a kept document.

    ``documents`` is the MongoDB collection of records, or one of the same shape from another program.
    """
    kept = {"_id": {"$in": list(keep)}}
    # A write without a change: it makes any concurrent write of these documents a conflict.
    documents.update_many(kept, {"$set": {_HELD: True}}, session=session)
    documents.update_many(kept, {"$unset": {_HELD: ""}}, session=session)
    documents.delete_many({"_id": {"$in": list(delete)}}, session=session)


def _bulk_write(operations: list[UpdateOne]) -> None:
    if not operations:
        raise InvalidOperation("There is nothing to store.")
    collection_of(Record).bulk_write(operations, ordered=False)


def _operations(query: DataQuery, answer: Answer, provenance: Provenance) -> list[UpdateOne]:
    now = provenance.collected_at
    final_at = freshness.final_at(answer.period)
    collected_at = _collected_at(provenance, final_at)
    identity = {"_id": query.record_id(answer.period)}
    is_empty = answer.empty_reason is not None
    first: Document = {
        "action": query.action.value,
        "cat_id": query.cat_id,
        "granularity": query.granularity.value,
        "period_key": answer.period.key,
        "variant": query.variant,
        "created_at": now,
    }
    document: Document = {
        "data": answer.data,
        "data_hash": "" if is_empty else _checked_hash(answer.data),
        "is_empty": is_empty,
        "empty_reason": answer.empty_reason.value if answer.empty_reason else "",
        "collected_at": collected_at,
        "fresh_until": collected_at
        + (freshness.empty_fresh_for() if is_empty else freshness.fresh_for(query.granularity)),
        "collect_duration_ms": provenance.duration_ms,
        "collection_id": provenance.collection_id,
        "run_ids": provenance.run_ids,
        "updated_at": now,
        "expired_at": freshness.kept_until(query.granularity, now),
    }
    # Once true it stays true, so that records of readers outlive the runs that refresh them.
    (document if provenance.has_reader else first)["has_reader"] = provenance.has_reader
    if not is_empty:
        renewal: Document = {"$set": document, "$setOnInsert": first, "$unset": {"renewed_at": ""}}
        return [UpdateOne(identity, renewal, upsert=True)]
    # An empty answer makes figures fresh for its own short time if they would be stale earlier. It also does
    # so for provisional figures whose period is over, if it is the first answer since the end of the period.
    outlasted: list[Document] = [{"fresh_until": {"$lt": document["fresh_until"]}}]
    if collected_at >= final_at:
        outlasted.append({"collected_at": {"$lt": final_at}, "renewed_at": {"$not": {"$gte": final_at}}})
    return [
        # Create the record if there is none; this step does not change an existing one.
        UpdateOne(identity, {"$setOnInsert": document | first}, upsert=True),
        # Replace an empty record; keep figures, and make them fresh for the short time of empty answers.
        UpdateOne(identity | {"is_empty": True}, {"$set": document}),
        UpdateOne(
            identity | {"is_empty": False, "$or": outlasted},
            {"$set": {"fresh_until": document["fresh_until"], "renewed_at": collected_at}},
        ),
    ]


def _collected_at(provenance: Provenance, final_at: datetime) -> datetime:
    """Return when the figures of a period count as collected.

    Figures that were requested before the period was over may lack its last hours. So they count as collected
    when they were requested, however late the answer came.
    """
    asked_at, answered_at = provenance.asked_at, provenance.collected_at
    return asked_at if asked_at is not None and asked_at < final_at <= answered_at else answered_at


def _checked_hash(data: Any) -> str:
    canonical = canonical_json(data)
    # PyMongo would return an object with this key as a DBRef, which is not JSON.
    if b'"$ref":' in canonical:
        raise UnstorablePayload(RESERVED_NAME())
    return hash_of_json(canonical)


def _is_only_duplicate_keys(error: BulkWriteError) -> bool:
    errors = (error.details or {}).get("writeErrors", [])
    return bool(errors) and all(one.get("code") == DUPLICATE_KEY for one in errors)
