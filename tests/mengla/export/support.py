"""Records of many categories and periods, stored directly, and what an export of them holds."""

from __future__ import annotations

import csv
import gzip
import io
import json
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from rest_framework.test import APIClient

from apps.core.periods import Period, parse_period, period_range
from apps.core.storage.mongo import collection_of, utc_now
from apps.mengla.choices import Action, EmptyReason
from apps.mengla.models import Record
from apps.mengla.queries.data_query import DataQuery

EXPORT = "/api/mengla/export"


def put(*given: Any, **changes: Any) -> None:
    """Store a record; data of None is an empty one."""
    put_all([document(*given, **changes)])


def put_all(documents: list[dict[str, Any]]) -> None:
    """Store records."""
    collection_of(Record).insert_many(documents)


def document(
    action: Action,
    cat_id: str,
    period: str | Period,
    data: Any,
    *,
    collected_at: datetime | None = None,
    **changes: Any,
) -> dict[str, Any]:
    """Return a record; see :func:`put`."""
    period = parse_period(period) if isinstance(period, str) else period
    now = utc_now()
    record = {
        "_id": DataQuery(action, cat_id, period, period).record_id(period),
        "action": action.value,
        "cat_id": cat_id,
        "granularity": period.granularity.value,
        "period_key": period.key,
        "variant": "",
        "data": data,
        "is_empty": data is None,
        "empty_reason": EmptyReason.EMPTY_LIST.value if data is None else "",
        "collected_at": collected_at or now,
        "fresh_until": now + timedelta(days=1),
        "expired_at": now + timedelta(days=1),
        "created_at": now,
        "updated_at": now,
        "run_ids": [],
    }
    return record | changes


def put_rankings(cat_ids: Sequence[str], start: str, end: str, *, rows: int, **row: Any) -> None:
    """Store best sellers with so many rows for each category and period."""
    documents = []
    for cat_id in cat_ids:
        for period in period_range(parse_period(start), parse_period(end)):
            names = [{"catName": f"{cat_id} {period.dashed} {number}", **row} for number in range(rows)]
            documents.append(document(Action.HOT, cat_id, period, {"list": names}))
    put_all(documents)


def content_of(response: Any) -> bytes:
    """Return the body of an export as the client sees it."""
    assert response.status_code == 200, response.content
    body = b"".join(response.streaming_content)
    response.close()
    assert len(body) == int(response.headers["Content-Length"])
    return gzip.decompress(body) if response.headers.get("Content-Encoding") == "gzip" else body


def rows_of(client: APIClient, **parameters: Any) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """Ask for NDJSON; returns the rows and the last line."""
    response = client.get(EXPORT, given(parameters))
    *rows, last = [json.loads(line) for line in content_of(response).splitlines()]
    return rows, last


def csv_rows_of(body: bytes) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(body.decode("utf-8-sig"), newline="")))


def given(parameters: dict[str, Any]) -> dict[str, Any]:
    """Return parameters, with ``start`` for ``from``, which is a keyword."""
    return {"from" if name == "start" else name: value for name, value in parameters.items()}
