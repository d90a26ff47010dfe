"""Nothing is deleted that should stay, whatever is written or removed at the same time."""

from __future__ import annotations

import threading
from datetime import timedelta
from typing import Any

import pytest
from pymongo.client_session import ClientSession

from apps.core.storage.mongo import in_transaction, named_collection, utc_now
from tests.integration.waiting import at_once
from tests.mengla.former.duplicate_support import (
    BEGIN,
    LEGACY,
    ROWS,
    Document,
    changed_after_the_look,
    changed_meanwhile,
    keys,
    put,
    remove,
)

pytestmark = [pytest.mark.django_db, pytest.mark.mongo, pytest.mark.redis]

MOMENTS = pytest.mark.parametrize("change_at", [changed_meanwhile, changed_after_the_look])


@MOMENTS
def test_one_that_was_renewed_in_between_is_kept(change_at: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    renewed = put(updated_at=BEGIN - timedelta(days=1))
    put(updated_at=BEGIN)
    change = {"$set": {"updated_at": BEGIN + timedelta(days=1)}}
    change_at(monkeypatch, lambda: named_collection(LEGACY).update_one({"_id": renewed}, change))
    assert remove().deleted == 1
    assert keys() == {renewed}


@MOMENTS
def test_when_the_kept_one_has_gone_in_between_nothing_is_deleted(
    change_at: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    duplicate = put(updated_at=BEGIN)
    kept = put(updated_at=BEGIN + timedelta(days=1))
    change_at(monkeypatch, lambda: named_collection(LEGACY).delete_one({"_id": kept}))
    report = remove()
    assert (report.deleted, report.left_alone, keys()) == (0, 1, {duplicate})


@MOMENTS
@pytest.mark.parametrize("marks", [{"updated_at": BEGIN}, {"updated_at": ..., "data_hash": "a"}], ids=str)
def test_when_the_kept_one_has_lost_its_figures_the_other_stays(
    marks: Document, change_at: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also when nothing but the data says that it has changed."""
    duplicate = put(**marks)
    kept = put(**marks)
    change = {"$set": {"data": {"list": []}}}
    change_at(monkeypatch, lambda: named_collection(LEGACY).update_one({"_id": kept}, change))
    assert remove().deleted == 1
    assert keys() == {duplicate}


@MOMENTS
@pytest.mark.parametrize("marks", [{"updated_at": BEGIN}, {"updated_at": ..., "data_hash": "a"}], ids=str)
def test_an_empty_one_that_gets_figures_in_between_is_kept(
    marks: Document, change_at: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = put(data={"list": []}, updated_at=BEGIN + timedelta(days=1))
    filled = put(data=None, **marks)
    change = {"$set": {"data": ROWS}}
    change_at(monkeypatch, lambda: named_collection(LEGACY).update_one({"_id": filled}, change))
    assert remove().deleted == 1
    assert keys() == {filled}
    assert other not in keys()


def test_another_remover_in_between_cannot_delete_what_this_one_keeps(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    renewed = put(updated_at=BEGIN)
    put(updated_at=BEGIN + timedelta(days=1))

    def renew_and_remove() -> None:
        newest = {"$set": {"updated_at": BEGIN + timedelta(days=2)}}
        named_collection(LEGACY).update_one({"_id": renewed}, newest)
        assert remove().deleted == 1

    changed_after_the_look(monkeypatch, renew_and_remove)
    assert remove().deleted == 0
    assert keys() == {renewed}


def test_what_stays_is_left_as_it_was() -> None:
    put()
    kept = put(updated_at=BEGIN + timedelta(days=1), odd={"b": 1, "a": [None]})
    before = named_collection(LEGACY).find_one({"_id": kept})
    remove()
    assert list(named_collection(LEGACY).find()) == [before]


def test_figures_are_never_lost_to_writers_who_empty_what_is_kept() -> None:
    """A writer empties what is kept where it sees another one, while two removers are at work."""
    documents, seen, begin = named_collection(LEGACY), [], threading.Barrier(3)
    pairs = [
        (put(cat_id=str(number)), put(cat_id=str(number), updated_at=BEGIN + timedelta(days=1)))
        for number in range(300)
    ]

    def empty_where_it_seems_safe(other: Any, kept: Any, session: ClientSession) -> None:
        if documents.find_one({"_id": other}, session=session) is not None:
            documents.update_one({"_id": kept}, {"$set": {"data": None}}, session=session)

    def write() -> None:
        begin.wait(10)
        for other, kept in reversed(pairs):
            in_transaction(
                lambda session, other=other, kept=kept: empty_where_it_seems_safe(other, kept, session)
            )
            if (documents.find_one({"_id": kept}) or {"data": None})["data"] is None:
                seen.append(other)

    def clean() -> None:
        begin.wait(10)
        remove()

    at_once([write, clean, clean])
    assert set(seen) <= keys()
    assert len({one["cat_id"] for one in documents.find({"data": ROWS})}) == 300


def test_what_others_write_at_the_same_time_is_never_lost() -> None:
    """A writer renews duplicates while two removers are at work: whatever it reached is there afterwards."""
    groups = 150
    candidates = []
    for number in range(groups):
        cat_id = str(1000 + number)
        for age in range(6):
            key = put(cat_id=cat_id, updated_at=BEGIN - timedelta(days=age), data=ROWS if age % 2 else None)
        candidates.append(key)  # the oldest of its group: surely a duplicate
    documents = named_collection(LEGACY)
    reached, begin = [], threading.Barrier(3)

    def write() -> None:
        begin.wait(10)
        for key in candidates:
            now = {"updated_at": utc_now(), "data": ROWS, "is_empty": False}
            if documents.update_one({"_id": key}, {"$set": now}).matched_count:
                reached.append(key)

    def clean() -> None:
        begin.wait(10)
        remove()

    at_once([write, clean, clean])
    remove()
    left = keys()
    assert len(left) == groups
    assert set(reached) <= left
    assert documents.count_documents({"data": None}) == 0
