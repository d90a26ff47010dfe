"""Documents that answer the same question twice, and what happens while they are removed."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any

import pytest

from apps.core.storage.mongo import named_collection
from apps.mengla.former import duplicates as service
from apps.mengla.former.duplicates import DuplicateReport, remove_duplicates

LEGACY = "legacy_data"
BEGIN = datetime(2025, 7, 1)
ROWS = {"list": [{"catName": "x", "monthSales": 1}]}
Document = dict[str, Any]


def put(collection: str = LEGACY, **fields: Any) -> Any:
    """Store a document, by default of the best sellers of June 2025; returns its key."""
    document = {"action": "hot", "cat_id": "1001", "granularity": "month", "period_key": "202506"}
    document |= {"data": ROWS, "updated_at": BEGIN} | fields
    return (
        named_collection(collection)
        .insert_one({name: value for name, value in document.items() if value is not ...})
        .inserted_id
    )


def put_legacy(**fields: Any) -> Any:
    """Store a document as the former program did."""
    former = {"cat_id": ..., "granularity": ..., "period_key": ..., "updated_at": ...}
    former |= {"catId": "1001", "dateType": "MONTH", "timest": "2025-06"}
    return put(**former | fields)


def keys(collection: str = LEGACY) -> set[Any]:
    return {document["_id"] for document in named_collection(collection).find({}, {"_id": 1})}


def remove(collection: str | None = LEGACY, *, is_applied: bool = True, **options: Any) -> DuplicateReport:
    return remove_duplicates(
        is_applied=is_applied, requested_by="tests", collection_name=collection, **options
    )


def changed_meanwhile(monkeypatch: pytest.MonkeyPatch, change: Callable[[], Any]) -> None:
    """Let something happen, once, after the duplicates were named and before they are looked at again."""
    begin = service.in_transaction

    def change_first(work: Any) -> Any:
        monkeypatch.undo()
        change()
        return begin(work)

    monkeypatch.setattr(service, "in_transaction", change_first)


def changed_after_the_look(monkeypatch: pytest.MonkeyPatch, change: Callable[[], Any]) -> None:
    """Let something happen, once, after it was decided what is deleted and before it is."""
    keep_and_delete = service.keep_and_delete

    def change_first(*arguments: Any, **options: Any) -> None:
        monkeypatch.undo()
        change()
        keep_and_delete(*arguments, **options)

    monkeypatch.setattr(service, "keep_and_delete", change_first)
