"""Cursor pages over MongoDB: ordered, bounded, and without counting."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import bson
import orjson
from bson import ObjectId
from bson.errors import InvalidId
from django.utils.translation import gettext as _
from pymongo import DESCENDING
from pymongo.collection import Collection as MongoCollection

from apps.core.errors import InvalidInput

DEFAULT_LIMIT = 50
MAX_LIMIT = 200
MAX_CURSOR_LENGTH = 512
_TAG_BYTES = 9


@dataclass(frozen=True, slots=True)
class Page:
    """Some rows, newest first, and the cursor of the next page (None on the last one)."""

    rows: list[dict[str, Any]]
    next_cursor: str | None


def newest_first(
    collection: MongoCollection[dict[str, Any]],
    criteria: Mapping[str, Any],
    *,
    by: str,
    cursor: str | None,
    limit: int,
    projection: Mapping[str, int] | None = None,
    hint: str | None = None,
) -> Page:
    """Return one page of the documents that match, ordered by the instant ``by`` and then by key.

    :param hint: the name of the index to use; by default MongoDB tries those that could serve the page.
    :raises InvalidInput: when the cursor is not one of this list with these criteria.
    """
    conditions: list[Mapping[str, Any]] = [criteria] if criteria else []
    scope = bson.encode({"list": collection.name, "by": by, "criteria": criteria})
    if cursor:
        instant, key = _decode(cursor, scope)
        # The second condition implies the first, which lets an index scan start there.
        conditions.append({by: {"$lte": instant}})
        conditions.append({"$or": [{by: {"$lt": instant}}, {by: instant, "_id": {"$lt": key}}]})
    found = list(
        collection.find({"$and": conditions} if conditions else {}, projection, hint=hint)
        .sort([(by, DESCENDING), ("_id", DESCENDING)])
        .limit(limit + 1)
    )
    rows = found[:limit]
    return Page(rows, _encode(rows[-1][by], rows[-1]["_id"], scope) if len(found) > limit else None)


def _encode(instant: datetime, key: Any, scope: bytes) -> str:
    kind = "s" if isinstance(key, str) else "o"
    milliseconds = round(instant.replace(tzinfo=UTC).timestamp() * 1000)
    place = orjson.dumps([milliseconds, kind, str(key)])
    # The place is first: so a cursor never begins with a dash, as an option of a command does.
    return base64.urlsafe_b64encode(place + _tag(place, scope)).decode()


def _decode(cursor: str, scope: bytes) -> tuple[datetime, Any]:
    try:
        packed = base64.b64decode(cursor.encode(), altchars=b"-_", validate=True)
        place = packed[:-_TAG_BYTES]
        milliseconds, kind, key = orjson.loads(place)
        instant = datetime.fromtimestamp(milliseconds / 1000, UTC).replace(tzinfo=None)
        found = instant, ObjectId(key) if kind == "o" else str(key)
    except (ValueError, TypeError, OverflowError, OSError, InvalidId) as error:
        raise _invalid_cursor() from error
    if packed[-_TAG_BYTES:] != _tag(place, scope):
        raise _invalid_cursor()  # it was returned by another list, or for other filters
    return found


def _invalid_cursor() -> InvalidInput:
    return InvalidInput(_("The input is not valid."), fields={"cursor": [_("Invalid cursor.")]})


def _tag(place: bytes, scope: bytes) -> bytes:
    """Return what binds a place to its list and filters. It is no secret: a cursor grants nothing."""
    return hashlib.sha256(scope + place).digest()[:_TAG_BYTES]
