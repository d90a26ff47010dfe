"""The bulk writes of the category import.

They use PyMongo: Django's ``bulk_create`` cannot upsert on MongoDB, and ``update_or_create`` can lose a
concurrent write.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

from pymongo import ReplaceOne

from apps.categories.models import Category
from apps.categories.tree_file import CategoryRow
from apps.core.storage.mongo import collection_of


def upsert_rows(rows: Sequence[CategoryRow], *, updated_at: datetime) -> None:
    """Insert or replace each row by its id; an interrupted call can be repeated."""
    if rows:
        collection_of(Category).bulk_write(
            [ReplaceOne({"_id": row.cat_id}, _document(row, updated_at), upsert=True) for row in rows],
            ordered=False,
        )


def remove_ids(cat_ids: Iterable[str]) -> None:
    """Remove the categories with these ids; unknown ids are ignored."""
    wanted = sorted(cat_ids)
    if wanted:
        collection_of(Category).delete_many({"_id": {"$in": wanted}})


def _document(row: CategoryRow, updated_at: datetime) -> dict[str, Any]:
    return {
        "_id": row.cat_id,
        "parent_id": row.parent_id,
        "level": row.level,
        "position": row.position,
        "name_cn": row.name_cn,
        "name_ru": row.name_ru,
        "data": row.data,
        "data_hash": row.data_hash,
        "updated_at": updated_at,
    }
