"""A run of any size: planned in the memory of one batch, and looked at without reading its collections."""

from __future__ import annotations

import tracemalloc
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from rest_framework.test import APIClient

from apps.core.periods import parse_period
from apps.core.storage.mongo import collection_of
from apps.mengla.choices import Action
from apps.mengla.models import Collection
from apps.mengla.runs import planning
from apps.mengla.runs.collect import Order, Selection, backfill_plan, start
from apps.sync_tasks.selectors import MAX_LISTED_FAILURES
from tests.factories.categories import Node
from tests.mengla.support import enqueue, hot

pytestmark = [pytest.mark.django_db, pytest.mark.mongo, pytest.mark.redis]


@pytest.fixture(autouse=True)
def _tree(sample_tree: list[Node]) -> None:
    """Two level-1 categories: 1000 and 2000."""


def start_days(count: int) -> str:
    """Start a backfill of so many days of the best sellers of two categories; returns the run's id."""
    end = parse_period("20241231")
    selection = Selection(actions=(Action.HOT,))
    return start(backfill_plan(end.shift(1 - count), end, selection=selection), Order("tests")).run_id


def peak_of_planning(day_count: int) -> int:
    """Return how many bytes the planning of a new run needed at most."""
    run_id = start_days(day_count)
    tracemalloc.start()
    try:
        assert planning.plan_run(run_id) == 2 * day_count
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
        collection_of(Collection).delete_many({})
        planning.runs.cancel_run(run_id=run_id, cancelled_by="tests")


def test_planning_needs_the_memory_of_a_batch_whatever_the_size(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(planning, "_BATCH_QUERIES", 50)
    peak_of_planning(50)  # whatever is imported and cached once
    small, large = peak_of_planning(50), peak_of_planning(1000)
    assert large < 2 * small


@contextmanager
def profiled() -> Iterator[list[dict[str, Any]]]:
    """Have MongoDB write down what it does for the collections of runs within the block."""
    database = collection_of(Collection).database
    database.command("profile", 0)
    database["system.profile"].drop()
    noted: list[dict[str, Any]] = []
    database.command("profile", 2)
    try:
        yield noted
    finally:
        database.command("profile", 0)
        name = collection_of(Collection).full_name
        noted += database["system.profile"].find({"ns": name})
        database["system.profile"].drop()


def test_planning_inserts_what_is_new_and_updates_only_what_is_under_way() -> None:
    for day in ("20241230", "20241231"):
        enqueue(hot(day, cat_id="2000"))
    run_id = start_days(100)
    with profiled() as noted:
        assert planning.plan_run(run_id) == 200
    assert sum(one.get("ninserted", 0) for one in noted) == 198
    assert sum(one["op"] == "update" for one in noted) == 2
    assert collection_of(Collection).count_documents({"run_ids": run_id}) == 200
    assert all("COLLSCAN" not in one.get("planSummary", "") for one in noted)


@pytest.mark.parametrize("path", ["/api/sync-tasks/{}", "/api/sync-tasks/today", "/api/sync-tasks"])
def test_a_look_at_a_run_reads_hardly_any_of_its_collections(path: str, admin: APIClient) -> None:
    run_id = start_days(1000)
    planning.plan_run(run_id)
    for status, since in (("SUCCEEDED", "20240922"), ("FAILED", "20230819")):
        collection_of(Collection).update_many({"start_key": {"$lte": since}}, {"$set": {"status": status}})
    with profiled() as noted:
        answer = admin.get(path.format(run_id))
    data = answer.json()["data"]
    progress = (data["tasks"][0] if "tasks" in data else data)["progress"]
    assert (progress["total"], progress["completed"], progress["failed"]) == (2000, 800, 1000)
    assert noted
    # The page of one run also reads the first of those that wait.
    assert sum(one.get("docsExamined", 0) for one in noted) <= MAX_LISTED_FAILURES + 1
    assert all("COLLSCAN" not in one.get("planSummary", "") for one in noted)
