"""Records and collections in the Django admin."""

from __future__ import annotations

import html
import json

import pytest
from django.contrib.admin.models import LogEntry
from django.test import Client

from apps.core.storage.mongo import collection_of
from apps.mengla.admin.figures import figures_of as shown_figures
from apps.mengla.choices import CollectionError
from apps.mengla.models import Collection, Record
from apps.mengla.queue import refusals
from apps.mengla.words import NO_SUCH_TASK
from tests.factories import UNKNOWN_ID
from tests.mengla.support import (
    begin_attempt,
    claim,
    collections,
    enqueue,
    figures_of,
    hot,
    records,
    statuses,
    store,
    store_empty,
    trend,
)

pytestmark = [
    pytest.mark.django_db,
    pytest.mark.mongo,
    pytest.mark.redis,
    pytest.mark.usefixtures("sample_tree"),
]
RECORDS = "/admin/mengla/record/"
COLLECTIONS = "/admin/mengla/collection/"


def text(client: Client, path: str, **query: str) -> str:
    answer = client.get(path, query)
    assert answer.status_code == 200, answer.content
    return html.unescape(" ".join(answer.content.decode().split()))


def results(client: Client, path: str, **query: str) -> list[str]:
    answer = client.get(path, query)
    assert answer.status_code == 200
    return [str(row) for row in answer.context["cl"].result_list]


# --- Records --------------------------------------------------------------------------------------


def test_a_record_is_shown_as_tables_and_as_folded_json(site: Client) -> None:
    store(hot())
    (key,) = records()
    page = text(site, f"{RECORDS}{key}/change/")
    rows = figures_of(hot())["list"]
    assert f">{rows[0]['catNameCn']}<" in page
    assert f">{rows[0]['monthSales']:,}<" in page
    assert '<th scope="col" class="collector-num">Sales<' in page
    folded = page[page.index("<details>") : page.index("</details>")]
    assert f'"monthSales": {json.dumps(rows[0]["monthSales"])}' in folded
    assert ">类目1000 › 类目1001 (1001)<" in page


def test_records_are_filtered_and_found(site: Client) -> None:
    store(hot())
    store_empty(hot(cat_id="2001"))
    store(trend("202501", "202503"))
    hot_key, empty_key = sorted(key for key in records() if key.startswith("hot"))
    trend_keys = {key for key in records() if not key.startswith("hot")}
    assert set(results(site, RECORDS)) == {hot_key, empty_key} | trend_keys
    assert results(site, RECORDS, is_empty="True") == [empty_key]
    assert set(results(site, RECORDS, action="industryTrendRange")) == trend_keys
    assert results(site, RECORDS, granularity="day") == []
    assert results(site, RECORDS, q="2001") == [empty_key]
    assert results(site, RECORDS, q=hot_key) == [hot_key]
    assert set(results(site, RECORDS, q="hot:")) == {hot_key, empty_key}
    assert results(site, RECORDS, q="hot:.*") == results(site, RECORDS, q="hot:(") == []


def test_records_cannot_be_changed(site: Client) -> None:
    store(hot())
    (key,) = records()
    before = records()
    assert site.get(f"{RECORDS}add/").status_code == 403
    assert site.post(f"{RECORDS}{key}/change/", {"is_empty": "on"}).status_code == 403
    assert site.post(f"{RECORDS}{key}/delete/", {"post": "yes"}).status_code == 403
    assert records() == before


def test_what_figures_hold_is_never_run(site: Client) -> None:
    store(hot(), {"hotList": {"code": 0, "data": {"list": [{"<b>x": "<script>alert(1)</script>"}]}}})
    (key,) = records()
    page = site.get(f"{RECORDS}{key}/change/").content.decode()
    assert "<script>alert" not in page
    assert "<b>x" not in page


@pytest.mark.parametrize("action", ["hot", "industryViewV2", "industryTrendRange"])
@pytest.mark.parametrize(
    "data",
    [None, [], {}, [{"a": 1}, {"b": None}], {"list": [{"a": 1}], "code": 0}, [1, "two"], "text", [[]], True],
)
def test_figures_of_any_shape_are_shown(action: str, data: object) -> None:
    record = Record(action=action, cat_id="1001", granularity="month", period_key="202506", data=data)
    assert "<details><summary>JSON</summary>" in shown_figures(record)


