"""Finds what the move itself does not carry over: open jobs, panel configurations and lists of tokens.

They are reported with what to do; nothing here writes.
"""

from __future__ import annotations

from itertools import islice
from typing import Any

from bson.datetime_ms import DatetimeMS
from django.apps import apps
from pymongo.collection import Collection as MongoCollection

from apps.core.management.tables import printable
from apps.core.storage.mongo import LENIENT_CODEC, has_collection, named_collection
from apps.mengla.former.reference_document import read_instant

JOB_COLLECTIONS = ("crawl_jobs", "crawl_subtasks")
_ENDED = ("COMPLETED", "SUCCESS", "SUCCEEDED", "DONE", "FAILED", "CANCELLED", "CANCELED")
_MAX_LISTED = 50
_MAX_TEXT = 80


def count_open_jobs() -> dict[str, dict[str, int]]:
    """Return the number of jobs that have not ended, by MongoDB collection and status."""
    counts = {name: _count_open(name) for name in JOB_COLLECTIONS if has_collection(name)}
    return {name: statuses for name, statuses in counts.items() if statuses}


def list_panel_collections() -> list[str]:
    """Return the MongoDB collections that hold a panel configuration of the former program."""
    wanted = {"modules": {"$exists": True}, "layout": {"$exists": True}}
    return [name for name in _foreign("panel") if _collection(name).find_one(wanted, {"_id": 1})]


def list_tokens() -> list[tuple[str, str]]:
    """Return the labels of the tokens that the former program has listed, each with its expiry as a text.

    Nothing else of them is read: the tokens themselves stay where they are.
    """
    fields = {"label": 1, "name": 1, "expires_at": 1}
    found = (one for name in _foreign("token") for one in _collection(name).find({}, fields))
    labels = ((one.get("label") or one.get("name"), one.get("expires_at")) for one in found)
    listed = islice(((label, expires_at) for label, expires_at in labels if label), _MAX_LISTED)
    return [(_text(label), _expiry_text(expires_at)) for label, expires_at in listed]


def _collection(name: str) -> MongoCollection[dict[str, Any]]:
    return named_collection(name).with_options(codec_options=LENIENT_CODEC)


def _foreign(word: str) -> list[str]:
    """Return the MongoDB collections with this word in their name that are not ours, sorted."""
    ours = {model._meta.db_table for model in apps.get_models(include_auto_created=True)}
    database = named_collection(JOB_COLLECTIONS[0]).database
    found = database.list_collection_names(filter={"type": "collection", "name": {"$regex": word}})
    return sorted(name for name in found if name not in ours)


def _count_open(name: str) -> dict[str, int]:
    # MongoDB cannot write every date as text, so only texts count as statuses.
    status = {"$cond": [{"$eq": [{"$type": "$status"}, "string"]}, {"$toUpper": "$status"}, ""]}
    grouped = _collection(name).aggregate(
        [
            {"$group": {"_id": status, "count": {"$sum": 1}}},
            {"$match": {"_id": {"$nin": list(_ENDED)}}},
            {"$sort": {"count": -1, "_id": 1}},
            {"$limit": _MAX_LISTED},
        ]
    )
    return {_text(one["_id"]) or "-": one["count"] for one in grouped}


def _expiry_text(value: Any) -> str:
    """Return an expiry for people: an instant where it is one, otherwise what is stored."""
    if value is None or value == "":
        return "never"
    instant = None if isinstance(value, str) else read_instant(value)
    return _text(value) if instant is None else instant.isoformat(sep=" ", timespec="minutes")


def _text(value: Any) -> str:
    if isinstance(value, DatetimeMS):  # a date that Python does not have
        value = int(value)
    return printable(str(value))[:_MAX_TEXT]
