"""A database as version 0.1.0 has left it: rows of all kinds in all states, made by that version.

Its processes were killed while they collected. ``database_0_1_0.jsonl.gz`` holds one line about the whole,
then one line for each document, in MongoDB's extended JSON.
"""

from __future__ import annotations

import gzip
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any

from bson import json_util
from bson.json_util import CANONICAL_JSON_OPTIONS
from pymongo.database import Database

FILE = Path(__file__).parent / "database_0_1_0.jsonl.gz"
_NAIVE = CANONICAL_JSON_OPTIONS.with_options(tz_aware=False, tzinfo=None)
Document = dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class OldDatabase:
    """What is known of the database besides its documents."""

    tokens: dict[str, str]  # by what they are: reader, admin, revoked
    session_id: str  # of the admin
    secrets: dict[str, str]  # the variables that it was written with
    documents: dict[str, list[Document]]  # by MongoDB collection


@cache
def _lines() -> list[Document]:
    with gzip.open(FILE, "rt", encoding="utf-8") as file:
        return [json_util.loads(line, json_options=_NAIVE) for line in file]


def load_into(database: Database[Document]) -> OldDatabase:
    """Write the database of 0.1.0, as if its processes had been killed a minute ago."""
    about, *lines = _lines()
    passed = datetime.now(UTC).replace(tzinfo=None) - about["dumped_at"] - timedelta(minutes=1)
    documents: dict[str, list[Document]] = {name: [] for name in about["collections"]}
    for line in lines:
        documents[line["in"]].append(_later(line["document"], passed))
    for name, parts in about["collections"].items():
        database.create_collection(name, **parts["options"])
        if documents[name]:
            database[name].insert_many(documents[name])
        if parts["indexes"]:
            database.command("createIndexes", name, indexes=parts["indexes"])
    return OldDatabase(
        tokens=about["tokens"],
        session_id=about["sessionid"],
        secrets=about["secrets"],
        documents=documents,
    )


def _later(value: Any, passed: timedelta) -> Any:
    """Return the value with all instants moved, so that nothing has expired since the file was made."""
    if isinstance(value, datetime):
        return value + passed
    if isinstance(value, dict):
        return {key: _later(one, passed) for key, one in value.items()}
    if isinstance(value, list):
        return [_later(one, passed) for one in value]
    return value


def indexes_of(database: Database[Document]) -> dict[str, dict[str, Document]]:
    """Return the indexes of each MongoDB collection by their names."""
    return {name: dict(database[name].index_information()) for name in _collections(database)}


def _collections(database: Database[Document]) -> Iterator[str]:
    yield from sorted(database.list_collection_names(filter={"type": "collection"}))
