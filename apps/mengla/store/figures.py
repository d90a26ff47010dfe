"""Builds the final response bytes of a query from its records; the caches and the responses share them."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import orjson
from django.conf import settings

from apps.categories.entries import children_json
from apps.core.api.envelope import dump_json, success_body
from apps.core.caching.entry import Built, build_entry
from apps.core.periods import Period
from apps.core.storage.mongo import utc_now
from apps.mengla.queries.data_query import DataQuery
from apps.mengla.queries.freshness import Freshness, freshness_of
from apps.mengla.store import selectors

FRESHNESS_HEADER = "X-MengLa-Freshness"
PARTIAL_HEADER = "X-MengLa-Trend-Partial"
PROVISIONAL_HEADER = "X-MengLa-Provisional"
EMPTY = "empty"
Document = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class RecordSet:
    """The stored records of a query, and which of its periods have to be collected.

    ``to_collect`` are the periods that are missing or stale; ``version`` changes with every change of a
    record.
    """

    stored: list[Document]  # in the order of their periods
    filled: list[Document]  # those with figures
    to_collect: list[Period]
    is_incomplete: bool  # a period has no record
    fresh_until: datetime  # UTC without zone; from then on a stored record is stale
    is_provisional: bool  # a stored record is provisional
    version: str


@dataclass(frozen=True, slots=True)
class BuiltFigures(Built):
    """The figures of a query as a cache entry, and the records that they were built from."""

    records: RecordSet

    @property
    def to_collect(self) -> list[Period]:
        """The periods that are missing or stale."""
        return self.records.to_collect

    @property
    def is_incomplete(self) -> bool:
        """Whether a period has no record."""
        return self.records.is_incomplete


def cache_field(query: DataQuery) -> str:
    """Return the field of the query's entry within its cache group.

    It contains SETTLE_HOURS, on which the freshness of the entry depends. So an entry that was built with
    another value, or by an older version without this setting, is not found.
    """
    return f"{query.range_key if query.is_trend else '-'}@{settings.SETTLE_HOURS}"


def record_set_of(query: DataQuery, documents: Sequence[Document], *, now: datetime) -> RecordSet | None:
    """Return the record set of a query, or None when its records are not enough to serve.

    They are not enough when there is none, or when some periods are missing and no stored record has
    figures: the missing ones may have some. ``documents`` come in any order, with or without their figures;
    ``now`` is UTC without zone. Records past their ``expired_at`` are ignored, even if MongoDB's TTL monitor
    has not deleted them yet.
    """
    by_id = {document["_id"]: document for document in documents if document["expired_at"] > now}
    found = [(period, by_id.get(query.record_id(period))) for period in query.periods]
    stored = [document for _, document in found if document is not None]
    filled = [document for document in stored if not document["is_empty"]]
    is_incomplete = len(stored) < len(found)
    if not stored or (is_incomplete and not filled):
        return None
    freshness = {document["_id"]: freshness_of(document) for document in stored}
    return RecordSet(
        stored=stored,
        filled=filled,
        to_collect=[
            period
            for period, document in found
            if document is None or not freshness[document["_id"]].is_fresh(now)
        ],
        is_incomplete=is_incomplete,
        fresh_until=min(one.fresh_until for one in freshness.values()),
        is_provisional=any(one.is_provisional for one in freshness.values()),
        version=_version_of(stored, freshness),
    )


class NothingStored(Exception):
    """The stored records are not enough to serve the query."""


def build_stored(query: DataQuery) -> BuiltFigures:
    """Build the figures of a query from the records stored now.

    :raises NothingStored: when they are not enough (see :func:`record_set_of`).
    """
    built = build_figures(query, selectors.find_records(query), now=utc_now())
    if built is None:
        raise NothingStored
    return built


def build_figures(query: DataQuery, documents: Sequence[Document], *, now: datetime) -> BuiltFigures | None:
    """Build the figures from the records; None when they are not enough (see :func:`record_set_of`)."""
    records = record_set_of(query, documents, now=now)
    if records is None:
        return None
    stored, filled = records.stored, records.filled
    body = _trend_body(filled, stored) if query.is_trend else _record_body(query, stored[0])
    headers = {}
    if not filled:
        headers[FRESHNESS_HEADER] = EMPTY
    if query.is_trend and len(filled) < query.period_count:
        headers[PARTIAL_HEADER] = f"{query.period_count},{len(filled)}"
    if records.is_provisional:
        headers[PROVISIONAL_HEADER] = "1"
    entry = build_entry(
        dump_json(body),
        stored_at=_unix(min(document["collected_at"] for document in filled or stored)),
        fresh_until=_unix(now if records.is_incomplete else records.fresh_until),
        serve_until=_unix(min(document["expired_at"] for document in stored)),
        headers=headers,
        version=records.version,
    )
    return BuiltFigures(entry, records)


def _version_of(stored: Sequence[Document], freshness: Mapping[str, Freshness]) -> str:
    facts = ((one["_id"], one["collected_at"], freshness[one["_id"]].fresh_until) for one in stored)
    return hashlib.sha256(repr(list(facts)).encode()).hexdigest()[:32]


def _record_body(query: DataQuery, document: Document) -> dict[str, Any]:
    if document["is_empty"]:
        return success_body(None, _empty_message(document))
    data = document["data"]
    if query.cat_id and isinstance(data, dict):
        data = {**data, "secondaryCategories": orjson.Fragment(children_json(query.cat_id))}
    return success_body(data)


def _trend_body(filled: Sequence[Document], stored: Sequence[Document]) -> dict[str, Any]:
    if not filled:
        return success_body(None, _empty_message(stored[0]))
    return success_body([document["data"] for document in filled])


def _empty_message(document: Document) -> str:
    return f"empty: {document['empty_reason']}"


def _unix(instant: datetime) -> float:
    return instant.replace(tzinfo=UTC).timestamp()
