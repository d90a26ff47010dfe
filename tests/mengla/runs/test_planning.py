"""The planner: every question once, whatever is stored, under way, cancelled or killed meanwhile."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from apps.core.periods import parse_period
from apps.core.storage.mongo import collection_of
from apps.mengla.choices import Action, CollectionStatus, Priority
from apps.mengla.models import Collection
from apps.mengla.queries.data_query import DataQuery
from apps.mengla.queue import jobs, run_state
from apps.mengla.runs import planning
from apps.mengla.runs.collect import Order, Selection, backfill_plan, fill_plan, period_plan, start
from apps.sync_tasks import services as runs
from apps.sync_tasks.choices import RunStatus
from apps.sync_tasks.models import SyncTask
from apps.sync_tasks.work import Counts
from tests.factories.categories import Node
from tests.mengla.runs.support import collections_of, end_all, identities_of, plan_now, run_document, store

pytestmark = [pytest.mark.django_db, pytest.mark.mongo, pytest.mark.redis]
ORDER = Order("tests")
JUNE = parse_period("202506")


@pytest.fixture(autouse=True)
def _tree(sample_tree: list[Node]) -> None:
    """Two level-1 categories: 1000 and 2000."""


@pytest.fixture(autouse=True)
def _small_batches(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Make several batches of a small plan."""
    monkeypatch.setattr(planning, "_BATCH_QUERIES", 3)
    yield


def june_run(**options: object) -> str:
    return start(period_plan(JUNE, **options), ORDER).run_id  # type: ignore[arg-type]


def test_a_run_collects_four_actions_and_the_trend_of_each_level_1_category() -> None:
    run = plan_now(june_run())
    assert run["is_planned"]
    assert run["status"] == RunStatus.RUNNING
    assert sorted(identities_of(str(run["_id"]))) == sorted(
        [f"{action}:{cat}:month:202506" for action in ("high", "hot", "chance", "industryViewV2")
         for cat in (1000, 2000)]
        + [f"industryTrendRange:{cat}:month:202501~202506" for cat in (1000, 2000)]
    )  # fmt: skip
    assert {one["priority"] for one in collections_of(str(run["_id"]))} == {Priority.MANUAL}


def test_fresh_figures_are_left_out_and_the_run_says_how_many_and_why() -> None:
    store(DataQuery(Action.HOT, "1000", JUNE, JUNE))
    run = plan_now(june_run())
    assert run["skipped"] == {"fresh": 1}
    assert len(collections_of(str(run["_id"]))) == 9


def test_stale_figures_are_collected_again_but_are_no_gap() -> None:
    stale = DataQuery(Action.HOT, "1000", JUNE, JUNE)
    store(stale, age_days=3)
    assert stale.identity in identities_of(str(plan_now(june_run())["_id"]))
    fill = start(fill_plan(JUNE, JUNE), ORDER)
    run = plan_now(fill.run_id)
    assert stale.identity not in identities_of(fill.run_id)
    assert run["skipped"] == {"present": 1}


def test_force_leaves_nothing_out_and_skips_the_check_before_sending() -> None:
    store(DataQuery(Action.HOT, "1000", JUNE, JUNE))
    run = plan_now(june_run(is_forced=True))
    assert run["skipped"] == {}
    assert all(one["is_forced"] for one in collections_of(str(run["_id"])))


def test_a_collection_under_way_is_joined_with_the_higher_priority() -> None:
    query = DataQuery(Action.HOT, "1000", JUNE, JUNE)
    reader = jobs.enqueue(query, priority=Priority.READER, requested_by="reader")
    run_id = june_run()
    plan_now(run_id)
    joined = next(one for one in collections_of(run_id) if one["identity"] == query.identity)
    assert joined["_id"] == reader.collection_id
    assert joined["priority"] == Priority.READER
    assert collection_of(Collection).count_documents({"identity": query.identity}) == 1


def test_a_planner_killed_anywhere_is_followed_by_one_that_plans_each_question_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    run_id = june_run(is_forced=True)
    note = runs.note_planned
    calls = 0

    def die_after_enqueueing(*args: object, **kwargs: object) -> bool:
        nonlocal calls
        calls += 1
        if calls == 3:
            raise KeyboardInterrupt  # the second batch is enqueued, but not yet noted
        return note(*args, **kwargs)  # type: ignore[arg-type]

    monkeypatch.setattr(runs, "note_planned", die_after_enqueueing)
    with pytest.raises(KeyboardInterrupt):
        planning.plan_run(run_id)
    monkeypatch.undo()
    assert not run_document(run_id)["is_planned"]
    end_all()  # what was enqueued ends before the next planner comes
    collection_of(SyncTask).update_many({}, {"$set": {"planner_until": None}})

    plan_now(run_id)
    identities = identities_of(run_id)
    assert len(identities) == len(set(identities)) == 10
    end_all()
    assert run_document(run_id)["totals"]["completed"] == 10


