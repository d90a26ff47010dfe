"""Enqueues many queries of a run in a few round trips, by the same rules as ``jobs.enqueue``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pymongo import UpdateOne
from pymongo.collection import Collection as MongoCollection
from pymongo.errors import BulkWriteError

from apps.core.storage.mongo import DUPLICATE_KEY, collection_of
from apps.mengla.choices import Priority
from apps.mengla.models import Collection
from apps.mengla.queries.data_query import DataQuery
from apps.mengla.queue.documents import active_filter, joining_changes, new_document
from apps.mengla.queue.jobs import enqueue
from apps.mengla.queue.trace import traced_batch


@traced_batch
def enqueue_many(
    queries: Sequence[DataQuery],
    *,
    priority: Priority,
    requested_by: str,
    run_id: str,
    is_forced: bool = False,
) -> None:
    """Enqueue the queries of a run, joining the collections already under way.

    It may be repeated, and killed at any point: a query is under way at most once.

    :raises BulkWriteError: when MongoDB refuses a document for another reason than its unique key.
    """
    if not queries:
        return
    documents = collection_of(Collection)
    by_identity = {query.identity: query for query in queries}
    # Usually none is under way. To read this first costs less than trying to join each of them.
    under_way = _active(documents, list(by_identity))
    if under_way:
        join = {
            "$min": {"priority": int(priority)},
            "$set": joining_changes(run_id=run_id, is_forced=is_forced),
            "$addToSet": {"run_ids": run_id},
        }
        documents.bulk_write(
            [UpdateOne(active_filter(identity), join) for identity in under_way], ordered=False
        )
        # One that has ended meanwhile was not joined: it is enqueued anew.
        for identity in _active(documents, under_way, run_ids=run_id):
            del by_identity[identity]
    new = list(by_identity.values())
    if not new:
        return
    try:
        documents.insert_many(
            [
                new_document(
                    query,
                    priority=priority,
                    requested_by=requested_by,
                    run_id=run_id,
                    is_forced=is_forced,
                )
                for query in new
            ],
            ordered=False,
        )
    except BulkWriteError as error:
        for index in _duplicates(error):
            # Another caller enqueued this query between the two steps: join its collection.
            enqueue(
                new[index],
                priority=priority,
                requested_by=requested_by,
                run_id=run_id,
                is_forced=is_forced,
            )


def _active(
    documents: MongoCollection[dict[str, Any]], identities: Sequence[str], **criteria: str
) -> list[str]:
    """Return those of the query identities whose collection is under way and matches the criteria."""
    found = documents.find(
        {"active_key": {"$in": list(identities), "$type": "string"}, **criteria},
        {"_id": 0, "active_key": 1},
        batch_size=len(identities),
    )
    return [document["active_key"] for document in found]


def _duplicates(error: BulkWriteError) -> list[int]:
    """Return the indexes of the documents that were refused for a duplicate key.

    :raises BulkWriteError: the given error, when it has any other cause.
    """
    errors = (error.details or {}).get("writeErrors", [])
    if not errors or any(one.get("code") != DUPLICATE_KEY for one in errors):
        raise error
    return [one["index"] for one in errors]
