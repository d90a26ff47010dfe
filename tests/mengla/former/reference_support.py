"""A collection of the reference program, and documents as it stored them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import pymongo
from django.conf import settings

from apps.core.storage.mongo import collection_of, utc_now
from apps.mengla.models import Record

Documents = pymongo.collection.Collection[dict[str, Any]]


@contextmanager
def reference_source() -> Iterator[Documents]:
    """The collection of the reference program, empty, in a database of its own."""
    name = f"{collection_of(Record).database.name}_reference"
    with pymongo.MongoClient[dict[str, Any]](settings.MONGO_URI) as client:
        client.drop_database(name)
        yield client[name]["mengla_data"]
        client.drop_database(name)


def make(number: int, **fields: Any) -> dict[str, Any]:
    """A document of the reference program."""
    given = {
        "action": "high",
        "catId": str(1000 + number),
        "dateType": "MONTH",
        "timest": "2025-06",
        "data": {"highList": {"code": 0, "data": {"list": [{"monthSales": number}]}}},
        "updated_at": utc_now() - timedelta(days=1),
    }
    return given | fields


def stored() -> dict[str, Any]:
    """The data of every record, by its id."""
    return {one["_id"]: one["data"] for one in collection_of(Record).find()}
