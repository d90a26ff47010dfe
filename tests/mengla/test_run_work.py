"""What operators do with runs: progress, failures, retry, cancel, delete with exactly its own data."""

from __future__ import annotations

import pytest
from rest_framework.test import APIClient

from apps.core.mongo import collection_of
from apps.core.periods import parse_period
from apps.mengla.choices import Action, CollectionStatus, Priority
from apps.mengla.data_query import DataQuery
from apps.mengla.models import Collection, Record
from apps.mengla.services import queue
from apps.mengla.services.collect import Order, Selection, run_period_collect
from apps.mengla.services.query import Hit, read
from apps.mengla.services.upkeep import run_tick
from apps.sync_tasks.choices import RunStatus
from apps.sync_tasks.models import SyncTask
from tests.factories.categories import Node
from tests.mengla.run_support import collections_of, end_all, end_next, plan_now, run_document, store

pytestmark = [pytest.mark.django_db, pytest.mark.mongo, pytest.mark.redis]
JUNE = parse_period("202506")
HOT_JUNE = DataQuery(Action.HOT, "1000", JUNE, JUNE)
RANKINGS = Selection(actions=(Action.HIGH, Action.HOT, Action.CHANCE))  # six collections with two categories


@pytest.fixture(autouse=True)
def _tree(sample_tree: list[Node]) -> None:
    """Two level-1 categories: 1000 and 2000."""


@pytest.fixture
def run_id() -> str:
    run_id = run_period_collect(
        JUNE.granularity, order=Order("tests"), period=JUNE, selection=RANKINGS
    ).run_id
    plan_now(run_id)
    return run_id


def test_a_run_ends_with_its_last_collection_and_its_numbers_are_frozen(run_id: str) -> None:
    assert end_all() == 6
    run = run_document(run_id)
    assert run["status"] == RunStatus.COMPLETED
    assert run["totals"] == {"total": 6, "completed": 6, "failed": 0, "empty": 0, "cancelled": 0}
    collection_of(Collection).delete_many({})
    assert run_document(run_id)["totals"]["completed"] == 6


def test_the_api_tells_progress_and_each_failure_with_its_reason(run_id: str, admin: APIClient) -> None:
    end_all(failing=2)
    task = admin.get(f"/api/sync-tasks/{run_id}").json()["data"]
    assert task["status"] == "COMPLETED"
    assert task["progress"]["completed"] == 4
    assert task["progress"]["failed"] == 2
    assert task["progress"]["percent"] == 100
    assert [one["error"] for one in task["failures"]] == ["execution_failed"] * 2
    assert {one["message"] for one in task["failures"]} == {"made to fail"}
    today = admin.get("/api/sync-tasks/today").json()["data"]["tasks"]
    assert [one["progress"]["completed"] for one in today] == [4]


def test_a_retry_collects_exactly_what_failed_and_mends_it(run_id: str, admin: APIClient) -> None:
    end_all(failing=2)
    failed = {one["identity"] for one in collections_of(run_id) if one["status"] == CollectionStatus.FAILED}
    answer = admin.post(f"/api/sync-tasks/{run_id}/retry")
    assert answer.status_code == 202
    retry_id = answer.json()["data"]["id"]
    plan_now(retry_id)
    assert {one["identity"] for one in collections_of(retry_id)} == failed
    end_all()
    assert run_document(retry_id)["totals"] == {
        "total": 2, "completed": 2, "failed": 0, "empty": 0, "cancelled": 0
    }  # fmt: skip
    assert collection_of(Record).count_documents({}) == 6


def test_a_late_answer_mends_a_failure_before_the_retry_does(run_id: str, admin: APIClient) -> None:
    end_all(failing=1)
    failed = next(one for one in collections_of(run_id) if one["status"] == CollectionStatus.FAILED)
    queue.finish(failed["_id"], status=CollectionStatus.SUCCEEDED)
    assert admin.post(f"/api/sync-tasks/{run_id}/retry").status_code == 409


