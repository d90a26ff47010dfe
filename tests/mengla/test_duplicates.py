"""The remover of duplicates: what it keeps, what it deletes, and what it leaves alone."""

from __future__ import annotations

import io
import json
import threading
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest
import redis
from bson import ObjectId
from bson.datetime_ms import DatetimeMS
from django.core.management import CommandError, call_command

from apps.core.cache import EPOCH_KEY, get_cache
from apps.core.errors import NotFound
from apps.core.mongo import named_collection, utc_now
from apps.core.redis import get_redis
from apps.mengla.services import duplicates as service
from apps.mengla.services.duplicates import DuplicateReport, remove_duplicates
from tests.factories.categories import Node
from tests.mengla.support import hot, records, store, trend

pytestmark = [pytest.mark.django_db, pytest.mark.mongo, pytest.mark.redis]

LEGACY = "legacy_data"
BEGIN = datetime(2025, 7, 1)
ROWS = {"list": [{"catName": "x", "monthSales": 1}]}
Document = dict[str, Any]


def put(collection: str = LEGACY, **fields: Any) -> Any:
    """Store a document, of the best sellers of June 2025 unless told otherwise; returns its key."""
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


# --- Which one is kept ------------------------------------------------------------------------------


def test_figures_go_before_nothing_however_old() -> None:
    kept = put(updated_at=BEGIN - timedelta(days=300))
    for nothing in (None, [], {}, ""):
        put(data=nothing)
    put(data=None, is_empty=True)
    put(data=ROWS, is_empty=True)  # our own word counts more than a look at the data
    report = remove()
    assert keys() == {kept}
    assert (report.groups, report.duplicates, report.deleted, report.left_alone) == (1, 6, 6, 0)


def test_then_the_newest() -> None:
    put(updated_at=BEGIN)
    kept = put(updated_at=BEGIN + timedelta(milliseconds=1))
    put(updated_at=BEGIN - timedelta(days=1))
    remove()
    assert keys() == {kept}


def test_the_newest_by_whatever_date_there_is() -> None:
    put(updated_at=..., collected_at=BEGIN)
    kept = put(updated_at=..., created_at="2025-07-03T00:00:00")
    put(updated_at=..., _id=ObjectId.from_datetime(BEGIN + timedelta(days=1)))
    remove()
    assert keys() == {kept}


def test_of_equals_the_one_under_our_key() -> None:
    put()
    kept = put(_id="hot:1001:month:202506")
    put()
    remove()
    assert keys() == {kept} == {"hot:1001:month:202506"}


def test_a_group_of_nothing_keeps_one() -> None:
    for _ in range(3):
        put(data=None)
    remove()
    assert len(keys()) == 1


# --- What is one question ----------------------------------------------------------------------------


def test_spellings_of_the_former_program_are_the_same_question() -> None:
    kept = put(updated_at=datetime(2038, 1, 1))
    put_legacy()
    put_legacy(timest="202506", dateType="month")
    put_legacy(catId=1001)
    remove()
    assert keys() == {kept}


def test_quarters_and_all_categories_have_two_names() -> None:
    kept = put(cat_id="", granularity="quarter", period_key="2025Q2", updated_at=datetime(2038, 1, 1))
    put_legacy(catId="all", dateType="QUARTERLY_FOR_YEAR", timest="2025-q2")
    put_legacy(catId=None, dateType="quarter", timest="2025Q2")
    remove()
    assert keys() == {kept}


@pytest.mark.parametrize(
    "other",
    [
        {"action": "high"},
        {"cat_id": "1002"},
        {"cat_id": ""},
        {"granularity": "day"},
        {"period_key": "202507"},
        {"variant": "abc"},
        {"product_id": "7"},
        {"extra": {"a": 1}},
    ],
    ids=str,
)
def test_other_questions_are_no_duplicates(other: Document) -> None:
    put()
    put(**other)
    assert remove().duplicates == 0
    assert len(keys()) == 2


def test_ranges_of_a_trend_are_other_questions_only_for_trends() -> None:
    for action in ("hot", "industryTrendRange"):
        put_legacy(action=action, starRange="2025-01", endRange="2025-06")
        put_legacy(action=action, starRange="2025-02", endRange="2025-06")
    remove()
    left = [document["action"] for document in named_collection(LEGACY).find()]
    assert sorted(left) == ["hot", "industryTrendRange", "industryTrendRange"]