def test_names_of_figures_do_not_repeat_their_parents() -> None:
    data = {"list": [{"catNameCn": "厨房>锅具", "monthSales": 5}]}
    record = Record(action="hot", cat_id="1001", granularity="month", period_key="202506", data=data)
    assert '<td title="厨房&gt;锅具">锅具</td>' in shown_figures(record)


def test_a_long_list_is_cut_and_says_so() -> None:
    data = {"list": [{"monthSales": number} for number in range(500)]}
    record = Record(action="hot", cat_id="1001", granularity="month", period_key="202506", data=data)
    shown = shown_figures(record)
    assert shown.count("<tr>") == 201
    assert "There are more rows" in shown


# --- The lists are fast ---------------------------------------------------------------------------


@pytest.mark.parametrize("query", [{}, {"action": "hot"}, {"is_empty": "True"}, {"granularity": "month"}])
def test_a_page_of_records_reads_little_more_than_it_shows(site: Client, query: dict[str, str]) -> None:
    store(hot())
    (document,) = collection_of(Record).find()
    copies = [
        document | {"_id": f"hot:1001:month:202506:{number}", "is_empty": True} for number in range(300)
    ]
    collection_of(Record).insert_many(copies)
    database = collection_of(Record).database
    database.command("profile", 2)
    try:
        assert len(results(site, RECORDS, **query)) == 50
    finally:
        database.command("profile", 0)
    asked = list(database["system.profile"].find({"ns": f"{database.name}.mengla_data"}))
    database["system.profile"].drop()
    assert asked
    assert max(one.get("docsExamined", 0) for one in asked) <= 51
    assert not any(one.get("hasSortStage") for one in asked)


def test_lists_are_paged_without_a_count(site: Client) -> None:
    for number in range(60):
        enqueue(hot(cat_id=str(5000 + number)))
    first = text(site, COLLECTIONS)
    assert 'rel="next"' in first
    assert 'rel="prev"' not in first
    second = text(site, COLLECTIONS, p="2")
    assert 'rel="next"' not in second
    assert 'rel="prev"' in second
    shown = results(site, COLLECTIONS) + results(site, COLLECTIONS, p="2")
    assert shown == [one["identity"] for one in reversed(collections())]


# --- Collections ----------------------------------------------------------------------------------


def test_collections_show_their_state_attempts_and_reason(site: Client) -> None:
    attempt = begin_attempt(hot())
    collection_of(Collection).update_one(
        {"_id": attempt["_id"]}, {"$set": {"error_code": "timeout", "error_message": "<i>late</i>"}}
    )
    for path in (COLLECTIONS, f"{COLLECTIONS}{attempt['_id']}/change/"):
        answer = site.get(path)
        page = answer.content.decode()
        assert "In flight" in page
        assert "No answer came in time" in page
        assert attempt["attempt_token"] not in page
        assert "<i>late" not in page


def test_a_failure_is_shown_in_the_readers_language(site: Client) -> None:
    attempt = begin_attempt(hot())
    refusals.put_back(
        attempt["_id"],
        attempt_token=attempt["attempt_token"],
        error=CollectionError.UNKNOWN_TASK,
        message=NO_SUCH_TASK(name="<i>" * 500),
    )
    page = site.get(f"{COLLECTIONS}{attempt['_id']}/change/").content.decode()
    assert "The collection service has no task named &#x27;&lt;i&gt;" in page
    site.defaults["HTTP_ACCEPT_LANGUAGE"] = "zh-CN"
    page = site.get(f"{COLLECTIONS}{attempt['_id']}/change/").content.decode()
    assert "采集服务没有名为 &#x27;&lt;i&gt;" in page
    assert "<i><i>" not in page


