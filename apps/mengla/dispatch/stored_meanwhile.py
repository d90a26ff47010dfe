"""Ends collections whose figures were stored after they were enqueued; no request is sent for them."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

from apps.core.storage.mongo import utc_now
from apps.mengla.choices import CollectionStatus, EmptyReason
from apps.mengla.ingest import cache_sync
from apps.mengla.queries.data_query import DataQuery
from apps.mengla.queue import jobs
from apps.mengla.queue.documents import has_reader
from apps.mengla.store import selectors

Document = dict[str, Any]
Documents = list[Document]


def find(claimed: Documents) -> list[Documents | None]:
    """Return the fresh records of each claimed collection, None if it has to be sent.

    A collection without a valid query has none, either.
    """
    queries: dict[int, DataQuery] = {}
    for number, collection in enumerate(claimed):
        with suppress(*selectors.UNUSABLE_ERRORS):
            query = selectors.query_of(collection)
            if query.record_ids and not collection["is_forced"]:
                queries[number] = query
    fresh = selectors.find_fresh_records([*queries.values()], now=utc_now())
    found = dict(zip(queries, fresh, strict=True))
    return [found.get(number) for number in range(len(claimed))]


def finish(collection: Document, stored: Documents) -> None:
    """End the collection: fresh records were stored after it was enqueued."""
    query = selectors.query_of(collection)
    # The records may be its own, stored by a process that was killed before it notified the caches.
    are_caches_notified = cache_sync.refresh_cache(query, has_reader=has_reader(collection))
    if any(not record["is_empty"] for record in stored):
        jobs.finish(
            collection["_id"],
            status=CollectionStatus.SUCCEEDED,
            was_sent=False,
            are_caches_notified=are_caches_notified,
        )
    else:
        jobs.finish(
            collection["_id"],
            status=CollectionStatus.EMPTY,
            empty_reason=EmptyReason(stored[0]["empty_reason"]),
            attempt_token=collection["attempt_token"],
            was_sent=False,
            are_caches_notified=are_caches_notified,
        )