@pytest.mark.parametrize(
    "unreadable",
    [
        {"action": 5},
        {"action": ...},
        {"cat_id": {"a": 1}},
        {"granularity": ...},
        {"granularity": ""},
        {"period_key": ...},
        {"period_key": [1]},
    ],
    ids=str,
)
def test_what_is_no_question_is_left_alone(unreadable: Document) -> None:
    for _ in range(3):
        put(**unreadable)
    assert remove().duplicates == 0
    assert len(keys()) == 3


def test_dates_beyond_python_are_no_obstacle() -> None:
    put()
    kept = put(updated_at=DatetimeMS(2**62))
    report = remove()
    assert (report.deleted, keys()) == (1, {kept})


# --- Nothing is deleted that should stay ---------------------------------------------------------------


def test_a_dry_run_deletes_nothing_and_says_what_would_be() -> None:
    put()
    kept = put(updated_at=BEGIN + timedelta(days=1))
    report = remove(is_applied=False)
    assert (report.is_applied, report.groups, report.duplicates, report.deleted) == (False, 1, 1, 0)
    assert len(keys()) == 2
    [example] = report.examples
    assert example["kept"] == str(kept)
    assert (example["action"], example["cat_id"], example["period_key"]) == ("hot", "1001", "202506")


def test_the_second_time_there_is_nothing_left() -> None:
    for number in range(30):
        put(period_key=f"2025{number % 10 + 1:02}", updated_at=BEGIN + timedelta(days=number))
    first, left = remove(), keys()
    assert (first.groups, first.deleted) == (10, 20)
    again = remove()
    assert (again.groups, again.duplicates, again.deleted) == (0, 0, 0)
    assert keys() == left


def changed_meanwhile(monkeypatch: pytest.MonkeyPatch, change: Callable[[], Any]) -> None:
    """Let something happen after the duplicates were named and before they are looked at again."""
    delete = service._delete_verified

    def change_first(*arguments: Any) -> int:
        change()
        return delete(*arguments)

    monkeypatch.setattr(service, "_delete_verified", change_first)


def test_one_that_was_renewed_in_between_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    renewed = put(updated_at=BEGIN - timedelta(days=1))
    put(updated_at=BEGIN)
    change = {"$set": {"updated_at": BEGIN + timedelta(days=1)}}
    changed_meanwhile(monkeypatch, lambda: named_collection(LEGACY).update_one({"_id": renewed}, change))
    report = remove()
    assert (report.deleted, report.left_alone) == (0, 1)
    assert len(keys()) == 2  # the other one is the duplicate by now; the next time finds it
    monkeypatch.undo()
    assert remove().deleted == 1
    assert keys() == {renewed}


def test_when_the_kept_one_has_gone_in_between_nothing_is_deleted(monkeypatch: pytest.MonkeyPatch) -> None:
    duplicate = put(updated_at=BEGIN)
    kept = put(updated_at=BEGIN + timedelta(days=1))
    changed_meanwhile(monkeypatch, lambda: named_collection(LEGACY).delete_one({"_id": kept}))
    assert (remove().deleted, keys()) == (0, {duplicate})


def test_when_the_kept_one_has_lost_its_figures_the_other_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    duplicate = put(updated_at=BEGIN)
    kept = put(updated_at=BEGIN + timedelta(days=1))
    emptied = {"$set": {"data": None, "is_empty": True, "updated_at": BEGIN + timedelta(days=2)}}
    changed_meanwhile(monkeypatch, lambda: named_collection(LEGACY).update_one({"_id": kept}, emptied))
    assert remove().deleted == 0
    assert keys() == {duplicate, kept}


