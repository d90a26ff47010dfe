"""Runs with real processes: killed workers, failing services, two clusters, and readers who go first."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime
from functools import partial
from typing import Any

import pytest

from apps.mengla.store.selectors import query_of
from tests.integration.conftest import run_stack
from tests.integration.parts import Caller
from tests.integration.stack import Shape, Stack
from tests.integration.waiting import at_once, wait_until

pytestmark = [pytest.mark.slow, pytest.mark.mongo, pytest.mark.redis]

JOBS = "tests.integration.run_jobs"
Document = dict[str, Any]


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """One web process and two worker clusters."""
    shape = Shape(
        web_workers=1,
        clusters=2,
        queue_workers=3,
        variables={
            "MENGLA_TIMEOUT_SECONDS": "3",
            "COLLECT_RETRY_DELAY_SECONDS": "0",
            "CB_FAILURE_THRESHOLD": "1000",  # many fail by chance, one after the other
        },
    )
    yield from run_stack("runs", tmp_path_factory.mktemp("runs"), shape)


def task(stack: Stack, run_id: str) -> Document:
    """Return a run as the API tells it."""
    answer = stack.get(f"/api/sync-tasks/{run_id}")
    assert answer.status_code == 200, answer.text
    data: Document = answer.json()["data"]
    return data


def wait_for_end(stack: Stack, run_id: str, *, timeout_seconds: float = 90) -> Document:
    """Wait until the run has ended, ticking as the schedule would; returns it."""

    def ended() -> Document | None:
        stack.tick()
        current = task(stack, run_id)
        return current if current["status"] != "RUNNING" else None

    found: Document = wait_until(ended, timeout_seconds=timeout_seconds, what=f"run {run_id} ends")
    return found


def assert_each_figure_once(stack: Stack, run_id: str) -> None:
    """Assert that every figure the run wanted is stored once, and that no collection stands twice."""
    collections = list(stack.database.mengla_collections.find({"run_ids": run_id}))
    assert max(Counter(one["identity"] for one in collections).values()) == 1
    for query in map(query_of, collections):
        about = {"action": query.action.value, "cat_id": query.cat_id, "granularity": query.granularity.value}
        keys = [period.key for period in query.periods]
        stored = stack.database.mengla_data.find({**about, "period_key": {"$in": keys}})
        assert sorted(one["period_key"] for one in stored) == keys


def test_a_killed_worker_is_followed_by_one_that_ends_the_same_run(runs: Stack) -> None:
    runs.simulator.set_knobs(delay_seconds=0.4, concurrency=1)
    run_id = runs.caller.call(f"{JOBS}.start_month", month="202506")
    half = wait_until(
        lambda: current if (current := task(runs, run_id))["progress"]["completed"] >= 7 else None,
        timeout_seconds=30,
        what="half of the run is done",
    )
    assert half["status"] == "RUNNING"
    for cluster in list(runs.clusters):
        runs.kill(cluster)
    for _ in range(2):
        runs.start_cluster()
    ended = wait_for_end(runs, run_id)
    assert ended["status"] == "COMPLETED"
    assert ended["progress"]["completed"] == ended["progress"]["total"] == 15
    assert_each_figure_once(runs, run_id)
    assert runs.told_today(ended)["progress"] == ended["progress"]


def test_two_clusters_fire_one_slot_once_and_ask_nothing_twice(runs: Stack) -> None:
    runs.reset()
    runs.caller.call(
        f"{JOBS}.make_due", schedule="quarterly_collect", intended_at="2025-04-02T03:00:00+08:00"
    )
    run = wait_until(
        lambda: runs.database.sync_tasks.find_one({"task_id": "quarterly_collect"}),
        timeout_seconds=60,
        what="the schedule fires",
    )
    runs.kill(runs.clusters[0])  # whichever has the work, the other one goes on
    ended = wait_for_end(runs, str(run["_id"]))
    runs.start_cluster()
    assert (ended["status"], ended["period"], ended["trigger"]) == ("COMPLETED", "2025Q1", "scheduled")
    assert runs.database.sync_tasks.count_documents({"task_id": "quarterly_collect"}) == 1
    assert_each_figure_once(runs, str(run["_id"]))


def test_a_pause_is_kept_over_the_death_of_every_worker_and_a_late_firing_finds_its_period(
    runs: Stack,
) -> None:
    runs.reset()

    def fire() -> None:
        """Let the yearly schedule of 2021 fire, years late, and wait until a worker has taken it.

        A scheduler looks at once; those of the clusters do so every half a minute.
        """
        tasks, name = runs.database.django_q_task, {"func": "apps.mengla.tasks.yearly_collect"}
        before = tasks.count_documents(name)
        runs.caller.call(
            f"{JOBS}.make_due", schedule="yearly_collect", intended_at="2021-01-03T03:00:00+08:00"
        )
        runs.caller.call("django_q.scheduler.scheduler")
        wait_until(
            lambda: tasks.count_documents(name) > before, timeout_seconds=90, what="the schedule fires"
        )

    assert runs.post("/api/admin/scheduler/pause").status_code == 200
    for cluster in list(runs.clusters):
        runs.kill(cluster)
    # Ready, because Redis may still hand a message to a worker that was killed a moment ago.
    for cluster in [runs.start_cluster() for _ in range(2)]:
        cluster.wait_until_ready()
    fire()
    assert runs.database.sync_tasks.find_one({"task_id": "yearly_collect"}) is None
    assert runs.post("/api/admin/scheduler/resume").status_code == 200
    fire()
    run = runs.database.sync_tasks.find_one({"task_id": "yearly_collect"})
    assert run is not None
    ended = wait_for_end(runs, str(run["_id"]))
    assert (ended["status"], ended["period"]) == ("COMPLETED", "2020")


def test_a_bad_service_ends_every_run_with_reasons_and_a_retry_mends_it(runs: Stack) -> None:
    """30 % of the executions fail and 10 % never call back; each collection is tried twice."""
    runs.reset()
    runs.simulator.set_knobs(delay_seconds=0.02, failure_rate=0.3, drop_rate=0.1)
    month = runs.caller.call(f"{JOBS}.start_month", month="202404")
    days = runs.caller.call(f"{JOBS}.start_backfill", first_day="2024-02-25", last_day="2024-03-02")
    ended = {run_id: wait_for_end(runs, run_id, timeout_seconds=150) for run_id in (month, days)}
    assert [one["progress"]["total"] for one in ended.values()] == [15, 7 * 3 * 4]
    for one in ended.values():
        progress, failures = one["progress"], one["failures"]
        assert progress["completed"] + progress["failed"] == progress["total"]
        assert len(failures) == min(progress["failed"], 20)
        assert {failure["error"] for failure in failures} <= {"execution_failed", "timeout"}
        assert all(failure["message"] and failure["attempts"] == 2 for failure in failures)
    # 0.4 * 0.4 of 84: that none of them has failed happens once in two million times.
    assert ended[days]["progress"]["failed"] > 0
    runs.simulator.reset_knobs()
    for run_id, one in ended.items():
        failed = one["progress"]["failed"]
        answer = runs.post(f"/api/sync-tasks/{run_id}/retry")
        if not failed:
            assert answer.status_code == 409, answer.text
            continue
        assert answer.status_code == 202, answer.text
        retried = wait_for_end(runs, answer.json()["data"]["sync_task_id"])
        assert (retried["status"], retried["retry_of"]) == ("COMPLETED", run_id)
        assert retried["progress"]["completed"] == failed
        assert_each_figure_once(runs, run_id)


def test_many_starts_at_once_give_one_run(runs: Stack) -> None:
    runs.reset()

    def start(caller: Caller) -> str:
        try:
            return str(caller.call(f"{JOBS}.start_month", month="202503"))
        except AssertionError as error:
            return str(error)

    runs.simulator.set_knobs(delay_seconds=0.6, concurrency=1)  # it runs until all of them have tried
    answers = at_once(partial(start, runs.start_caller()) for _ in range(5))
    started = [answer for answer in answers if "AlreadyRunning" not in answer]
    assert len(started) == 1
    assert all(started[0] in answer for answer in answers)  # the others are answered with the one that runs
    assert runs.database.sync_tasks.count_documents({"status": "RUNNING"}) == 1
    runs.simulator.reset_knobs()
    wait_for_end(runs, started[0])


def test_a_readers_miss_is_the_next_one_sent_during_a_backfill_of_ten_thousand(runs: Stack) -> None:
    runs.reset()
    runs.simulator.set_knobs(delay_seconds=0.3)
    run_id = runs.caller.call(f"{JOBS}.start_backfill", first_day="2021-09-19", last_day="2023-12-31")
    collections = runs.database.mengla_collections
    wait_until(
        lambda: collections.count_documents({"run_ids": run_id}) >= 10_008,
        timeout_seconds=90,
        what="the backfill of 834 days, 3 categories and 4 actions is planned",
    )
    assert collections.count_documents({"run_ids": run_id, "status": "PENDING"}) > 9_000
    question = runs.questions.one()
    (missed,) = runs.ask_all([question])
    asked_at = datetime.now(UTC).replace(tzinfo=None)
    runs.collect(question)
    miss = runs.collection(missed)
    assert miss["priority"] == 0
    between = {"run_ids": run_id, "dispatched_at": {"$gt": asked_at, "$lt": miss["dispatched_at"]}}
    assert collections.count_documents(between) == 0
    asked = runs.simulator.stats()["recent_keys"]
    assert sum(question.timest in key for key in asked) == 1
    assert runs.post(f"/api/sync-tasks/{run_id}/cancel").status_code == 200
    assert wait_for_end(runs, run_id)["status"] == "CANCELLED"
    wait_until(
        lambda: runs.tick() or runs.database.mengla_collections.count_documents({"status": "PENDING"}) == 0,
        timeout_seconds=30,
        what="nothing of the cancelled backfill is left in the queue",
    )


def test_a_cluster_that_is_killed_with_several_requests_in_flight_loses_none(runs: Stack) -> None:
    runs.reset()
    runs.simulator.set_knobs(hang_seconds=1.5)
    questions = runs.questions.some(8)
    asked = runs.ask_all(questions)
    unanswered = {"status": "DISPATCHED", "execution_id": ""}
    wait_until(
        lambda: runs.database.mengla_collections.count_documents(unanswered) > 1,
        timeout_seconds=20,
        what="several requests are in flight",
    )
    runs.kill(runs.dispatching_cluster())
    runs.simulator.reset_knobs()
    runs.start_cluster().wait_until_ready()
    assert runs.wait_until_ended(asked, timeout_seconds=60) == {"SUCCEEDED"}
    assert {runs.collection(one)["attempts"] for one in asked} <= {1, 2}
    runs.assert_stored_once(questions)
