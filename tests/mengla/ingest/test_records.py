"""Storing answers: one record per period, figures never lost to an empty answer, nothing odd breaks it."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from typing import Any

import pytest

from apps.core.storage.mongo import utc_now
from apps.mengla.choices import EmptyReason
from apps.mengla.ingest.records import Answer, Provenance, store_answers
from apps.mengla.queries.data_query import DataQuery
from apps.mengla.upstream.payloads import UnstorablePayload, data_hash
from tests.mengla.support import hot, records, trend

pytestmark = [pytest.mark.django_db, pytest.mark.mongo]
NOW = utc_now()
ROWS = {"list": [{"catName": "Кухня", "monthSales": 5}]}
RUN = "0123456789abcdef01234567"


def provenance(
    at: datetime = NOW,
    *,
    collection_id: str = "c1",
    run_ids: list[str] | None = None,
    has_reader: bool = False,
) -> Provenance:
    return Provenance(
        collection_id=collection_id,
        run_ids=run_ids or [],
        has_reader=has_reader,
        collected_at=at,
        duration_ms=1234,
    )


def put(query: DataQuery, data: Any, at: datetime = NOW, **facts: Any) -> None:
    store_answers(query, [Answer(query.start, data)], provenance(at, **facts))


def put_empty(query: DataQuery, at: datetime = NOW, **facts: Any) -> None:
    store_answers(query, [Answer(query.start, None, EmptyReason.EMPTY_LIST)], provenance(at, **facts))


def the_record() -> dict[str, Any]:
    (record,) = records().values()
    return record


def test_a_record_says_what_it_is_and_where_it_came_from(settings: Any) -> None:
    settings.TTL_MONTH_SECONDS = 100
    settings.RETENTION_MONTH_DAYS = 90
    query = hot(product_id="p")
    put(query, ROWS, run_ids=[RUN])
    assert the_record() == {
        "_id": query.identity,
        "action": "hot",
        "cat_id": "1001",
        "granularity": "month",
        "period_key": "202506",
        "variant": query.variant,
        "data": ROWS,
        "data_hash": data_hash(ROWS),
        "is_empty": False,
        "empty_reason": "",
        "collected_at": NOW,
        "fresh_until": NOW + timedelta(seconds=100),
        "expired_at": NOW + timedelta(days=90),
        "collect_duration_ms": 1234,
        "collection_id": "c1",
        "run_ids": [RUN],
        "has_reader": False,
        "created_at": NOW,
        "updated_at": NOW,
    }


@pytest.mark.parametrize(
    ("start", "fresh", "kept"),
    [
        ("20250601", timedelta(hours=4), timedelta(days=30)),
        ("202506", timedelta(hours=24), timedelta(days=90)),
        ("2025Q2", timedelta(days=7), timedelta(days=365)),
        ("2025", timedelta(days=30), timedelta(days=730)),
    ],
)
def test_freshness_and_retention_go_by_granularity(start: str, fresh: timedelta, kept: timedelta) -> None:
    put(hot(start), ROWS)
    record = the_record()
    assert record["fresh_until"] - NOW == fresh
    assert record["expired_at"] - NOW == kept


def test_a_trend_has_one_record_per_point() -> None:
    query = trend("202501", "202503")
    store_answers(query, [Answer(period, {"n": period.key}) for period in query.periods], provenance())
    assert {key: record["data"] for key, record in records().items()} == {
        f"industryTrendRange:1001:month:{key}": {"n": key} for key in ("202501", "202502", "202503")
    }


def test_newer_figures_replace_older_ones() -> None:
    put(hot(), {"list": [1]}, run_ids=[RUN])
    put(hot(), {"list": [2]}, NOW + timedelta(hours=1), collection_id="c2", run_ids=["other"])
    record = the_record()
    assert record["data"] == {"list": [2]}
    assert record["collection_id"] == "c2"
    assert record["run_ids"] == ["other"]  # whose data it is now
    assert (record["created_at"], record["updated_at"]) == (NOW, NOW + timedelta(hours=1))


def test_what_a_reader_has_asked_for_once_stays_a_readers() -> None:
    put(hot(), {"list": [1]}, has_reader=True)
    put(hot(), {"list": [2]}, NOW + timedelta(hours=1), run_ids=[RUN])
    assert (the_record()["run_ids"], the_record()["has_reader"]) == ([RUN], True)
    put_empty(hot("202507"), run_ids=[RUN])
    put_empty(hot("202507"), NOW + timedelta(hours=1), has_reader=True)
    assert records()[hot("202507").identity]["has_reader"] is True


def test_repeating_it_changes_nothing() -> None:
    put(hot(), ROWS)
    before = records()
    put(hot(), ROWS)
    assert records() == before


def test_an_empty_answer_is_kept_with_its_reason_and_soon_asked_again(settings: Any) -> None:
    settings.EMPTY_TTL_SECONDS = 600
    put_empty(hot())
    record = the_record()
    assert (record["data"], record["is_empty"], record["empty_reason"]) == (None, True, "empty_list")
    assert record["data_hash"] == ""
    assert record["fresh_until"] == NOW + timedelta(seconds=600)


def test_an_empty_answer_never_replaces_figures(settings: Any) -> None:
    settings.EMPTY_TTL_SECONDS = 600
    put(hot(), ROWS, NOW - timedelta(days=2))  # stale by now
    before = the_record()
    put_empty(hot(), collection_id="c2")
    assert the_record() == before | {"fresh_until": NOW + timedelta(seconds=600), "renewed_at": NOW}


def test_an_empty_answer_does_not_shorten_the_freshness_of_figures() -> None:
    put(hot(), ROWS)
    before = the_record()
    put_empty(hot())
    assert the_record() == before


def test_an_empty_answer_renews_an_empty_one() -> None:
    put_empty(hot())
    put_empty(hot(), NOW + timedelta(hours=1), collection_id="c2")
    record = the_record()
    assert (record["collection_id"], record["collected_at"]) == ("c2", NOW + timedelta(hours=1))
    assert record["created_at"] == NOW


def test_figures_replace_an_empty_answer() -> None:
    put_empty(hot())
    put(hot(), ROWS)
    record = the_record()
    assert (record["data"], record["is_empty"], record["empty_reason"]) == (ROWS, False, "")


def test_a_trend_with_holes_keeps_the_figures_it_had() -> None:
    query = trend("202501", "202502")
    store_answers(query, [Answer(period, {"n": 1}) for period in query.periods], provenance())
    store_answers(
        query,
        [Answer(query.start, {"n": 2}), Answer(query.end, None, EmptyReason.MISSING_POINT)],
        provenance(NOW + timedelta(hours=1)),
    )
    assert [record["data"] for record in records().values()] == [{"n": 2}, {"n": 1}]


def test_many_first_writers_at_once() -> None:
    query = trend("20250101", "20250131")
    answers = [Answer(period, {"n": period.key}) for period in query.periods]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda _: store_answers(query, answers, provenance()), range(8)))
    assert len(records()) == 31


def test_a_year_of_days_is_stored() -> None:
    query = trend("20230101", "20250701")
    store_answers(query, [Answer(period, {"n": 1}) for period in query.periods], provenance())
    assert len(records()) == query.period_count


@pytest.mark.parametrize(
    "data",
    [
        {"list": [{"$where": 1, "a.b": 2, "": 3}]},
        {"list": [{"n": 2**63 - 1, "x": -(2**63), "f": 1e308, "t": "\x00"}]},
        {"list": [{"deep": [[[[[[[[[[1]]]]]]]]]]}]},
    ],
)
def test_odd_data_is_kept_as_it_is(data: Any) -> None:
    put(hot(), data)
    assert the_record()["data"] == data


@pytest.mark.parametrize(
    "data",
    [
        {"list": [{"n": 2**63}]},
        {"list": [{"n": 2**70}]},
        {"list": [{"a\x00b": 1}]},
        {"list": [{"t": "\ud800"}]},
        {"list": [{"t": "x" * (17 * 1024 * 1024)}]},
        {1: 2, "x": {1, 2}},
    ],
    ids=["int64", "int70", "NUL", "surrogate", "17 MB", "no JSON"],
)
def test_what_cannot_be_stored_is_refused_and_harms_nothing(data: Any) -> None:
    put(hot(), ROWS)
    before = records()
    with pytest.raises(UnstorablePayload):
        put(hot(), data)
    assert records() == before


@pytest.mark.parametrize("depth", [250, 300, 5000])
def test_what_is_nested_too_deep_is_refused(depth: int) -> None:
    value: list[Any] = []
    for _ in range(depth):
        value = [value]
    with pytest.raises(UnstorablePayload):
        put(hot(), {"list": value})
    assert records() == {}


def test_what_would_come_back_as_a_reference_of_the_database_is_refused() -> None:
    with pytest.raises(UnstorablePayload):
        put(hot(), {"list": [{"$ref": "auth_user", "$id": 1}]})
    put(hot(), {"list": [{"text": 'only says "$ref": here', "$id": 1}]})
    assert the_record()["data"]["list"][0]["$id"] == 1


def test_one_bad_point_does_not_hide_behind_a_good_one() -> None:
    query = trend("202501", "202502")
    with pytest.raises(UnstorablePayload):
        store_answers(query, [Answer(query.start, {"n": 1}), Answer(query.end, {"n": 2**70})], provenance())
    assert records() == {}