def test_a_failure_of_an_older_release_is_shown_as_its_text(site: Client) -> None:
    attempt = begin_attempt(hot())
    collection_of(Collection).update_one(
        {"_id": attempt["_id"]},
        {"$set": {"error_message": "No answer came in time."}, "$unset": {"error_message_parts": 1}},
    )
    site.defaults["HTTP_ACCEPT_LANGUAGE"] = "zh-CN"
    assert "No answer came in time." in text(site, f"{COLLECTIONS}{attempt['_id']}/change/")
    assert Collection.objects.get(pk=attempt["_id"]).error_message_parts is None


def test_collections_are_filtered_and_found(site: Client) -> None:
    store(hot())
    waiting = enqueue(hot(cat_id="2001"))
    collection_of(Collection).update_one({"cat_id": "1001"}, {"$set": {"execution_id": "run-7"}})
    identity = {one["cat_id"]: one["identity"] for one in collections()}
    assert results(site, COLLECTIONS, status="PENDING") == [identity["2001"]]
    assert results(site, COLLECTIONS, status="SUCCEEDED", action="hot") == [identity["1001"]]
    assert results(site, COLLECTIONS, error_code="timeout") == []
    assert results(site, COLLECTIONS, q=str(waiting)) == [identity["2001"]]
    assert results(site, COLLECTIONS, q="run-7") == [identity["1001"]]
    assert results(site, COLLECTIONS, q=identity["1001"]) == [identity["1001"]]
    assert results(site, COLLECTIONS, q="nothing") == []


def test_a_waiting_collection_is_cancelled(site: Client) -> None:
    waiting = enqueue(hot())
    operation = f"{COLLECTIONS}{waiting}/operation/cancel/"
    assert operation in text(site, f"{COLLECTIONS}{waiting}/change/")
    assert "Cancel Best sellers, 类目1000 › 类目1001, 2025-06?" in text(site, operation)
    assert statuses() == ["PENDING"]
    site.post(operation)
    assert statuses() == ["CANCELLED"]
    entry = LogEntry.objects.get()
    assert (entry.user.get_username(), entry.object_id) == ("chief", str(waiting))


def test_what_is_under_way_cannot_be_cancelled(site: Client) -> None:
    attempt = begin_attempt(hot())
    page = site.post(f"{COLLECTIONS}{attempt['_id']}/operation/cancel/", follow=True).content.decode()
    assert "Only a queued collection can be cancelled." in page
    assert statuses() == ["DISPATCHED"]
    assert not LogEntry.objects.exists()


def test_empty_and_cancelled_collections_are_retried_together(site: Client) -> None:
    empty = store_empty(hot())["_id"]
    running = begin_attempt(hot(cat_id="2001"))["_id"]
    form = {"action": "retry", "_selected_action": [str(empty), str(running)]}
    assert (
        "Retry Best sellers, 类目1000 › 类目1001, 2025-06?" in site.post(COLLECTIONS, form).content.decode()
    )
    assert len(collections()) == 2
    page = site.post(COLLECTIONS, form | {"confirmed": "yes"}, follow=True).content.decode()
    assert "done for 1 row" in page
    assert "1 row was skipped" in page
    again = claim()
    assert (again["cat_id"], again["requested_by"], again["is_forced"]) == ("1001", "chief", True)


def test_who_may_only_look_changes_no_collection(looker: Client) -> None:
    waiting = enqueue(hot())
    assert "operation/" not in text(looker, f"{COLLECTIONS}{waiting}/change/")
    for slug in ("cancel", "retry", "nonsense"):
        assert looker.get(f"{COLLECTIONS}{waiting}/operation/{slug}/").status_code == 403
        assert looker.post(f"{COLLECTIONS}{waiting}/operation/{slug}/").status_code == 403
    form = {"action": "cancel", "_selected_action": [str(waiting)], "confirmed": "yes"}
    looker.post(COLLECTIONS, form)
    assert statuses() == ["PENDING"]


@pytest.mark.parametrize("key", [UNKNOWN_ID, "x", "%00", "..", "a" * 3000])
def test_operations_on_nothing_are_not_found(site: Client, key: str) -> None:
    assert site.post(f"{COLLECTIONS}{key}/operation/cancel/").status_code == 404
