"""The remover of duplicates: what it keeps, what it deletes, and what it leaves alone."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest
import redis
from bson import ObjectId
from bson.datetime_ms import DatetimeMS
from pymongo.errors import AutoReconnect
from rest_framework.test import APIClient

from apps.core.caching.tiers import EPOCH_KEY, get_cache
from apps.core.errors import DependencyUnavailable, NotFound
from apps.core.storage.mongo import named_collection, utc_now
from apps.core.storage.redis import get_redis
from apps.mengla.former import duplicates as service
from tests.factories.categories import Node
from tests.mengla.former.duplicate_support import BEGIN, LEGACY, ROWS, Document, keys, put, put_legacy, remove
from tests.mengla.support import hot, records, store, store_empty, trend

pytestmark = [pytest.mark.django_db, pytest.mark.mongo, pytest.mark.redis]

# What the former program kept as newer answers, and what is none.
NOTHING: tuple[Any, ...] = (
    {"hotList": {"code": 0, "data": {"list": []}}},
    {"list": []},
    {"hotList": {"code": 500, "message": "broken", "data": None}},
    "<html>502</html>",
    {"status": "failed", "resultData": ROWS},
    {"data": None},
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


@pytest.mark.parametrize("put_as", ["ours", "legacy"])
@pytest.mark.parametrize("nothing", NOTHING, ids=lambda nothing: str(nothing)[:40])
def test_an_answer_without_figures_is_nothing_however_it_is_wrapped(nothing: Any, put_as: str) -> None:
    store_it, date = (put, "updated_at") if put_as == "ours" else (put_legacy, "collected_at")
    wrapped = {"status": "completed", "resultData": {"hotList": {"code": 0, "data": ROWS}}}
    kept = store_it(data=wrapped, **{date: BEGIN - timedelta(days=300)})
    for days in range(3):
        store_it(data=nothing, **{date: BEGIN + timedelta(days=days)})
    report = remove()
    assert keys() == {kept}
    assert (report.duplicates, report.deleted, report.left_alone) == (3, 3, 0)
    assert report.examples[0]["kept"] == str(kept)
    assert report.examples[0]["duplicate"] != str(kept)


def test_a_dry_run_says_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    kept = put(updated_at=BEGIN - timedelta(days=1))
    put(data={"list": []}, updated_at=BEGIN)
    [example] = remove(is_applied=False).examples
    assert example["kept"] == str(kept)
    assert remove().examples == [example]


def test_figures_are_found_among_more_than_fit_into_a_batch(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(service, "_BATCH", 3)
    kept = []
    for cat_id in ("1", "2", "3"):
        for number in range(10):
            key = put(
                cat_id=cat_id,
                data=ROWS if number in (4, 7) else {"list": []},
                updated_at=BEGIN - timedelta(days=number),
            )
            kept += [key] if number == 4 else []
    report = remove()
    assert keys() == set(kept)
    assert (report.groups, report.duplicates, report.deleted, report.left_alone) == (3, 27, 27, 0)


def test_keys_of_any_type() -> None:
    put(_id={"odd": [1]})
    kept = put(_id={"odd": [2]}, updated_at=BEGIN + timedelta(days=1))
    remove()
    assert list(named_collection(LEGACY).find({}, {"_id": 1})) == [{"_id": kept}]


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
        {"action": "another"},
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


def ask_for_june(admin: APIClient) -> Any:
    parameters = {"action": "hot", "primaryCatId": "1001", "timest": "2025-06", "refresh": "false"}
    return admin.get("/api/mengla", parameters)


def remove_over_http(admin: APIClient) -> Document:
    answer = admin.post("/api/admin/duplicates/remove", {"apply": True})
    assert answer.status_code == 200, answer.content
    data: Document = answer.json()["data"]
    return data


def test_readers_keep_what_they_can_find_however_new_a_strangers_is(
    admin: APIClient, sample_tree: list[Node]
) -> None:
    store(hot("202506"))
    before = ask_for_june(admin).json()["data"]
    put("mengla_data", updated_at=utc_now() + timedelta(days=1))
    assert remove_over_http(admin)["deleted"] == 1
    assert keys("mengla_data") == {"hot:1001:month:202506"}
    answer = ask_for_june(admin)
    assert (answer.status_code, answer.json()["data"]) == (200, before)


def test_a_strangers_figures_go_before_nothing_of_ours(admin: APIClient, sample_tree: list[Node]) -> None:
    store_empty(hot("202506"))
    kept = put("mengla_data", updated_at=BEGIN - timedelta(days=900))
    assert remove_over_http(admin)["deleted"] == 1
    assert keys("mengla_data") == {kept}


@pytest.mark.parametrize("failure", [AutoReconnect, KeyboardInterrupt])
def test_stopped_half_way_the_caches_are_told_all_the_same(
    failure: type[BaseException], monkeypatch: pytest.MonkeyPatch, written_log: Any, sample_tree: list[Node]
) -> None:
    for period in ("202505", "202506"):
        store(hot(period))
        put("mengla_data", period_key=period)
    group = hot("202506").cache_group
    before = get_cache().lookup(group, "x").ticket

    def stop(_found: int) -> None:
        raise failure

    monkeypatch.setattr(service, "_BATCH", 1)
    with pytest.raises(failure):
        remove(None, on_progress=stop)
    assert len(keys("mengla_data")) == 3
    assert get_cache().lookup(group, "x").ticket.epoch != before.epoch
    [line] = [line for line in written_log() if line["event"] == "duplicates_removed"]
    assert line["deleted"] == 1


def test_it_is_not_done_while_the_caches_may_serve_what_was_removed(
    sample_tree: list[Node], monkeypatch: pytest.MonkeyPatch
) -> None:
    store(hot("202506"))
    put("mengla_data", updated_at=BEGIN)

    def lose_redis(_client: redis.Redis) -> bool:
        raise redis.ConnectionError

    with monkeypatch.context() as without:
        without.setattr("apps.core.caching.tiers._begin_new_epoch", lose_redis)
        with pytest.raises(DependencyUnavailable, match="Repeat the deletion"):
            remove(None)
    epoch = get_redis().get(EPOCH_KEY)
    assert remove(None).deleted == 0  # the removed ones stay so, and the caches are notified now
    assert get_redis().get(EPOCH_KEY) != epoch


def test_a_collection_that_is_not_there() -> None:
    with pytest.raises(NotFound):
        remove("nothing")
