"""The documents of collections: a new one, the changes of joining one, its requesters."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from bson import ObjectId

from apps.core.storage.mongo import utc_now
from apps.mengla.choices import CollectionStatus, Priority
from apps.mengla.queries.data_query import DataQuery
from apps.mengla.queue.trace import fields_of_new
from apps.mengla.words import ERRORS

Document = dict[str, Any]


def new_document(
    query: DataQuery,
    *,
    priority: Priority,
    requested_by: str,
    run_id: str | None,
    is_forced: bool,
    caller: str = "",
    place: str = "",
) -> Document:
    """Return the document of a new PENDING collection; ``caller`` and ``place`` are those of a reader's."""
    now = utc_now()
    return {
        "_id": ObjectId(),
        "action": query.action.value,
        "cat_id": query.cat_id,
        "granularity": query.granularity.value,
        "start_key": query.start.key,
        "end_key": query.end.key,
        "product_id": query.product_id,
        "extra": dict(query.extra),
        "identity": query.identity,
        "active_key": query.identity,
        "is_forced": is_forced,
        "priority": int(priority),
        "status": CollectionStatus.PENDING.value,
        "attempts": 0,
        "refusals": 0,
        "refused_since": None,
        "is_probe": False,
        "has_failed_as_probe": False,
        "not_before": now,
        "lease_until": None,
        "attempt_token": "",
        "past_tokens": [],
        "past_executions": [],
        "attempt_log": [],
        "slot": None,
        "execution_id": "",
        "run_ids": [run_id] if run_id else [],
        "has_reader": run_id is None,
        "requested_by": requested_by,
        "caller": caller,
        "place": place,
        "error_code": "",
        **ERRORS.stored(""),
        "empty_reason": "",
        "is_cache_pending": False,
        "created_at": now,
        "dispatched_at": None,
        "finished_at": None,
        "updated_at": now,
        **fields_of_new(run_id),
    }


def joining_changes(*, run_id: str | None, is_forced: bool) -> Document:
    """Return the fields to set when a requester joins a collection, besides its priority and runs."""
    changes: Document = {"updated_at": utc_now()}
    if is_forced:
        changes["is_forced"] = True
    if run_id is None:
        changes["has_reader"] = True
    return changes


def requesters_of(collection: Mapping[str, Any]) -> Document:
    """Return the requesters of a collection: its runs, and whether a reader is among them."""
    return {"run_ids": collection["run_ids"], "has_reader": collection["has_reader"]}


def active_filter(identity: str) -> Document:
    """Return the filter for the collection under way with this query identity."""
    # The index is partial: it holds no nulls. MongoDB uses it only if the filter names the type.
    return {"active_key": {"$eq": identity, "$type": "string"}}
