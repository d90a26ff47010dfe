"""Enqueues many queries of a run in a few round trips, by the same rules as ``jobs.enqueue``."""

from __future__ import annotations

from collections.abc import Sequence

from pymongo import UpdateOne
from pymongo.errors import BulkWriteError

from apps.core.storage.mongo import DUPLICATE_KEY, collection_of
from apps.mengla.choices import Priority
from apps.mengla.models import Collection
from apps.mengla.queries.data_query import DataQuery
from apps.mengla.queue.documents import active_filter, joining_changes, new_document
from apps.mengla.queue.jobs import enqueue


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
    join = {
        "$min": {"priority": int(priority)},
        "$set": joining_changes(run_id=run_id, is_forced=is_forced),
        "$addToSet": {"run_ids": run_id},
    }
    documents.bulk_write([UpdateOne(active_filter(query.identity), join) for query in queries], ordered=False)
    joined = {
        document["active_key"]
        for document in documents.find(
            {
                "active_key": {"$in": [query.identity for query in queries], "$type": "string"},
                "run_ids": run_id,
            },
            {"active_key": 1},
        )
    }
    new = [query for query in queries if query.identity not in joined]
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


def _duplicates(error: BulkWriteError) -> list[int]:
    """Return the indexes of the documents that were refused for a duplicate key.

    :raises BulkWriteError: the given error, when it has any other cause.
    """
    errors = (error.details or {}).get("writeErrors", [])
    if not errors or any(one.get("code") != DUPLICATE_KEY for one in errors):
        raise error
    return [one["index"] for one in errors]
