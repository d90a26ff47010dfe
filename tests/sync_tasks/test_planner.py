"""The lease of planners."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from django.db import connections

from apps.core.storage.mongo import utc_now
from apps.sync_tasks import selectors, services
from tests.factories import UNKNOWN_ID
from tests.sync_tasks.conftest import FakeWork, change, end, get, start, start_planned

pytestmark = [pytest.mark.mongo, pytest.mark.redis, pytest.mark.django_db]

THREADS = 8


def unplanned_ids() -> list[str]:
    return [str(run["_id"]) for run in selectors.list_unplanned(10)]


def test_of_many_planners_one_gets_the_run() -> None:
    run_id = start()
    barrier = threading.Barrier(THREADS)

    def take(number: int) -> bool:
        try:
            barrier.wait(timeout=30)
            return services.claim_planner_lease(run_id, token=f"planner-{number}", seconds=60) is not None
        finally:
            connections.close_all()

    with ThreadPoolExecutor(THREADS) as pool:
        results = list(pool.map(take, range(THREADS)))
    assert results.count(True) == 1
    assert get(run_id)["planner_token"] == f"planner-{results.index(True)}"


def test_the_lease_comes_with_the_run_and_can_be_taken_again_by_its_holder() -> None:
    run_id = start(parameters={"cat_ids": ["1"]})
    taken = services.claim_planner_lease(run_id, token="a", seconds=60)
    assert taken is not None
    assert taken["parameters"] == {"cat_ids": ["1"]}
    assert taken["planner_until"] > utc_now() + timedelta(seconds=50)
    assert services.claim_planner_lease(run_id, token="b", seconds=60) is None
    assert services.claim_planner_lease(run_id, token="a", seconds=60)


def test_a_dead_planner_is_replaced_and_goes_unheard() -> None:
    run_id = start()
    assert services.claim_planner_lease(run_id, token="dead", seconds=60)
    assert services.note_planned(run_id, token="dead", planned_count=500, skipped={"fresh": 20})
    assert unplanned_ids() == []
    change(run_id, planner_until=utc_now() - timedelta(milliseconds=1))
    assert unplanned_ids() == [run_id]
    taken = services.claim_planner_lease(run_id, token="next", seconds=60)
    assert taken is not None
    assert (taken["planned_count"], taken["skipped"]) == (500, {"fresh": 20})
    assert not services.note_planned(run_id, token="dead", planned_count=9, skipped={"fresh": 1})
    assert not services.mark_planned(run_id, token="dead")
    run = get(run_id)
    assert (run["planned_count"], run["skipped"], run["is_planned"]) == (500, {"fresh": 20}, False)
    assert run["planner_token"] == "next"


def test_a_note_replaces_the_former_and_renews_the_lease() -> None:
    run_id = start()
    assert services.claim_planner_lease(run_id, token="a", seconds=300)
    assert services.note_planned(run_id, token="a", planned_count=1, skipped={"fresh": 1, "present": 2})
    change(run_id, planner_until=utc_now() - timedelta(seconds=1))
    # No other planner came meanwhile: the lease is still its own.
    assert services.note_planned(run_id, token="a", planned_count=2, skipped={"fresh": 5, "$odd.name": 1})
    run = get(run_id)
    assert (run["planned_count"], run["skipped"]) == (2, {"fresh": 5, "$odd.name": 1})
    assert timedelta(seconds=290) < run["planner_until"] - utc_now() <= timedelta(seconds=300)


def test_a_planned_run_is_planned_no_more() -> None:
    run_id = start_planned()
    run = get(run_id)
    assert (run["is_planned"], run["planner_token"], run["planner_until"]) == (True, "", None)
    assert services.claim_planner_lease(run_id, token="b", seconds=60) is None
    assert not services.note_planned(run_id, token="planner", planned_count=1, skipped={})
    assert unplanned_ids() == []


def test_an_ended_run_is_planned_no_more(work: FakeWork) -> None:
    ended, cancelled = end(start_planned()), start()
    services.cancel_run(run_id=cancelled, cancelled_by="tests")
    for run_id in (ended, cancelled):
        assert services.claim_planner_lease(run_id, token="b", seconds=60) is None
        assert not services.mark_planned(run_id, token="")
        assert unplanned_ids() == []


@pytest.mark.parametrize("run_id", [UNKNOWN_ID, "", "x", "é" * 12])
def test_unknown_ids_give_no_lease(run_id: str) -> None:
    start()
    assert services.claim_planner_lease(run_id, token="a", seconds=60) is None
    assert not services.note_planned(run_id, token="a", planned_count=1, skipped={})
    assert not services.mark_planned(run_id, token="a")
