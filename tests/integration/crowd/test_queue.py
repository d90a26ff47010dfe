"""The queue between processes: a collection is claimed once, and requests keep their distance."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import pytest

from tests.integration.conftest import run_stack
from tests.integration.parts import Caller
from tests.integration.stack import ENDED, Shape, Stack
from tests.integration.waiting import at_once, wait_until

pytestmark = [pytest.mark.slow, pytest.mark.mongo, pytest.mark.redis]

COLLECTIONS = 2000
CLAIMERS = 8
INTERVAL_SECONDS = 0.3


@pytest.fixture(scope="module")
def bare(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """A stack without web server and clusters: only the test's own processes use the queue."""
    variables = {"COLLECT_INTERVAL_SECONDS": str(INTERVAL_SECONDS), "CB_FAILURE_THRESHOLD": "1000"}
    shape = Shape(web_workers=0, clusters=0, variables=variables)
    yield from run_stack("bare", tmp_path_factory.mktemp("bare"), shape)


@pytest.fixture(scope="module")
def callers(bare: Stack) -> list[Caller]:
    """Eight processes that call the functions they are given."""
    return at_once([bare.start_caller] * CLAIMERS)


def test_eight_processes_claim_two_thousand_collections_each_exactly_once(
    bare: Stack, callers: list[Caller]
) -> None:
    bare.caller.call("tests.integration.jobs.insert_collections", count=COLLECTIONS)
    function = "tests.integration.jobs.claim_until_empty"
    claims: list[list[str]] = at_once(
        partial(caller.call, function, slot_count=64, together=1 + 4 * (number % 2))
        for number, caller in enumerate(callers)
    )
    claimed = [collection_id for one in claims for collection_id in one]
    assert len(claimed) == COLLECTIONS
    assert len(set(claimed)) == COLLECTIONS
    assert all(claims)  # they really worked side by side
    assert bare.wait_until_ended(claimed) == {"SUCCEEDED"}
    assert {one["attempts"] for one in bare.database.mengla_collections.find()} == {1}


def test_requests_keep_their_distance_even_if_several_dispatchers_run(
    bare: Stack, callers: list[Caller]
) -> None:
    """The lease is only there for economy: turns, slots and claims hold by themselves."""
    bare.database.mengla_collections.delete_many({})
    bare.simulator.reset_stats()
    bare.simulator.set_knobs(drop_rate=1)  # no web server here: nobody could take the answers
    bare.caller.call("tests.integration.jobs.insert_collections", count=14)
    sent = at_once(
        partial(
            caller.call,
            "tests.integration.jobs.dispatch_without_lease",
            name=str(number),
            max_seconds=60,
            slot_count=14,
        )
        for number, caller in enumerate(callers[:4])
    )
    stats = bare.simulator.stats()
    assert sum(count > 0 for count in sent) > 1
    assert stats["execute_requests"] == len(stats["keys"]) == 14
    assert stats["min_gap_seconds"] >= INTERVAL_SECONDS
    assert stats["max_concurrent_posts"] == 1


def test_requests_keep_their_distance_and_number_with_two_clusters(stack: Stack) -> None:
    stack.simulator.set_knobs(delay_seconds=1.0)  # longer than the interval: several are in flight
    questions = stack.questions.some(14)
    asked = stack.ask_all(questions)
    assert stack.wait_until_ended(asked) == {"SUCCEEDED"}
    stats = stack.simulator.stats()
    assert stats["execute_requests"] == len(stats["keys"]) == 14
    assert stats["min_gap_seconds"] >= INTERVAL_SECONDS
    assert 1 < stats["max_concurrent"] <= 4  # MAX_INFLIGHT_REQUESTS
    stack.assert_stored_once(questions)


def test_hosts_whose_clocks_are_off_break_no_lease_and_no_slot(stack: Stack) -> None:
    stack.simulator.set_knobs(delay_seconds=1.5)
    hosts = at_once(partial(stack.start_caller, ahead_seconds=ahead) for ahead in (90.0, -90.0))
    questions = stack.questions.some(10)
    asked = stack.ask_all(questions)
    overdue = [0, 0]

    def work(number: int) -> bool:
        """Do what any worker does: repair what is overdue, and send what is due."""
        overdue[number] += hosts[number].call("apps.mengla.tasks.tick")["overdue"]
        hosts[number].call(
            "tests.integration.jobs.dispatch_without_lease", name=str(number), max_seconds=1, slot_count=4
        )
        return ENDED.issuperset(stack.statuses(asked).values())

    at_once(
        partial(wait_until, partial(work, number), timeout_seconds=60, what="all are collected")
        for number in (0, 1)
    )
    assert stack.wait_until_ended(asked) == {"SUCCEEDED"}
    assert overdue == [0, 0]  # neither took the attempts of the others for overdue
    stats = stack.simulator.stats()
    assert stats["execute_requests"] == len(stats["keys"]) == len(questions)
    assert stats["max_concurrent"] <= 4  # MAX_INFLIGHT_REQUESTS
    assert stats["min_gap_seconds"] >= INTERVAL_SECONDS
    assert {stack.collection(one)["attempts"] for one in asked} == {1}
    for record in stack.database.mengla_data.find({"collection_id": {"$in": list(asked)}}):
        assert 0 <= record["collect_duration_ms"] < 60_000
    for host in hosts:
        host.stop()
