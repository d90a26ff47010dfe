"""Cursor pages over MongoDB: ordered, bounded, and without counting."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

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
    :raises InvalidInput: when the cursor is not valid.
    """
    conditions: list[Mapping[str, Any]] = [criteria] if criteria else []
    if cursor:
        instant, key = _decode(cursor)
        # The second condition implies the first, which lets an index scan start there.
        conditions.append({by: {"$lte": instant}})
        conditions.append({"$or": [{by: {"$lt": instant}}, {by: instant, "_id": {"$lt": key}}]})
    found = list(
        collection.find({"$and": conditions} if conditions else {}, projection, hint=hint)
        .sort([(by, DESCENDING), ("_id", DESCENDING)])
        .limit(limit + 1)
    )
    rows = found[:limit]
    return Page(rows, _encode(rows[-1][by], rows[-1]["_id"]) if len(found) > limit else None)


def _encode(instant: datetime, key: Any) -> str:
    kind = "s" if isinstance(key, str) else "o"
    milliseconds = round(instant.replace(tzinfo=UTC).timestamp() * 1000)
    return base64.urlsafe_b64encode(orjson.dumps([milliseconds, kind, str(key)])).decode()


def _decode(cursor: str) -> tuple[datetime, Any]:
    try:
        milliseconds, kind, key = orjson.loads(base64.urlsafe_b64decode(cursor.encode()))
        instant = datetime.fromtimestamp(milliseconds / 1000, UTC).replace(tzinfo=None)
        return instant, ObjectId(key) if kind == "o" else str(key)
    except (ValueError, TypeError, OverflowError, OSError, InvalidId) as error:
        raise InvalidInput(_("The input is not valid."), fields={"cursor": [_("Invalid cursor.")]}) from error
