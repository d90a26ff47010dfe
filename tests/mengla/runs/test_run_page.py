"""The page of a run: all its collections with filters, and the list of collections of one run."""

from __future__ import annotations

import html
import re
from datetime import timedelta

import pytest
from bson import ObjectId
from django.test import Client
from rest_framework.test import APIClient

from apps.core.periods import parse_period
from apps.core.storage.mongo import collection_of, utc_now
from apps.mengla.choices import CollectionError
from apps.mengla.models import Collection
from apps.mengla.runs import collect
from apps.mengla.runs.collect import Order, Selection, period_plan
from tests.mengla.commands.support import run
from tests.mengla.runs.support import collections_of, end_all, end_next, plan_now
from tests.mengla.support import enqueue, hot

pytestmark = [
    pytest.mark.django_db,
    pytest.mark.mongo,
    pytest.mark.redis,
    pytest.mark.usefixtures("sample_tree"),
]
RUNS, COLLECTIONS = "/admin/sync_tasks/synctask/", "/admin/mengla/collection/"


def start(period: str = "202505") -> str:
    plan = period_plan(parse_period(period), selection=Selection(cat_ids=("1001", "2001")))
    run_id = collect.start(plan, Order("tests")).run_id
    plan_now(run_id)
    return run_id


def page(site: Client, run_id: str, **query: str) -> str:
    response = site.get(f"{RUNS}{run_id}/change/", query)
    assert response.status_code == 200
    return html.unescape(" ".join(response.content.decode().split()))


def rows(text: str) -> list[str]:
    """The rows of the table of collections, without tags."""
    table = text[text.index('data-piece="collections"') :]
    table = table[: table.index("</table>")] if "<table" in table[:400] else ""
    found = [re.sub(r"<[^>]+>", " ", row) for row in re.findall(r"<tr>(.*?)</tr>", table)]
    return [" ".join(row.split()) for row in found[1:]]


def test_every_collection_is_in_the_grid_and_filters_find_each_kind(site: Client) -> None:
    run_id = start()
    total = len(collections_of(run_id))
    assert total == 10
    end_next(error=CollectionError.REJECTED)
    end_next()
    text = page(site, run_id)
    assert len(rows(text)) == total
    assert "2025-05" in rows(text)[0]
    assert "类目1001" in text or "类目2001" in text
    (failed,) = rows(page(site, run_id, status="FAILED"))
    assert "✕ Failed" in failed
    assert "The collection service rejected the request (4xx)" in failed
    assert len(rows(page(site, run_id, status="PENDING"))) == total - 2
    assert rows(page(site, run_id, reason="rejected")) == [failed]
    assert rows(page(site, run_id, reason="timeout")) == []
    assert len(rows(page(site, run_id, action="hot"))) == 2
    assert len(rows(page(site, run_id, category="1001"))) == 5
    assert len(rows(page(site, run_id, category="类目1001"))) == 5
    assert len(rows(page(site, run_id, category="1001", action="hot"))) == 1
    assert "No collections match the filters." in page(site, run_id, category="nothing like it")
    # An unknown value selects nothing, and says so: all collections would be taken for those of the link.
    for name, title in (
        ("status", "Status"),
        ("action", "Data set"),
        ("reason", "Reason"),
        ("after", "After"),
    ):
        text = page(site, run_id, **{name: "$ne"})
        assert f"The filter “{title}” has no value “$ne”." in text
        assert rows(text) == []