def kill_after_a_batch(run_id: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Have the run planned by a worker that dies when its first three questions are in the queue."""

    def die() -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
        patched.setattr(planning, "wake_dispatcher", die)
        planning.plan_run(run_id)
    let_lease_run_out()


def let_lease_run_out() -> None:
    collection_of(SyncTask).update_many({}, {"$set": {"planner_until": None}})


def test_a_planner_that_slept_past_its_lease_adds_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    run_id = june_run(is_forced=True)
    wake_dispatcher = planning.wake_dispatcher

    def sleep_meanwhile() -> None:
        monkeypatch.setattr(planning, "wake_dispatcher", wake_dispatcher)
        let_lease_run_out()
        planning.plan_run(run_id)
        end_all()

    monkeypatch.setattr(planning, "wake_dispatcher", sleep_meanwhile)
    planning.plan_run(run_id)
    identities = identities_of(run_id)
    assert len(identities) == len(set(identities)) == 10
    assert run_document(run_id)["totals"]["completed"] == 10


def test_numbers_counted_before_the_planning_ended_do_not_end_the_run(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    run_id = june_run(is_forced=True)
    kill_after_a_batch(run_id, monkeypatch)
    count = run_state.count

    def planned_meanwhile(counted: str) -> Counts:
        counts = count(counted)
        monkeypatch.setattr(run_state, "count", count)
        planning.plan_run(run_id)
        return counts

    monkeypatch.setattr(run_state, "count", planned_meanwhile)
    end_all()  # three of ten
    assert run_document(run_id)["status"] == RunStatus.RUNNING
    monkeypatch.setattr(run_state, "count", count)
    plan_now(run_id)
    end_all()
    assert run_document(run_id)["totals"]["completed"] == 10


def test_two_planners_do_not_plan_one_run() -> None:
    run_id = june_run()
    assert runs.claim_planner_lease(run_id, token="other", seconds=60) is not None
    assert planning.plan_run(run_id) == 0
    assert collections_of(run_id) == []


def test_a_run_cancelled_while_it_is_planned_leaves_nothing_pending(monkeypatch: pytest.MonkeyPatch) -> None:
    run_id = june_run()
    enqueue_many = planning.enqueue_many

    def cancel_meanwhile(*args: object, **kwargs: object) -> None:
        if run_document(run_id)["status"] == RunStatus.RUNNING and collections_of(run_id):
            runs.cancel_run(run_id=run_id, cancelled_by="tests")
        enqueue_many(*args, **kwargs)  # type: ignore[arg-type]

    monkeypatch.setattr(planning, "enqueue_many", cancel_meanwhile)
    planning.plan_run(run_id)
    statuses = {one["status"] for one in collections_of(run_id)}
    assert statuses == {CollectionStatus.CANCELLED}
    assert len(collections_of(run_id)) < 10


def test_a_run_with_nothing_to_do_is_completed_at_once() -> None:
    for cat_id in ("1000", "2000"):
        store(DataQuery(Action.HOT, cat_id, JUNE, JUNE))
    run_id = june_run(selection=Selection(actions=(Action.HOT,)))
    run = plan_now(run_id)
    assert run["status"] == RunStatus.COMPLETED
    assert run["totals"]["total"] == 0
    assert run["skipped"] == {"fresh": 2}


def test_an_unreadable_plan_fails_the_run_and_says_so() -> None:
    run_id = june_run()
    collection_of(SyncTask).update_many({}, {"$set": {"parameters": {"spans": [["week", "1", "2", "3"]]}}})
    run = plan_now(run_id)
    assert run["status"] == RunStatus.FAILED
    assert "plan" in run["error_message"]


def test_the_preview_tells_what_the_run_would_do_and_changes_nothing() -> None:
    store(DataQuery(Action.HOT, "1000", JUNE, JUNE))
    preview = planning.preview_plan(backfill_plan(JUNE, JUNE))
    assert (preview.total, preview.skipped, preview.to_collect) == (10, {"fresh": 1}, 9)
    assert collection_of(Collection).count_documents({}) == 0
    assert collection_of(SyncTask).count_documents({}) == 0


def test_a_backfill_goes_behind_everything_else() -> None:
    backfill = start(backfill_plan(JUNE.shift(-30), JUNE), ORDER)
    plan_now(backfill.run_id)
    assert len(collections_of(backfill.run_id)) > 200
    reader = DataQuery(Action.HOT, "1001", JUNE, JUNE)
    jobs.enqueue(reader, priority=Priority.READER, requested_by="reader")
    claimed = jobs.claim(slot_count=1)
    assert claimed is not None
    assert claimed["identity"] == reader.identity
