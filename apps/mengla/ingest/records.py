"""Stores the answers of the collection service: the only writer of records."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import pymongo
from bson.errors import BSONError
from pymongo import UpdateOne
from pymongo.errors import BulkWriteError, DocumentTooLarge, InvalidOperation, OperationFailure

from apps.core.periods import Period
from apps.core.storage.mongo import collection_of
from apps.core.storage.outages import is_mongo_outage
from apps.mengla.choices import EmptyReason
from apps.mengla.models import Record
from apps.mengla.queries import freshness
from apps.mengla.queries.data_query import DataQuery
from apps.mengla.upstream.payloads import UnstorablePayload, canonical_json, data_hash

_WRITE_TIMEOUT_SECONDS = 30
_DUPLICATE_KEY = 11000
# BadValue, Overflow (nested too deep), InvalidBSON and BSONObjectTooLarge: it is the data's fault.
_REFUSALS = frozenset({2, 15, 22, 10334})
Document = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Provenance:
    """Where an answer came from: written beside the figures."""

    collection_id: str
    run_ids: list[str]  # the runs that wanted it
    has_reader: bool  # whether somebody asked who is no run
    collected_at: datetime  # UTC without zone
    duration_ms: int | None


@dataclass(frozen=True, slots=True)
class Answer:
    """The content of one record: figures, or the reason why there are none."""

    period: Period
    data: Any
    empty_reason: EmptyReason | None = field(default=None)


def store_answers(query: DataQuery, answers: Iterable[Answer], provenance: Provenance) -> None:
    """Write one record per answer; repeating the call changes nothing.

    An empty answer never replaces figures that are still kept: it only postpones their renewal.

    :raises UnstorablePayload: when MongoDB cannot hold the data (too large, too deep, a too big number).
    """
    try:
        operations = [operation for answer in answers for operation in _operations(query, answer, provenance)]
    except UnstorablePayload:
        raise
    except (TypeError, ValueError, RecursionError) as error:
        raise UnstorablePayload(f"the data cannot be stored: {type(error).__name__}") from error
    with pymongo.timeout(_WRITE_TIMEOUT_SECONDS):
        try:
            _bulk_write(operations)
        except BulkWriteError as error:
            if is_mongo_outage(error):
                raise
            if not _is_only_duplicate_keys(error):
                raise UnstorablePayload("the database refused the data") from error
            _bulk_write(operations)  # two first writers met: now the record is there to be updated
        except OperationFailure as error:
            if error.code not in _REFUSALS:
                raise
            raise UnstorablePayload("the database refused the data") from error
        except (BSONError, DocumentTooLarge, OverflowError, UnicodeError, RecursionError) as error:
            raise UnstorablePayload(f"the data cannot be stored: {type(error).__name__}") from error


def add_wanters(query: DataQuery, collection: Mapping[str, Any]) -> None:
    """Note on what a collection has stored who wants it by now."""
    collection_of(Record).update_many(
        {"_id": {"$in": query.record_ids}, "collection_id": str(collection["_id"])},
        {
            "$addToSet": {"run_ids": {"$each": collection["run_ids"]}},
            **({"$set": {"has_reader": True}} if collection["has_reader"] else {}),
        },
    )


def own_records_of(run_id: str) -> Document:
    """Return the search for the records whose figures a run alone wanted."""
    return {"run_ids": [run_id], "has_reader": {"$ne": True}}


def _bulk_write(operations: list[UpdateOne]) -> None:
    if not operations:
        raise InvalidOperation("There is nothing to store.")
    collection_of(Record).bulk_write(operations, ordered=False)


def _operations(query: DataQuery, answer: Answer, provenance: Provenance) -> list[UpdateOne]:
    now = provenance.collected_at
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
        "collected_at": now,
        "fresh_until": now
        + (freshness.empty_fresh_for() if is_empty else freshness.fresh_for(query.granularity)),
        "collect_duration_ms": provenance.duration_ms,
        "collection_id": provenance.collection_id,
        "run_ids": provenance.run_ids,
        "updated_at": now,
        "expired_at": freshness.kept_until(query.granularity, now),
    }
    # What a reader has asked for once stays, whichever run renews it.
    (document if provenance.has_reader else first)["has_reader"] = provenance.has_reader
    if not is_empty:
        return [UpdateOne(identity, {"$set": document, "$setOnInsert": first}, upsert=True)]
    return [
        # Create the record if there is none; one that exists is not touched by this step ...
        UpdateOne(identity, {"$setOnInsert": document | first}, upsert=True),
        # ... an empty one is renewed, and figures are kept and asked for again after the short time.
        UpdateOne(identity | {"is_empty": True}, {"$set": document}),
        UpdateOne(
            identity | {"is_empty": False, "fresh_until": {"$lt": document["fresh_until"]}},
            {"$set": {"fresh_until": document["fresh_until"]}},
        ),
    ]


def _checked_hash(data: Any) -> str:
    # An object with this name would come back from MongoDB as a reference and no longer be JSON.
    if b'"$ref":' in canonical_json(data):
        raise UnstorablePayload("the data uses the name $ref, which MongoDB has its own use for")
    return data_hash(data)


def _is_only_duplicate_keys(error: BulkWriteError) -> bool:
    errors = (error.details or {}).get("writeErrors", [])
    return bool(errors) and all(one.get("code") == _DUPLICATE_KEY for one in errors)