@pytest.mark.parametrize(
    "marks",
    [{"updated_at": BEGIN}, {"updated_at": ..., "data_hash": "a"}, {"updated_at": ...}],
    ids=["date", "hash", "neither"],
)
def test_a_deletion_names_the_state_that_was_seen(marks: Document, monkeypatch: pytest.MonkeyPatch) -> None:
    """A change between the second look and the deletion itself."""
    put(data=None, **marks)
    put(**marks)
    seen = service._as_seen

    def change_after_the_look(state: Document) -> Document:
        condition = seen(state)
        for mark in ("updated_at", "data_hash"):
            if mark in marks and marks[mark] is not ...:
                named_collection(LEGACY).update_many({"data": None}, {"$set": {mark: "changed"}})
        named_collection(LEGACY).update_many({"data": None}, {"$set": {"data": {"list": [2]}}})
        return condition

    monkeypatch.setattr(service, "_as_seen", change_after_the_look)
    report = remove()
    assert (report.deleted, report.left_alone, len(keys())) == (0, 1, 2)


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

    threads = [threading.Thread(target=work) for work in (write, clean, clean)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    remove()
    left = keys()
    assert len(left) == groups
    assert set(reached) <= left
    assert documents.count_documents({"data": None}) == 0


# --- Our own records -----------------------------------------------------------------------------------


def test_our_records_are_never_duplicates_of_each_other(sample_tree: list[Node]) -> None:
    for query in (hot("202506"), hot("202506", product_id="7"), hot("2025"), trend("202501", "202506")):
        store(query)
    before = records()
    assert remove(None).duplicates == 0
    assert records() == before


def test_of_strangers_among_our_records_ours_is_kept_and_the_caches_are_told(sample_tree: list[Node]) -> None:
    store(hot("202506"))
    group = hot("202506").cache_group
    ticket = get_cache().lookup(group, "x").ticket
    put("mengla_data", updated_at=BEGIN)
    report = remove(None)
    assert (report.collection, report.deleted) == ("mengla_data", 1)
    assert keys("mengla_data") == {"hot:1001:month:202506"}
    assert get_cache().lookup(group, "x").ticket.epoch != ticket.epoch


def test_it_is_not_done_while_the_caches_may_serve_what_was_removed(
    sample_tree: list[Node], monkeypatch: pytest.MonkeyPatch
) -> None:
    store(hot("202506"))
    put("mengla_data", updated_at=BEGIN)

    def lose_redis(_client: redis.Redis) -> bool:
        raise redis.ConnectionError

    with monkeypatch.context() as without:
        without.setattr("apps.core.cache._begin_new_epoch", lose_redis)
        code, _, err = run("--apply", "--collection", "mengla_data")
    assert code == 1
    assert "Repeat the deletion" in err
    epoch = get_redis().get(EPOCH_KEY)
    assert remove(None).deleted == 0  # the removed ones stay so, and the caches are told now
    assert get_redis().get(EPOCH_KEY) != epoch


def test_a_collection_that_is_not_there() -> None:
    with pytest.raises(NotFound):
        remove("nothing")


# --- The command ---------------------------------------------------------------------------------------


def run(*arguments: str) -> tuple[int, str, str]:
    out, err = io.StringIO(), io.StringIO()
    try:
        call_command("remove_duplicates", *arguments, stdout=out, stderr=err)
    except SystemExit as ended:
        return int(ended.code or 0), out.getvalue(), err.getvalue()
    return 0, out.getvalue(), err.getvalue()


def test_the_command_only_counts_unless_told() -> None:
    put()
    put(updated_at=BEGIN + timedelta(days=1))
    code, out, err = run("--collection", LEGACY)
    assert code == 0
    assert "Dry run, nothing deleted. legacy_data: 1 duplicates in 1 groups." in out
    assert "hot" in out
    assert "Duplicates: 1" in err
    assert len(keys()) == 2


def test_the_command_deletes_with_apply(written_log: Any) -> None:
    put()
    kept = put(updated_at=BEGIN + timedelta(days=1))
    code, out, _ = run("--collection", LEGACY, "--apply", "--json")
    assert code == 0
    told = json.loads(out)
    [example] = told.pop("examples")
    assert told == {
        "collection": LEGACY,
        "applied": True,
        "groups": 1,
        "duplicates": 1,
        "deleted": 1,
        "left_alone": 0,
    }
    assert (example["catId"], example["period"], example["kept"]) == ("1001", "202506", str(kept))
    assert keys() == {kept}
    [line] = [line for line in written_log() if line["event"] == "duplicates_removed"]
    assert (line["requested_by"], line["deleted"]) == ("manage.py", 1)


def test_the_command_says_when_something_changed_meanwhile(monkeypatch: pytest.MonkeyPatch) -> None:
    changed = put()
    put(updated_at=BEGIN + timedelta(days=1))
    change = {"$set": {"updated_at": BEGIN + timedelta(days=2)}}
    changed_meanwhile(monkeypatch, lambda: named_collection(LEGACY).update_one({"_id": changed}, change))
    code, out, _ = run("--collection", LEGACY, "--apply")
    assert code == 3
    assert "left alone; run it again" in out


def test_many_groups_are_not_all_listed() -> None:
    for number in range(25):
        for _ in range(2):
            put(cat_id=str(2000 + number))
    _, out, _ = run("--collection", LEGACY)
    assert "... and 5 more groups." in out


@pytest.mark.parametrize("name", ["", "nothing", "system.views", "a\x00b", "$cmd", "x" * 500, "a\nb"])
def test_names_that_are_no_collection_are_bad_arguments(name: str) -> None:
    try:
        code, _, err = run("--collection", name)
    except CommandError as error:
        assert "--collection" in str(error)
    else:
        assert (code, bool(err)) == (2, True)
