"""Questions, attempts and answers of the collection service, without the service."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

from apps.core.periods import parse_period
from apps.core.storage.mongo import collection_of, utc_now
from apps.mengla.choices import Action, CollectionError, Priority
from apps.mengla.ingest.receive import Receipt, receive_webhook
from apps.mengla.models import Collection, Record
from apps.mengla.queries.data_query import DataQuery
from apps.mengla.queue import jobs
from apps.mengla.simulator.data import result_of
from apps.mengla.simulator.query import parse_parameters
from apps.mengla.upstream.payloads import split_trend_points, unwrap

Document = dict[str, Any]
SLOTS = 10


def hot(start: str = "202506", *, cat_id: str = "1001", **changes: Any) -> DataQuery:
    """The best sellers of one period."""
    period = parse_period(start)
    return DataQuery(Action.HOT, cat_id, period, period, **changes)


def trend(start: str, end: str, *, cat_id: str = "1001", **changes: Any) -> DataQuery:
    """A time series."""
    return DataQuery(Action.INDUSTRY_TREND, cat_id, parse_period(start), parse_period(end), **changes)


# --- The queue ------------------------------------------------------------------------------------


def enqueue(query: DataQuery, priority: Priority = Priority.READER, **options: Any) -> Any:
    """Put a question into the queue and return the collection's id."""
    return jobs.enqueue(query, priority=priority, requested_by="tests", **options).collection_id


def claim() -> Document:
    """Begin the next attempt."""
    claimed = jobs.claim(slot_count=SLOTS)
    assert claimed is not None
    return claimed


def begin_attempt(query: DataQuery, **options: Any) -> Document:
    """Enqueue a question and claim it; nothing else may be due."""
    collection_id = enqueue(query, **options)
    attempt = claim()
    assert attempt["_id"] == collection_id
    return attempt


def collections(**criteria: Any) -> list[Document]:
    """All collections that match, oldest first."""
    return list(collection_of(Collection).find(criteria).sort([("created_at", 1), ("_id", 1)]))


def statuses() -> list[str]:
    """Where all collections stand, oldest first."""
    return [one["status"] for one in collections()]


def reload(collection: Document) -> Document:
    """The same collection as it stands now."""
    (found,) = collections(_id=collection["_id"])
    return found


def change(collection: Document, **changes: Any) -> None:
    """Write facts of a collection directly, such as a lease that has run out."""
    collection_of(Collection).update_one({"_id": collection["_id"]}, {"$set": changes})


def make_overdue(collection: Document) -> None:
    """Let the time for an answer pass."""
    change(collection, lease_until=utc_now() - timedelta(seconds=1))


# --- Answers --------------------------------------------------------------------------------------


def result_for(query: DataQuery) -> Document:
    """What the collection service sends for a question: deterministic figures."""
    return result_of(parse_parameters(query.service_parameters()))


def figures_of(query: DataQuery) -> Any:
    """What a reader should get for a question that was answered with :func:`result_for`."""
    data = unwrap(query.action, result_for(query)).data
    if not query.is_trend:
        return data
    points = split_trend_points(data, granularity=query.granularity)  # type: ignore[arg-type]
    return [points[period.key] for period in query.periods]


def ranking(*names: str) -> Document:
    """A result whose rows have these names."""
    return {"hotList": {"code": 0, "data": {"list": [{"catName": name} for name in names]}}}


def points(**by_period: int) -> list[Document]:
    """A result with one point per keyword, such as ``p202506=5``."""
    return [
        {"timest": parse_period(name[1:]).dashed, "monthSales": sales} for name, sales in by_period.items()
    ]


def body_for(attempt: Document, result: Any, **changes: Any) -> Document:
    """The webhook body that ends an attempt."""
    return {"executionId": f"x-{attempt['_id']}", "status": "completed", "resultData": result, **changes}


def answer(attempt: Document, result: Any, **changes: Any) -> Receipt:
    """Deliver a result for an attempt, as the webhook view does."""
    return receive_webhook(
        body_for(attempt, result, **changes),
        collection_id=str(attempt["_id"]),
        token=attempt["attempt_token"],
    )


def store(query: DataQuery, result: Any = None) -> Document:
    """Have a question collected and answered; returns the collection."""
    attempt = begin_attempt(query)
    answer(attempt, result_for(query) if result is None else result)
    return reload(attempt)


def store_empty(query: DataQuery) -> Document:
    """Have a question collected and answered with nothing."""
    return store(query, [] if query.is_trend else ranking())


def fail(query: DataQuery, error: CollectionError = CollectionError.REJECTED, message: str = "") -> Document:
    """Have the collection of a question fail for good; returns the collection."""
    attempt = begin_attempt(query)
    jobs.fail_attempt(
        attempt["_id"],
        attempt_token=attempt["attempt_token"],
        error=error,
        message=message,
        is_permanent=True,
    )
    return reload(attempt)


# --- Records --------------------------------------------------------------------------------------


def records() -> dict[str, Document]:
    """Everything stored, by key."""
    return {document["_id"]: document for document in collection_of(Record).find()}


def change_records(query: DataQuery, **changes: Any) -> None:
    """Write facts of an answer's records directly, such as a freshness that is over."""
    collection_of(Record).update_many({"_id": {"$in": query.record_ids}}, {"$set": changes})


def make_stale(query: DataQuery, *, seconds: float = 1) -> None:
    """Let the freshness of an answer be over since so many seconds, in the database only."""
    change_records(query, fresh_until=utc_now() - timedelta(seconds=seconds))


def json_text(value: Any) -> str:
    """Compact JSON, for query strings."""
    return json.dumps(value, separators=(",", ":"))