def test_the_grid_is_paged_in_both_directions(site: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("apps.mengla.admin.run_grid.PAGE_SIZE", 4)
    run_id = start()
    ids = [str(one["_id"]) for one in collections_of(run_id)]

    def shown(**query: str) -> list[str]:
        return [row.split()[-1] for row in rows(page(site, run_id, **query))]

    assert shown() == ids[:4]
    assert shown(after=ids[3]) == ids[4:8]
    assert shown(after=ids[7]) == ids[8:]
    assert shown(before=ids[8]) == ids[4:8]
    assert "Next page" not in page(site, run_id, after=ids[7])
    assert "Previous page" not in page(site, run_id)


def test_the_live_pieces_follow_the_filters(site: Client) -> None:
    run_id = start()
    end_next(error=CollectionError.REJECTED)
    query = {"ids": run_id, "pieces": "yes", "status": "FAILED"}
    (told,) = site.get(f"{RUNS}live/", query).json()["runs"]
    assert told["pieces"]["collections"].count("<tr>") == 2
    assert ">9</a>" in told["pieces"]["kinds"]


def test_failures_name_the_category_and_lead_to_the_grid(site: Client) -> None:
    run_id = start()
    end_all(failing=2)
    text = page(site, run_id)
    assert "?reason=execution_failed#collections" in text
    assert '<dd data-field="status">Completed with failures</dd>' in text
    assert re.search(r"类目\d+ <small>\d+</small>", text)


def test_the_timeline_has_the_durations_as_a_table(site: Client) -> None:
    run_id = start()
    end_all(failing=1)
    text = page(site, run_id)
    assert "How long collections took" in text
    assert 'id="charts"' in text


def test_the_list_of_collections_is_filtered_by_run(site: Client) -> None:
    run_id = start()
    end_next(error=CollectionError.REJECTED)
    enqueue(hot("202401"))

    def count(**query: str) -> int:
        response = site.get(COLLECTIONS, query)
        assert response.status_code == 200
        return len(response.context["cl"].result_list)

    assert count() == 11
    assert count(run=run_id) == count(run=run_id.upper()) == 10
    assert count(run=run_id, action="hot") == 2
    assert count(run=run_id, status="FAILED", priority="10") == count(run=run_id, error_code="rejected") == 1
    assert count(run=str(ObjectId())) == 0
    assert site.get(COLLECTIONS, {"run": "no id"}).status_code == 400
    assert f"?run={run_id}" in page(site, run_id)


def test_the_outcome_is_told_everywhere(site: Client, admin: APIClient) -> None:
    run_id = start()
    end_all(failing=2)

    def listed(outcome: str) -> list[str]:
        answer = admin.get("/api/sync-tasks", {"outcome": outcome}).json()["data"]["tasks"]
        assert all(one["outcome"] == outcome for one in answer)
        pages = site.get(RUNS, {"outcome": outcome}).context["cl"].result_list
        assert [str(one.pk) for one in pages] == [one["id"] for one in answer]
        told = run("sync_tasks", "list", "--outcome", outcome, "--json").result["tasks"]
        assert [one["id"] for one in told] == [one["id"] for one in answer]
        return [one["id"] for one in answer]

    assert run_id in listed("completed_with_failures")
    assert run_id not in listed("completed")
    assert listed("running") == listed("failed") == listed("cancelled") == []
    assert admin.get(f"/api/sync-tasks/{run_id}").json()["data"]["outcome"] == "completed_with_failures"
    assert "Completed with failures" in run("sync_tasks", "show", run_id).out
    assert admin.get("/api/sync-tasks", {"outcome": "COMPLETED"}).status_code == 400


def test_time_left_says_what_it_rests_on(site: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("obstacle_of_runs", "waiting_of_run"):
        monkeypatch.setattr(f"apps.mengla.dispatch.waiting.{name}", lambda *_: None)
    run_id = start()
    assert "before the first collection has ended" in page(site, run_id)
    for _ in range(4):
        end_next()
    collection_of(Collection).update_many(
        {"run_ids": run_id, "status": "SUCCEEDED"},
        {"$set": {"dispatched_at": utc_now() - timedelta(seconds=20)}},
    )
    assert re.search(r"about \d+ s left, from the last 4 collections", page(site, run_id))


def test_the_message_of_a_failure_is_beside_its_reason_and_escaped(site: Client) -> None:
    run_id = start()
    end_next(error=CollectionError.REJECTED)
    failed = next(one for one in collections_of(run_id) if one["status"] == "FAILED")
    message = "<b>refused</b> " + "x" * 200
    parts = {"error_message": message, "error_message_parts": None}
    collection_of(Collection).update_one({"_id": failed["_id"]}, {"$set": parts})
    shown = site.get(f"{RUNS}{run_id}/change/", {"status": "FAILED"}).content.decode()
    assert "&lt;b&gt;refused&lt;/b&gt;" in shown
    assert "<b>refused" not in shown
    heads = re.findall(r'<th scope="col">([^<]+)</th>', shown)
    assert {"Data set", "Category", "Period"} <= set(heads)
    assert [head for head in heads if head[0].islower()] == []


def test_the_states_have_one_name_on_all_pages(site: Client) -> None:
    enqueue(hot("202501"))
    for path in (COLLECTIONS, RUNS, "/admin/", "/admin/operations/"):
        english = site.get(path).content.decode()
        assert not re.search(r">\s*(Pending|Dispatched|Waiting)\s*<", english), path
        chinese = site.get(path, headers={"Accept-Language": "zh-hans"}).content.decode()
        assert "等待中" not in chinese, path
    assert "Queued" in site.get(COLLECTIONS).content.decode()


def test_on_a_phone_a_collection_shows_its_main_fields_only(site: Client) -> None:
    assert "mengla/collections.css" in site.get(COLLECTIONS).content.decode()
