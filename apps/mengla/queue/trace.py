"""The trace of a collection, from the reader who enqueued it to its figures (docs/adr/0029).

While tracing is on, its document has the field ``trace`` with contexts (W3C ``traceparent``) of spans:

- ``parent``: of the request that enqueued it; its attempts are children of that span;
- ``batch``: of a run that enqueued it with many others; each attempt begins a trace and links to that span;
- ``sent``: of its newest attempt, whose child the webhook is.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import wraps
from typing import Any, TypeVar

from apps.core import tracing
from apps.core.storage.mongo import collection_of
from apps.core.tracing import Kind, Span
from apps.mengla.models import Collection
from apps.mengla.upstream.errors import UpstreamError

Document = dict[str, Any]
Result = TypeVar("Result")


def fields_of_new(run_id: str | None) -> Document:
    """Return the field of a new collection; none while tracing is off."""
    traceparent = tracing.current_traceparent()
    return {"trace": {"batch" if run_id else "parent": traceparent}} if traceparent else {}


def traced_enqueue(enqueue: Callable[..., Result]) -> Callable[..., Result]:
    """Decorate ``jobs.enqueue`` with a span; when it joins a collection, with a link to that one's trace."""

    @wraps(enqueue)
    def traced(query: Any, **parameters: Any) -> Result:
        if not tracing.is_on():
            return enqueue(query, **parameters)
        with tracing.span("enqueue collection", Kind.PRODUCER) as span:
            result = enqueue(query, **parameters)
            enqueued: Any = result
            span.set({**_attributes_of(enqueued.collection), "mengla.joined": not enqueued.is_new})
            if not enqueued.is_new:
                span.link(_origin_of(enqueued.collection))
            return result

    return traced


def traced_batch(enqueue_many: Callable[..., None]) -> Callable[..., None]:
    """Decorate ``enqueue_many`` with a span."""

    @wraps(enqueue_many)
    def traced(queries: Any, *, run_id: str, **parameters: Any) -> None:
        attributes: dict[str, tracing.Value] = {
            "messaging.batch.message_count": len(queries),
            "mengla.run_id": run_id,
        }
        with tracing.span("enqueue collections", Kind.PRODUCER, attributes=attributes):
            enqueue_many(queries, run_id=run_id, **parameters)

    return traced


@contextmanager
def attempt(collection: Mapping[str, Any]) -> Iterator[Span]:
    """Trace the request to the service; its context is stored first, because the webhook may come at once."""
    if not tracing.is_on():
        yield tracing.OFF
        return
    noted = collection.get("trace") or {}
    attributes = {**_attributes_of(collection), "mengla.attempt": collection["attempts"]}
    with tracing.span(
        "dispatch collection",
        Kind.CLIENT,
        parent=noted.get("parent", ""),
        links=[noted.get("batch", "")],
        attributes=attributes,
    ) as span:
        collection_of(Collection).update_one(
            {"_id": collection["_id"], "attempt_token": collection["attempt_token"]},
            {"$set": {"trace.sent": span.traceparent}},
        )
        try:
            yield span
        except UpstreamError as error:
            span.fail(error.error.value)
            raise


@contextmanager
def answer(collection: Mapping[str, Any]) -> Iterator[Span]:
    """Trace the processing of a webhook; it is linked to the request that brought it, if any."""
    if not tracing.is_on():
        yield tracing.OFF
        return
    parent = (collection.get("trace") or {}).get("sent") or _origin_of(collection)
    with tracing.span(
        "receive webhook",
        Kind.CONSUMER,
        parent=parent,
        links=[tracing.current_traceparent()],
        attributes=_attributes_of(collection),
    ) as span:
        yield span


def _origin_of(collection: Mapping[str, Any]) -> str:
    noted = collection.get("trace") or {}
    return str(noted.get("parent") or noted.get("batch") or "")


def _attributes_of(collection: Mapping[str, Any]) -> dict[str, tracing.Value]:
    return {
        "mengla.collection_id": str(collection["_id"]),
        "mengla.data_set": collection["action"],
        "mengla.category": collection["cat_id"],
        "mengla.granularity": collection["granularity"],
        "mengla.periods": f"{collection['start_key']}-{collection['end_key']}",
    }