def test_cancel_takes_back_what_nobody_else_wants(run_id: str, admin: APIClient) -> None:
    under_way = queue.claim(slot_count=1)
    assert under_way is not None
    read_too = next(one for one in collections_of(run_id) if one["status"] == CollectionStatus.PENDING)
    from apps.mengla import selectors

    queue.enqueue(selectors.query_of(read_too), priority=Priority.READER, requested_by="reader")
    assert admin.post(f"/api/sync-tasks/{run_id}/cancel").status_code == 200
    by_id = {one["_id"]: one["status"] for one in collections_of(run_id)}
    assert by_id.pop(under_way["_id"]) == CollectionStatus.DISPATCHED
    assert by_id.pop(read_too["_id"]) == CollectionStatus.PENDING
    assert set(by_id.values()) == {CollectionStatus.CANCELLED}
    totals = run_document(run_id)["totals"]
    assert totals["cancelled"] == totals["total"] == 6


def test_deleting_a_run_with_its_data_removes_exactly_its_own_records(run_id: str, admin: APIClient) -> None:
    other_month = DataQuery(Action.HOT, "1000", JUNE.previous(), JUNE.previous())
    store(other_month, wanted_by=["f" * 24])
    reader_too = DataQuery(Action.HIGH, "1000", JUNE, JUNE)
    end_all()
    store(reader_too, wanted_by=[run_id, "reader"])
    answer = admin.delete(f"/api/sync-tasks/{run_id}", {"delete_data": True}, format="json")
    assert answer.status_code == 200
    left = {one["_id"] for one in collection_of(Record).find({}, {"_id": 1})}
    assert left == {other_month.identity, reader_too.identity}
    assert not isinstance(read(HOT_JUNE, requested_by="reader"), Hit)


def test_deleting_a_run_without_its_data_keeps_the_records(run_id: str, admin: APIClient) -> None:
    end_all()
    assert admin.delete(f"/api/sync-tasks/{run_id}", {"delete_data": False}, format="json").status_code == 200
    assert collection_of(Record).count_documents({}) == 6
    assert admin.get(f"/api/sync-tasks/{run_id}").status_code == 404


def test_a_record_renewed_by_somebody_else_is_no_longer_the_runs_own(run_id: str, admin: APIClient) -> None:
    end_all()
    store(HOT_JUNE, wanted_by=["reader"])
    admin.delete(f"/api/sync-tasks/{run_id}", {"delete_data": True}, format="json")
    assert [one["_id"] for one in collection_of(Record).find({}, {"_id": 1})] == [HOT_JUNE.identity]


def test_the_tick_closes_a_run_whose_worker_died_before_it_could(run_id: str) -> None:
    while end_next() is not None:
        pass
    from apps.sync_tasks.models import SyncTask

    # As if the process had been killed between the last collection's end and the run's.
    collection_of(SyncTask).update_many(
        {}, {"$set": {"status": "RUNNING", "running_key": "monthly_collect", "totals": None}}
    )
    assert run_tick().runs_closed == 1
    assert run_document(run_id)["totals"]["completed"] == 6


def test_the_tick_has_an_unplanned_run_planned(monkeypatch: pytest.MonkeyPatch) -> None:
    sent: list[tuple[object, ...]] = []
    started = run_period_collect(JUNE.granularity, order=Order("tests"), period=JUNE)
    monkeypatch.setattr(
        "apps.mengla.services.planning.send_task", lambda *arguments, **_: sent.append(arguments)
    )
    assert run_tick().runs_to_plan == 1
    assert sent == [("apps.mengla.tasks.plan_run", started.run_id)]


def test_a_runs_collections_are_kept_as_long_as_the_run() -> None:
    """Otherwise its failures would lose their reasons, and a retry would say that nothing failed."""
    kept = {
        index["expireAfterSeconds"]
        for model in (Collection, SyncTask)
        for index in collection_of(model).index_information().values()
        if "expireAfterSeconds" in index
    }
    assert kept == {180 * 86_400}
