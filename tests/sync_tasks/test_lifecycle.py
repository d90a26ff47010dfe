"""The start and the end of runs."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest
from bson import ObjectId
from django.db import connections
from pymongo.errors import DuplicateKeyError
from structlog.testing import capture_logs

from apps.core.errors import Conflict
from apps.core.storage.mongo import collection_of, utc_now
from apps.sync_tasks import services
from apps.sync_tasks.choices import RunStatus, Trigger
from apps.sync_tasks.errors import AlreadyRunning
from apps.sync_tasks.models import SyncTask
from apps.sync_tasks.services import Started, lifecycle
from apps.sync_tasks.services.lifecycle import totals_of
from apps.sync_tasks.work import Counts
from tests.sync_tasks.conftest import FakeWork, count_runs, end, get, start, start_planned

pytestmark = [pytest.mark.mongo, pytest.mark.redis, pytest.mark.django_db]

THREADS = 10


def start_at_once(count: int, **given: Any) -> tuple[list[Started], list[AlreadyRunning]]:
    """Start the same run in many threads at the same moment."""
    barrier = threading.Barrier(count)

    def start_one(_number: int) -> Started | AlreadyRunning:
        try:
            barrier.wait(timeout=30)
            facts = {
                "task_id": "daily_collect",
                "name": "Daily",
                "trigger": Trigger.MANUAL,
                "requested_by": "tests",
                "parameters": {},
            }
            return services.start_run(**facts | given)
        except AlreadyRunning as error:
            return error
        finally:
            connections.close_all()

    with ThreadPoolExecutor(count) as pool:
        results = list(pool.map(start_one, range(count)))
    return (
        [result for result in results if isinstance(result, Started)],
        [result for result in results if isinstance(result, AlreadyRunning)],
    )


class TestStart:
    def test_a_new_run_is_running_and_complete(self) -> None:
        parameters = {"spans": [["day", "20250601"]], "odd.key": {"$set": 1, "": None}}
        started = services.start_run(
            task_id="monthly_collect",
            name="Monthly collection",
            trigger=Trigger.SCHEDULED,
            requested_by="scheduler",
            parameters=parameters,
            period="202506",
            firing="202506",
            expected_total=120,
            retry_of="a" * 24,
        )
        assert started.is_new
        run = get(started.run_id)
        assert run["status"] == "RUNNING"
        assert run["parameters"] == parameters
        assert run["running_key"] == "monthly_collect"
        assert (run["trigger"], run["period"], run["slot"]) == ("scheduled", "202506", "202506")
        assert (run["expected_total"], run["retry_of"]) == (120, "a" * 24)
        assert (run["totals"], run["finished_at"], run["is_planned"]) == (None, None, False)
        assert timedelta(0) <= utc_now() - run["started_at"] < timedelta(minutes=1)
        # The model reads what was written past it: no field is forgotten, none is unknown.
        assert set(run) == {field.column for field in SyncTask._meta.concrete_fields}
        assert SyncTask.objects.get(pk=started.run_id).parameters == parameters

    def test_of_ten_starts_at_once_one_runs_and_nine_are_told_its_id(self) -> None:
        started, refused = start_at_once(THREADS)
        assert len(started) == 1
        assert len(refused) == THREADS - 1
        assert {error.run_id for error in refused} == {started[0].run_id}
        assert count_runs() == 1

    def test_the_refusal_names_the_running_one(self) -> None:
        run_id = start()
        with pytest.raises(AlreadyRunning) as caught:
            start()
        assert isinstance(caught.value, Conflict)
        assert caught.value.detail == f"sync_task_id={run_id}"
        assert run_id in caught.value.message

    def test_other_tasks_run_beside_it(self) -> None:
        assert start("daily_collect") != start("monthly_collect")

    def test_after_its_end_it_starts_again(self) -> None:
        first = end(start_planned())
        second = start()
        assert second != first
        assert count_runs(status="RUNNING") == 1

    def test_of_ten_firings_of_one_slot_one_starts(self) -> None:
        started, refused = start_at_once(THREADS, firing="20250601")
        assert not refused
        assert [result.is_new for result in started].count(True) == 1
        assert len({result.run_id for result in started}) == 1
        assert count_runs() == 1

    @pytest.mark.parametrize("is_ended", [False, True])
    def test_a_slot_fired_twice_starts_nothing(self, is_ended: bool) -> None:
        run_id = start_planned(firing="20250601")
        if is_ended:
            end(run_id)
        facts = {"task_id": "daily_collect", "name": "n", "trigger": Trigger.SCHEDULED}
        again = services.start_run(**facts, requested_by="", parameters={}, firing="20250601")
        assert again == Started(run_id, is_new=False)
        assert count_runs() == 1

    def test_a_used_slot_is_no_overlap_even_while_another_run_runs(self) -> None:
        first = end(start_planned(firing="20250601"))
        start()
        facts = {"task_id": "daily_collect", "name": "n", "trigger": Trigger.SCHEDULED}
        again = services.start_run(**facts, requested_by="", parameters={}, firing="20250601")
        assert again == Started(first, is_new=False)

    def test_the_next_slot_waits_for_the_running_one_and_stays_free(self) -> None:
        run_id = start_planned(firing="20250601")
        with pytest.raises(AlreadyRunning):
            start(firing="20250602")
        end(run_id)
        assert get(start(firing="20250602"))["slot"] == "20250602"

    def test_a_slot_belongs_to_its_task(self) -> None:
        assert start("daily_collect", firing="2025") != start("yearly_collect", firing="2025")

    def test_runs_without_a_slot_never_meet(self) -> None:
        end(start_planned())
        end(start_planned())
        assert count_runs(slot=None) == 2

    def test_it_starts_when_the_one_in_the_way_ends_meanwhile(self, monkeypatch: pytest.MonkeyPatch) -> None:
        in_the_way = start_planned()
        find_running = lifecycle._find_running

        def end_and_find(task_id: str) -> str | None:
            end(in_the_way)
            monkeypatch.setattr(lifecycle, "_find_running", find_running)
            return find_running(task_id)

        monkeypatch.setattr(lifecycle, "_find_running", end_and_find)
        assert start() != in_the_way

    def test_it_gives_up_when_others_keep_starting_and_ending(self, monkeypatch: pytest.MonkeyPatch) -> None:
        start()
        monkeypatch.setattr(lifecycle, "_find_running", lambda _task_id: None)
        with pytest.raises(RuntimeError):
            start()
        assert count_runs() == 1

    def test_texts_are_cut_to_their_fields(self) -> None:
        run = get(start(requested_by="采" * 500, period="x" * 500))
        assert run["requested_by"] == "采" * 160
        assert run["period"] == "x" * 40

    def test_an_unknown_trigger_stores_nothing(self) -> None:
        with pytest.raises(ValueError, match="cosmic"):
            start(trigger="cosmic")
        assert count_runs() == 0

    def test_a_start_is_audited_once(self) -> None:
        with capture_logs() as lines:
            run_id = start(firing="s", requested_by="ana")
            start(firing="s")
            with pytest.raises(AlreadyRunning):
                start()
        [line] = [line for line in lines if line["event"] == "sync_task_started"]
        assert (line["run_id"], line["task_id"], line["requested_by"]) == (run_id, "daily_collect", "ana")

    def test_the_indexes_hold_without_the_service(self) -> None:
        end(start_planned(firing="s"))
        start()
        documents = collection_of(SyncTask)
        for clash in ({"running_key": "daily_collect"}, {"task_id": "daily_collect", "slot": "s"}):
            with pytest.raises(DuplicateKeyError):
                documents.insert_one(clash)


class TestFinish:
    @pytest.mark.parametrize(
        ("counts", "status", "message"),
        [
            (Counts(total=3, completed=3), "COMPLETED", ""),
            (Counts(total=3, empty=3), "COMPLETED", ""),
            (Counts(), "COMPLETED", ""),
            (Counts(total=10, completed=7, failed=3), "COMPLETED", "3 of 10 collections failed."),
            (Counts(total=2, empty=1, failed=1), "COMPLETED", "1 of 2 collections failed."),
            (Counts(total=4, cancelled=4), "COMPLETED", ""),
            (Counts(total=3, failed=3), "FAILED", "3 of 3 collections failed."),
            (Counts(total=3, failed=1, cancelled=2), "FAILED", "1 of 3 collections failed."),
        ],
    )
    def test_the_status_follows_from_the_counts(self, counts: Counts, status: str, message: str) -> None:
        run_id = start_planned()
        assert services.finish_run(run_id, counts=counts)
        run = get(run_id)
        assert (run["status"], run["error_message"]) == (status, message)
        assert run["totals"] == {
            "total": counts.total,
            "completed": counts.completed,
            "failed": counts.failed,
            "empty": counts.empty,
            "cancelled": counts.cancelled,
        }
        assert run["running_key"] is None
        assert run["finished_at"] >= run["started_at"]
        assert not services.is_running(run_id)

    def test_a_given_message_stays_and_is_cut(self) -> None:
        run_id = start_planned()
        services.fail_run(run_id, error_message="я" * 900)
        assert get(run_id)["error_message"] == "я" * 500

    def test_not_before_it_is_planned(self) -> None:
        run_id = start()
        assert not services.finish_run(run_id, counts=Counts(total=1, completed=1))
        assert services.is_running(run_id)

    def test_not_while_a_collection_is_under_way(self) -> None:
        run_id = start_planned()
        assert not services.finish_run(run_id, counts=Counts(total=2, completed=1, active=1))
        assert get(run_id)["totals"] is None

    def test_only_once(self) -> None:
        run_id = end(start_planned(), Counts(total=2, completed=2))
        assert not services.finish_run(run_id, counts=Counts(total=1, failed=1))
        assert not services.fail_run(run_id, error_message="late")
        run = get(run_id)
        assert (run["status"], run["totals"]["total"], run["error_message"]) == ("COMPLETED", 2, "")

    def test_of_many_at_once_one_ends_it(self) -> None:
        run_id = start_planned()

        def finish(number: int) -> bool:
            try:
                return services.finish_run(run_id, counts=Counts(total=number, completed=number))
            finally:
                connections.close_all()

        with ThreadPoolExecutor(THREADS) as pool:
            results = list(pool.map(finish, range(1, THREADS + 1)))
        assert results.count(True) == 1
        assert get(run_id)["totals"]["total"] == results.index(True) + 1

    def test_unknown_ids_end_nothing(self) -> None:
        run_id = start_planned()
        for other in (str(ObjectId()), "", "x", "é" * 12, run_id + "0"):
            assert not services.finish_run(other, counts=Counts())
            assert not services.fail_run(other, error_message="no")
        assert services.is_running(run_id)

    def test_the_message_follows_late_answers_and_the_status_does_not(self, work: FakeWork) -> None:
        for counts, status, message in (
            (Counts(total=3, completed=1, failed=2), "COMPLETED", ""),
            (Counts(total=3, failed=3), "FAILED", "0 of 3 collections failed."),
        ):
            run_id = end(start_planned(), counts)
            for failed, reported in ((1, "1 of 3 collections failed."), (0, message)):
                work.counts[run_id] = Counts(total=3, completed=3 - failed, failed=failed)
                services.reopen_totals([run_id])
                assert services.settle_run(run_id)
                run = get(run_id)
                assert (run["status"], run["error_message"]) == (status, reported)
                assert run["totals"] == totals_of(work.counts[run_id])


class TestFail:
    @pytest.mark.parametrize("begin", [start, start_planned])
    def test_planned_or_not(self, begin: Any, work: FakeWork) -> None:
        run_id = begin()
        work.counts[run_id] = Counts(total=5, completed=2, failed=1, active=2)
        assert services.fail_run(run_id, error_message="The plan cannot be read.")
        run = get(run_id)
        assert (run["status"], run["error_message"]) == (RunStatus.FAILED, "The plan cannot be read.")
        assert (run["totals"], run["running_key"]) == (None, None)
        work.counts[run_id] = Counts(total=5, completed=3, failed=2)  # what was under way goes on
        assert services.settle_run(run_id)
        assert get(run_id)["totals"] == {"total": 5, "completed": 3, "failed": 2, "empty": 0, "cancelled": 0}
        assert not work.asked_for("cancel")
        start()

    def test_the_planner_learns_of_it(self) -> None:
        run_id = start()
        assert services.claim_planner_lease(run_id, token="a", seconds=60)
        assert services.fail_run(run_id, error_message="no")
        assert not services.note_planned(run_id, token="a", planned_count=1, skipped={})


def test_runs_disappear_half_a_year_after_their_end() -> None:
    [index] = [
        index for index in collection_of(SyncTask).list_indexes() if index["name"] == "sync_task_expiry"
    ]
    assert index["expireAfterSeconds"] == 180 * 24 * 3600
    assert dict(index["key"]) == {"finished_at": 1}


def test_the_search_for_what_is_in_the_way_uses_the_partial_indexes() -> None:
    for number in range(20):
        end(start_planned(firing=str(number)))
    start()
    before = index_uses()
    start(firing="7")
    with pytest.raises(AlreadyRunning):
        start()
    used = {name for name, count in index_uses().items() if count > before[name]}
    assert used == {"sync_task_slot", "sync_task_overlap"}


def index_uses() -> dict[str, int]:
    stats = collection_of(SyncTask).aggregate([{"$indexStats": {}}])
    return {one["name"]: int(one["accesses"]["ops"]) for one in stats}
