"""What operators do with runs: progress, failures, retry, cancel, delete with exactly its own data."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
import redis
from bson import ObjectId
from rest_framework.test import APIClient

from apps.core.caching.tiers import EPOCH_KEY
from apps.core.periods import parse_period
from apps.core.storage.mongo import collection_of, utc_now
from apps.core.storage.redis import get_redis
from apps.mengla.choices import Action, CollectionError, CollectionStatus, EmptyReason, Priority
from apps.mengla.dispatch.collection_control import cancel_collection
from apps.mengla.maintenance.tick import run_tick
from apps.mengla.models import Collection, Record
from apps.mengla.queries.data_query import DataQuery
from apps.mengla.queue import jobs, removal
from apps.mengla.reading.read import Hit, read
from apps.mengla.runs.collect import Order, Selection, backfill_plan, period_plan, start
from apps.mengla.store.selectors import query_of
from apps.sync_tasks import services as runs
from apps.sync_tasks.choices import RunStatus
from apps.sync_tasks.models import SyncTask
from tests.factories.categories import Node
from tests.mengla.runs.support import collections_of, end_all, end_next, plan_now, run_document, store

pytestmark = [pytest.mark.django_db, pytest.mark.mongo, pytest.mark.redis]
JUNE = parse_period("202506")
HOT_JUNE = DataQuery(Action.HOT, "1000", JUNE, JUNE)
RANKINGS = Selection(actions=(Action.HIGH, Action.HOT, Action.CHANCE))  # six collections with two categories


@pytest.fixture(autouse=True)
def _tree(sample_tree: list[Node]) -> None:
    """Two level-1 categories: 1000 and 2000."""


@pytest.fixture
def run_id() -> str:
    run_id = start(period_plan(JUNE, selection=RANKINGS), Order("tests")).run_id
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
    retry_id = answer.json()["data"]["sync_task_id"]
    plan_now(retry_id)
    assert {one["identity"] for one in collections_of(retry_id)} == failed
    end_all()
    assert run_document(retry_id)["totals"] == {
        "total": 2, "completed": 2, "failed": 0, "empty": 0, "cancelled": 0
    }  # fmt: skip
    assert collection_of(Record).count_documents({}) == 6


def test_a_retry_of_a_forced_run_asks_again_although_older_figures_are_fresh(admin: APIClient) -> None:
    for cat_id in ("1000", "2000"):
        store(DataQuery(Action.HOT, cat_id, JUNE, JUNE))
    hot = Selection(actions=(Action.HOT,))
    forced = start(period_plan(JUNE, selection=hot, is_forced=True), Order("tests"))
    plan_now(forced.run_id)
    end_all(failing=2)
    store(HOT_JUNE)  # one of them is collected since
    retry_id = admin.post(f"/api/sync-tasks/{forced.run_id}/retry").json()["data"]["sync_task_id"]
    assert plan_now(retry_id)["skipped"] == {"fresh": 1}
    (again,) = collections_of(retry_id)
    assert (again["cat_id"], again["is_forced"]) == ("2000", True)


def test_a_run_is_not_deleted_while_its_retry_is_planned_from_it(run_id: str, admin: APIClient) -> None:
    end_all(failing=2)
    retry_id = admin.post(f"/api/sync-tasks/{run_id}/retry").json()["data"]["sync_task_id"]
    refused = admin.delete(f"/api/sync-tasks/{run_id}", {"delete_data": True}, format="json")
    assert (refused.status_code, refused.json()["detail"]) == (409, f"sync_task_id={retry_id}")
    plan_now(retry_id)
    assert admin.delete(f"/api/sync-tasks/{run_id}", {"delete_data": True}, format="json").status_code == 200
    assert end_all() == 2
    assert run_document(retry_id)["totals"]["completed"] == 2


def test_a_retry_whose_original_is_gone_says_so(run_id: str, admin: APIClient) -> None:
    end_all(failing=2)
    retry_id = admin.post(f"/api/sync-tasks/{run_id}/retry").json()["data"]["sync_task_id"]
    collection_of(SyncTask).delete_one({"_id": ObjectId(run_id)})
    retry = plan_now(retry_id)
    assert retry["status"] == RunStatus.FAILED
    assert "deleted" in retry["error_message"]


def test_a_late_answer_mends_a_failure_before_the_retry_does(run_id: str, admin: APIClient) -> None:
    end_all(failing=1)
    failed = next(one for one in collections_of(run_id) if one["status"] == CollectionStatus.FAILED)
    jobs.finish(failed["_id"], status=CollectionStatus.SUCCEEDED)
    run = run_document(run_id)
    assert (run["status"], run["totals"]["failed"], run["totals"]["completed"]) == ("COMPLETED", 0, 6)
    assert run["error_message"] == ""
    assert admin.post(f"/api/sync-tasks/{run_id}/retry").status_code == 409


def test_cancel_removes_what_no_one_else_requested(run_id: str, admin: APIClient) -> None:
    under_way = jobs.claim(slot_count=1)
    assert under_way is not None
    read_too = next(one for one in collections_of(run_id) if one["status"] == CollectionStatus.PENDING)
    jobs.enqueue(query_of(read_too), priority=Priority.READER, requested_by="reader")
    assert admin.post(f"/api/sync-tasks/{run_id}/cancel").status_code == 200
    by_id = {one["_id"]: one["status"] for one in collections_of(run_id)}
    assert by_id.pop(under_way["_id"]) == CollectionStatus.DISPATCHED
    assert by_id.pop(read_too["_id"]) == CollectionStatus.PENDING
    assert set(by_id.values()) == {CollectionStatus.CANCELLED}
    assert run_document(run_id)["totals"] is None
    shown = admin.get(f"/api/sync-tasks/{run_id}").json()["data"]["progress"]
    assert (shown["cancelled"], shown["active"], shown["percent"]) == (4, 2, 66.6)
    jobs.finish(
        under_way["_id"],
        status=CollectionStatus.EMPTY,
        empty_reason=EmptyReason.EMPTY_LIST,
        attempt_token=under_way["attempt_token"],
    )
    assert end_all() == 1
    assert run_document(run_id)["totals"] == {
        "total": 6, "completed": 1, "failed": 0, "empty": 1, "cancelled": 4
    }  # fmt: skip


def test_a_run_that_starts_while_another_is_cancelled_keeps_what_it_joined(
    run_id: str, admin: APIClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    cancel_pending = removal.cancel_pending
    joined: list[str] = []

    def start_meanwhile(criteria: dict[str, Any], **options: Any) -> int:
        if not joined:
            started = start(backfill_plan(JUNE, JUNE, selection=RANKINGS), Order("tests"))
            plan_now(started.run_id)
            joined.append(started.run_id)
        return cancel_pending(criteria, **options)

    monkeypatch.setattr(removal, "cancel_pending", start_meanwhile)
    assert admin.post(f"/api/sync-tasks/{run_id}/cancel").status_code == 200
    assert {one["status"] for one in collections_of(joined[0])} == {CollectionStatus.PENDING}
    assert end_all() == 6
    assert run_document(joined[0])["totals"]["completed"] == 6


def test_what_staff_asks_for_by_hand_outlives_the_run_that_wants_it_too(
    run_id: str, admin: APIClient
) -> None:
    jobs.enqueue(HOT_JUNE, priority=Priority.MANUAL, requested_by="staff")
    admin.post(f"/api/sync-tasks/{run_id}/cancel")
    assert end_all() == 1
    admin.delete(f"/api/sync-tasks/{run_id}", {"delete_data": True}, format="json")
    assert [one["_id"] for one in collection_of(Record).find({}, {"_id": 1})] == [HOT_JUNE.identity]


@pytest.mark.parametrize("is_read", [False, True])
def test_a_failed_attempt_that_only_a_cancelled_run_wanted_is_not_repeated(
    run_id: str, admin: APIClient, is_read: bool
) -> None:
    attempt = jobs.claim(slot_count=1)
    assert attempt is not None
    if is_read:
        jobs.enqueue(query_of(attempt), priority=Priority.READER, requested_by="reader")
    admin.post(f"/api/sync-tasks/{run_id}/cancel")
    status = jobs.fail_attempt(
        attempt["_id"],
        attempt_token=attempt["attempt_token"],
        error=CollectionError.EXECUTION_FAILED,
        message="once",
    )
    assert status == (CollectionStatus.PENDING if is_read else CollectionStatus.FAILED)
    totals = run_document(run_id)["totals"]
    assert totals is None if is_read else (totals["failed"], totals["cancelled"]) == (1, 5)


@pytest.mark.parametrize("step", ["reopen_totals", "store_totals"])
def test_killed_at_a_late_answer_the_totals_are_right_all_the_same(
    run_id: str, admin: APIClient, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    end_all(failing=2)
    failed = next(one for one in collections_of(run_id) if one["status"] == CollectionStatus.FAILED)

    def die(*_arguments: object, **_options: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as killing, pytest.raises(KeyboardInterrupt):
        killing.setattr(runs, step, die)
        jobs.finish(failed["_id"], status=CollectionStatus.SUCCEEDED)
    is_changed = step == "store_totals"  # before, the transaction takes back the change of the collection
    shown = admin.get(f"/api/sync-tasks/{run_id}").json()["data"]
    assert (shown["progress"]["failed"], len(shown["failures"])) == ((1, 1) if is_changed else (2, 2))
    assert run_tick().runs_settled == is_changed
    assert run_document(run_id)["totals"]["failed"] == shown["progress"]["failed"]


def test_totals_that_an_older_version_froze_are_mended_by_the_ends_of_what_was_in_flight(run_id: str) -> None:
    in_flight = [claimed for _ in range(2) if (claimed := jobs.claim(slot_count=2))]
    runs.cancel_run(run_id=run_id, cancelled_by="tests")
    frozen = {"total": 6, "completed": 0, "failed": 0, "empty": 0, "cancelled": 6}
    collection_of(SyncTask).update_many({}, {"$set": {"totals": frozen}})
    jobs.finish(in_flight[0]["_id"], status=CollectionStatus.SUCCEEDED)
    assert run_document(run_id)["totals"] is None
    jobs.finish(in_flight[1]["_id"], status=CollectionStatus.SUCCEEDED)
    assert run_document(run_id)["totals"] == frozen | {"completed": 2, "cancelled": 4}


def test_the_pace_of_a_run_counts_what_was_collected_and_not_what_was_cancelled(
    run_id: str, admin: APIClient
) -> None:
    ended = end_next()
    assert ended is not None
    for collection in collections_of(run_id)[-3:]:
        cancel_collection(collection_id=str(collection["_id"]), cancelled_by="tests")
    a_minute_ago = utc_now() - timedelta(minutes=1)
    collection_of(SyncTask).update_many({}, {"$set": {"started_at": a_minute_ago}})
    # A minute without any request would be no part of the pace: one request took it.
    collection_of(Collection).update_one({"_id": ended["_id"]}, {"$set": {"dispatched_at": a_minute_ago}})
    progress = admin.get(f"/api/sync-tasks/{run_id}").json()["data"]["progress"]
    assert progress["cancelled"] == 3
    assert 0.5 < progress["per_minute"] <= 1


def test_deleting_a_run_with_its_data_removes_exactly_its_own_records(run_id: str, admin: APIClient) -> None:
    other_month = DataQuery(Action.HOT, "1000", JUNE.previous(), JUNE.previous())
    store(other_month, run_ids=["f" * 24])
    reader_too = DataQuery(Action.HIGH, "1000", JUNE, JUNE)
    end_all()
    store(reader_too, run_ids=[run_id], has_reader=True)
    answer = admin.delete(f"/api/sync-tasks/{run_id}", {"delete_data": True}, format="json")
    assert answer.status_code == 200
    left = {one["_id"] for one in collection_of(Record).find({}, {"_id": 1})}
    assert left == {other_month.identity, reader_too.identity}
    assert not isinstance(read(HOT_JUNE, requested_by="reader"), Hit)


def test_data_is_not_called_deleted_while_the_caches_may_serve_it(
    run_id: str, admin: APIClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    end_all()

    def lose_redis(_client: redis.Redis) -> bool:
        raise redis.ConnectionError

    def delete() -> tuple[int, str | None]:
        answer = admin.delete(f"/api/sync-tasks/{run_id}", {"delete_data": True}, format="json")
        return answer.status_code, answer.json().get("error")

    with monkeypatch.context() as without:
        without.setattr("apps.core.caching.tiers._begin_new_epoch", lose_redis)
        assert delete() == (503, "DEPENDENCY_UNAVAILABLE")
    assert admin.get(f"/api/sync-tasks/{run_id}").status_code == 200  # to be deleted again
    epoch = get_redis().get(EPOCH_KEY)
    assert delete() == (200, None)
    assert get_redis().get(EPOCH_KEY) != epoch


def test_deleting_a_run_without_its_data_keeps_the_records(run_id: str, admin: APIClient) -> None:
    end_all()
    assert admin.delete(f"/api/sync-tasks/{run_id}", {"delete_data": False}, format="json").status_code == 200
    assert collection_of(Record).count_documents({}) == 6
    assert admin.get(f"/api/sync-tasks/{run_id}").status_code == 404


def test_a_record_refreshed_by_another_run_is_no_longer_the_runs_own(run_id: str, admin: APIClient) -> None:
    end_all()
    store(HOT_JUNE, run_ids=["f" * 24])
    admin.delete(f"/api/sync-tasks/{run_id}", {"delete_data": True}, format="json")
    assert [one["_id"] for one in collection_of(Record).find({}, {"_id": 1})] == [HOT_JUNE.identity]


def test_the_tick_closes_a_run_whose_worker_died_before_it_could(run_id: str) -> None:
    while end_next() is not None:
        pass
    # As if the process had been killed between the last collection's end and the run's.
    collection_of(SyncTask).update_many(
        {}, {"$set": {"status": "RUNNING", "running_key": "monthly_collect", "totals": None}}
    )
    assert run_tick().runs_closed == 1
    assert run_document(run_id)["totals"]["completed"] == 6


def test_the_tick_has_an_unplanned_run_planned(monkeypatch: pytest.MonkeyPatch) -> None:
    sent: list[tuple[object, ...]] = []
    started = start(period_plan(JUNE), Order("tests"))
    monkeypatch.setattr("apps.mengla.runs.planning.send_task", lambda *arguments, **_: sent.append(arguments))
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
