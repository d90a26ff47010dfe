"""kill -9 in the middle of the work: nothing is lost, nothing is doubled, everything ends."""

from __future__ import annotations

import re
import signal
from collections.abc import Iterator, Mapping

import pytest

from tests.integration.conftest import run_stack
from tests.integration.parts import kill_process
from tests.integration.questions import Question
from tests.integration.stack import ENDED, Shape, Stack
from tests.integration.waiting import wait_until

pytestmark = [pytest.mark.slow, pytest.mark.mongo, pytest.mark.redis]


@pytest.fixture(scope="module")
def fragile(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """A stack whose processes are killed; small timeouts, so that the losses are noticed soon."""
    shape = Shape(
        clusters=2,
        variables={
            "COLLECT_REQUEST_TIMEOUT_SECONDS": "2",
            "MENGLA_TIMEOUT_SECONDS": "4",
            "COLLECT_INTERVAL_SECONDS": "0.01",  # so one request is sent at a time
            "MAX_INFLIGHT_REQUESTS": "2",
            "COLLECT_MAX_ATTEMPTS": "4",
            "CB_FAILURE_THRESHOLD": "1000",
        },
    )
    yield from run_stack("fragile", tmp_path_factory.mktemp("fragile"), shape)


@pytest.fixture(autouse=True)
def _at_rest(fragile: Stack) -> None:
    fragile.reset()


def ended_count(stack: Stack, asked: Mapping[str, Question]) -> int:
    return sum(status in ENDED for status in stack.statuses(asked).values())


def kill_in_the_middle(stack: Stack, **knobs: float) -> str:
    """Kill the dispatching cluster while its next request is under way; returns the id of the collection.

    The knobs hold for this request only.
    """
    stack.simulator.set_knobs(hang_seconds=1.5, **knobs)
    before = stack.simulator.stats()["execute_requests"]  # those that came by now may not hang
    wait_until(
        lambda: stack.simulator.stats()["execute_requests"] > before,
        timeout_seconds=30,
        what="the next request comes",
    )
    stack.kill(stack.dispatching_cluster())
    stack.simulator.reset_knobs()
    # One dispatcher sends one request at a time: what was sent and not accepted is the killed one's.
    found = list(stack.database.mengla_collections.find({"status": "DISPATCHED", "execution_id": ""}))
    assert len(found) == 1
    return str(found[0]["_id"])


def assert_all_there_once(stack: Stack, asked: Mapping[str, Question]) -> None:
    assert set(stack.statuses(asked).values()) == {"SUCCEEDED"}
    assert stack.database.mengla_collections.count_documents({"slot": {"$ne": None}}) == 0
    stack.assert_stored_once(asked.values())


def test_killed_workers_and_a_killed_web_process_lose_nothing(fragile: Stack) -> None:
    fragile.simulator.set_knobs(delay_seconds=0.5)
    questions = [*fragile.questions.some(12), fragile.questions.trend(6)]
    asked = fragile.ask_all(questions)
    wait_until(lambda: ended_count(fragile, asked) >= 2, timeout_seconds=30, what="some have ended")

    # Both clusters die; the answer that comes meanwhile is stored, by the web server alone.
    interrupted = kill_in_the_middle(fragile)
    for cluster in list(fragile.clusters):
        fragile.kill(cluster)
    fragile.wait_until_ended([interrupted], timeout_seconds=15)
    assert fragile.simulator.wait_idle(10)
    assert ended_count(fragile, asked) < len(asked) - 1

    # Another one dies with a request whose answer never comes, and with it a web process.
    fragile.simulator.set_knobs(hang_seconds=0.4)
    fragile.start_cluster().wait_until_ready()
    wait_until(
        lambda: fragile.tick() or fragile.dispatches(), timeout_seconds=20, what="the new cluster goes on"
    )
    lost = kill_in_the_middle(fragile, drop_rate=1)
    victim = min(fragile.web.worker_pids())
    kill_process(victim)
    assert fragile.simulator.wait_idle(10)
    assert fragile.statuses([lost]) == {lost: "DISPATCHED"}
    assert ended_count(fragile, asked) < len(asked) - 1

    fragile.start_cluster().wait_until_ready()

    def all_end_when_ticked() -> bool:
        fragile.tick()
        return ended_count(fragile, asked) == len(asked)

    wait_until(all_end_when_ticked, timeout_seconds=60, what="every collection ends")
    assert fragile.collection(lost)["attempts"] == 2
    assert_all_there_once(fragile, asked)
    assert victim not in fragile.web.worker_pids()  # it was replaced
    assert all(fragile.ask(question).status_code == 200 for question in questions)


def test_the_other_cluster_goes_on_by_itself(fragile: Stack) -> None:
    while len(fragile.clusters) < 2:
        fragile.start_cluster().wait_until_ready()
    fragile.simulator.set_knobs(hang_seconds=0.4)
    asked = fragile.ask_all(fragile.questions.some(8))
    wait_until(lambda: ended_count(fragile, asked) >= 1, timeout_seconds=90, what="one has ended")
    lost = kill_in_the_middle(fragile, drop_rate=1)
    assert len(fragile.clusters) == 1
    assert ended_count(fragile, asked) < len(asked) - 1
    fragile.wait_until_ended(asked, timeout_seconds=180)
    assert fragile.collection(lost)["attempts"] == 2
    assert_all_there_once(fragile, asked)


def test_a_cluster_that_runs_nothing_is_replaced(fragile: Stack) -> None:
    """The killed processes held a lock of django-q2's queues, so those that replace them cannot work."""
    while len(fragile.clusters) < 2:
        fragile.start_cluster().wait_until_ready()
    first, second = fragile.clusters
    before = {cluster: cluster.sentinel() for cluster in fragile.clusters}
    for worker in first.workers_and_monitor()[0]:  # one of them waits for a task, and so holds the lock
        worker.kill()
    second.workers_and_monitor()[1].kill()
    asked = fragile.ask_all(fragile.questions.some(6))
    named: set[str] = set()

    def are_both_named() -> bool:
        named.update(re.findall(r"process (\d+) on", remark_of(fragile)))
        return named == {str(cluster.process.pid) for cluster in before}

    wait_until(are_both_named, timeout_seconds=60, what="/ready has named both")
    wait_until(
        lambda: all(one.sentinel() not in (None, sentinel) for one, sentinel in before.items()),
        timeout_seconds=60,
        what="both are replaced",
    )
    wait_until(
        lambda: "was replaced" in fragile.caller.call("tests.integration.jobs.diagnose_worker"),
        timeout_seconds=30,
        what="diagnose tells of it",
    )
    assert fragile.log_text().count('"cluster_replaced"') == 2
    fragile.wait_until_ended(asked, timeout_seconds=60)
    assert_all_there_once(fragile, asked)

    # The first process of a cluster is replaced, too, and the command still ends as it was asked to.
    sentinel = first.sentinel()
    assert sentinel is not None
    sentinel.kill()
    wait_until(lambda: first.sentinel() not in (None, sentinel), timeout_seconds=30, what="it is replaced")
    first.wait_until_ready()
    first.process.send_signal(signal.SIGTERM)
    assert first.process.wait(60) == 0
    fragile.clusters.remove(first)


def remark_of(stack: Stack) -> str:
    """Return what /ready says about the workers."""
    return str(stack.get("/ready").json()["checks"]["worker"]["error"])
