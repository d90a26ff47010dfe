"""Reads the records of an export in their order; the bytes in memory are bounded, not the records."""

from __future__ import annotations

import math
import struct
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from itertools import chain, islice
from typing import Any, TypeVar

from bson import decode
from bson.codec_options import CodecOptions
from bson.raw_bson import RawBSONDocument

from apps.core.batches import batches
from apps.core.storage.database.client import heavy_operations
from apps.core.storage.mongo import LENIENT_CODEC, collection_of
from apps.mengla.choices import Action
from apps.mengla.models import Record
from apps.mengla.monitoring.figure_tables import VIEWS
from apps.mengla.queries.freshness import FIELDS

T = TypeVar("T")
Document = dict[str, Any]

WANTED_BYTES = 1 << 20  # of the records that are in memory at once
MAX_BYTES = 4 * WANTED_BYTES  # from then on fewer are read
MAX_KEYS = 1000
_FIRST_KEYS = 4
_GROWTH = 4
_COUNTED_KEYS = 5000
_COUNT_SECONDS = 60.0
# How BSON holds NaN, of either sign, and both infinities.
_NOT_FINITE = [struct.pack("<d", one) for one in (math.nan, -math.nan, math.inf, -math.inf)]
_RAW: CodecOptions[RawBSONDocument] = CodecOptions(document_class=RawBSONDocument)


def read_in_order(keys: Iterable[tuple[T, str]], *, now: datetime) -> Iterator[tuple[T, Document | None]]:
    """Yield what belongs to each id, with its record; None when it is not stored or has expired.

    ``now`` is UTC without zone. The records of one command of MongoDB have :data:`MAX_BYTES` at most, unless
    a single one is larger, or MongoDB sends them in one reply (16 MB).
    """
    waiting = iter(keys)
    size = _FIRST_KEYS
    while chunk := list(islice(waiting, size)):
        found, size_bytes = _find([record_id for _, record_id in chunk], now)
        if size_bytes > MAX_BYTES and len(chunk) > 1:
            size = max(1, len(chunk) // _GROWTH)
            waiting = chain(chunk, waiting)
            continue
        count = len(found)
        for one, record_id in chunk:
            raw = found.pop(record_id, None)
            yield one, None if raw is None else _decoded(bytes(raw.raw))
        fitting = WANTED_BYTES * count // size_bytes if count else MAX_KEYS
        size = max(1, min(fitting, size * _GROWTH, MAX_KEYS))


def _decoded(raw: bytes) -> Document:
    """Return a record; what is no number, such as NaN, is null in every format, as in the other responses."""
    record: Document = decode(raw, LENIENT_CODEC)
    return _finite(record) if any(pattern in raw for pattern in _NOT_FINITE) else record


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _finite(one) for name, one in value.items()}
    if isinstance(value, list):
        return [_finite(one) for one in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _find(record_ids: Sequence[str], now: datetime) -> tuple[dict[str, RawBSONDocument], int]:
    """Return the records by id and their size; not all of them if they have more than the maximum."""
    records = collection_of(Record).with_options(codec_options=_RAW)
    criteria = {"_id": {"$in": list(record_ids)}, "expired_at": {"$gt": now}}
    found: dict[str, RawBSONDocument] = {}
    size_bytes = 0
    with records.find(criteria, FIELDS | {"is_empty": 1, "data": 1}, batch_size=MAX_KEYS) as cursor:
        for raw in cursor:
            found[raw["_id"]] = raw
            size_bytes += len(raw.raw)
            if size_bytes > MAX_BYTES:
                break
    return found, size_bytes


def count_rows(action: Action, record_ids: Iterable[str], *, now: datetime) -> int:
    """Count the rows of an export without reading them into this process.

    :raises pymongo.errors.PyMongoError: also when it takes longer than a minute.
    """
    count = 0
    with heavy_operations(_COUNT_SECONDS):
        for some in batches(record_ids, _COUNTED_KEYS):
            criteria = {"_id": {"$in": some}, "expired_at": {"$gt": now}, "is_empty": False}
            group = {"_id": None, "rows": {"$sum": _rows_expression(action)}}
            for found in collection_of(Record).aggregate([{"$match": criteria}, {"$group": group}]):
                count += found["rows"]
    return count


def _rows_expression(action: Action) -> Any:
    """Return what MongoDB computes as the number of a record's rows, as ``columns.rows_of`` makes them."""
    if action == Action.INDUSTRY_TREND:
        return 1
    names = list(VIEWS) if action == Action.INDUSTRY_VIEW else ["list"]
    sizes = [
        {
            "$cond": [
                {"$isArray": f"$data.{name}"},
                {"$size": {"$ifNull": [f"$data.{name}", []]}},
                {"$cond": [{"$ifNull": [f"$data.{name}", False]}, 1, 0]},  # all of it is one row
            ]
        }
        for name in names
    ]
    return {"$max": [{"$add": sizes}, 1]}
