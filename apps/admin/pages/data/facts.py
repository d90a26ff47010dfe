"""What the data page says about figures: their freshness, or the state of the collection that is awaited."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from django.utils.translation import gettext as _

from apps.admin.pages.data.addresses import address_of, parameters_of
from apps.core.printable import labelled
from apps.core.storage.clock import unix_now
from apps.core.time_texts import instant_text
from apps.mengla.choices import CollectionError, CollectionStatus
from apps.mengla.dispatch.waiting import WaitingCode, waiting_of
from apps.mengla.queries.parameters import DataQuery
from apps.mengla.reading.read import Hit, Miss
from apps.mengla.store.figures import PARTIAL_HEADER, PROVISIONAL_HEADER
from apps.mengla.store.selectors import find_collection, queue_position
from apps.mengla.words import ERRORS

_POLL_SECONDS = 2
_RELOAD_SECONDS = 10  # of a page without JavaScript
_UNSUCCESSFUL = (CollectionStatus.FAILED, CollectionStatus.CANCELLED)


def freshness_of(hit: Hit) -> dict[str, Any]:
    """Return the source, the age and the freshness of figures."""
    sources = {
        "l1": _("memory of the web process (L1)"),
        "l2": _("Redis (L2)"),
        "l3": _("MongoDB (L3)"),
        "fresh": _("the collection service, just now"),
    }
    partial = hit.entry.headers.get(PARTIAL_HEADER)
    requested, found = partial.split(",") if partial else ("", "")
    return {
        "source": sources[hit.source],
        "is_empty": hit.is_empty,
        "is_stale": not hit.is_fresh,
        "is_provisional": PROVISIONAL_HEADER in hit.entry.headers,
        "collected_at": _local(hit.entry.stored_at),
        "age_seconds": max(0.0, unix_now() - hit.entry.stored_at),
        "fresh_until": _local(hit.entry.fresh_until),
        "requested": requested,
        "found": found,
    }


def describe_miss(query: DataQuery, miss: Miss, kept: Mapping[str, Any]) -> dict[str, Any]:
    """Return what the page shows while the figures are being collected; then it has the same parameters."""
    collection = miss.collection
    collection_id = str(collection["_id"])
    parameters = parameters_of(query) | dict(kept) | {"collection": collection_id}
    position = queue_position(collection)
    waiting = waiting_of(collection, position=position)
    is_moving = waiting is None or waiting.code in (WaitingCode.QUEUED, WaitingCode.IN_FLIGHT)
    return {
        "id": collection_id,
        "status": str(CollectionStatus(collection["status"]).label),
        "position": position,
        "created_at": instant_text(collection["created_at"]),
        "reason": "" if waiting is None or is_moving else waiting.message,
        "next": address_of("admin:collector_data", parameters),
        "script": {
            "state": address_of("admin:collector_data_state", {"collection": collection_id}),
            "next": address_of("admin:collector_data", parameters),
            "seconds": _POLL_SECONDS,
        },
        "seconds": _RELOAD_SECONDS,
    }


def failed_collection(collection_id: str, query: DataQuery) -> dict[str, Any] | None:
    """Return why the awaited collection failed or was cancelled.

    None when it has another status, does not exist, or belongs to another query. The page shows the reason
    and does not read the figures again: that would enqueue the failed collection every few seconds.
    """
    collection = find_collection(collection_id)
    if collection is None or collection["identity"] != query.identity:
        return None
    if collection["status"] not in _UNSUCCESSFUL:
        return None
    return {
        "status": str(CollectionStatus(collection["status"]).label),
        "reason": _reason_of(collection),
        "finished_at": instant_text(collection["finished_at"]),
    }


def _reason_of(collection: Mapping[str, Any]) -> str:
    code, message = collection["error_code"], ERRORS.shown(collection)
    name = str(CollectionError(code).label) if code in CollectionError.values else code
    return labelled(name, message) if name and message else name or message


def _local(unix_seconds: float) -> str:
    return instant_text(datetime.fromtimestamp(unix_seconds, UTC))
