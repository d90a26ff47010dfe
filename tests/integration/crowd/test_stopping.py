"""A stop of the web server and of a cluster lets them finish what they have begun."""

from __future__ import annotations

import re
import signal
import threading
import time
from collections import Counter
from functools import partial
from itertools import chain
from typing import cast

import httpx
import psutil
import pytest

from apps.core.storage import counters
from tests.integration.questions import Question
from tests.integration.stack import Stack
from tests.integration.waiting import at_once, wait_until

pytestmark = [pytest.mark.slow, pytest.mark.mongo, pytest.mark.redis]


def read_counts(stack: Stack) -> int:
    """How many reads of figures all processes have counted, since ever."""
    with stack.redis() as client:
        counts = cast("dict[bytes, bytes]", client.hgetall(counters.total_key_of(counters.STATS)))
    return sum(int(count) for field, count in counts.items() if field.startswith(b"read:"))


def read_often(stack: Stack, question: Question, ids: list[str]) -> None:
    """Read figures over one connection, once for each of these request ids."""
    with stack.client() as client:
        for request_id in ids:
            headers = {"X-Request-ID": request_id}
            answer = client.get("/api/mengla/", params=question.parameters, headers=headers)
            assert answer.status_code == 200


def test_after_sigterm_a_waiting_request_is_finished_and_no_count_and_no_line_is_lost(stack: Stack) -> None:
    stored = stack.questions.one()
    stack.collect(stored)
    with stack.web.clients(stack.token) as by_worker:
        for (client,) in by_worker.values():
            client.get("/api/admin/metrics")  # a process sends its counts before it reads them
    counted_before = read_counts(stack)
    ids = [[f"stop-{number}-{one}" for one in range(15)] for number in range(4)]

    question = stack.questions.one(delay_seconds=2)
    answers: list[tuple[httpx.Response, float]] = []
    reader = threading.Thread(target=lambda: answers.append((stack.ask(question, wait=3), time.monotonic())))
    reader.start()
    criteria = {"identity": question.identity, "status": "DISPATCHED"}
    wait_until(
        lambda: stack.database.mengla_collections.count_documents(criteria),
        timeout_seconds=15,
        what="the reader waits for its collection",
    )
    at_once(partial(read_often, stack, stored, some) for some in ids)
    stopped_at = time.monotonic()
    stack.web.process.send_signal(signal.SIGTERM)
    assert stack.web.process.wait(20) == 0
    reader.join(20)
    ((answer, answered_at),) = answers
    assert answer.status_code in (200, 202)  # the answer of the service may have come before the stop
    assert answer.json()["success"] is True
    assert answered_at > stopped_at  # it was really under way when the signal came
    with pytest.raises(httpx.ConnectError):
        stack.get("/health")
    assert read_counts(stack) - counted_before == 4 * 15 + 1
    lines = Counter(re.findall(r'"request_id": "(stop-[\d-]+)"', stack.log_text()))
    assert lines == dict.fromkeys(chain(*ids), 1)

    stack.start_web()
    stack.web.wait_until_ready()
    # The simulator called while no server listened, and calls again.
    assert stack.collect(question).status_code == 200
    stack.assert_stored_once([question])


def test_a_stopped_cluster_finishes_the_request_it_has_begun(stack: Stack) -> None:
    stack.simulator.set_knobs(hang_seconds=0.6)
    questions = stack.questions.some(3)
    asked = stack.ask_all(questions)
    cluster = stack.dispatching_cluster()
    cluster.process.send_signal(signal.SIGTERM)
    assert cluster.process.wait(60) == 0
    stack.clusters.remove(cluster)
    stack.start_cluster().wait_until_ready()
    assert stack.wait_until_ended(asked) == {"SUCCEEDED"}
    assert {stack.collection(one)["attempts"] for one in asked} == {1}
    stack.assert_stored_once(questions)


def is_alive(process: psutil.Process) -> bool:
    try:
        return bool(process.status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


def test_a_cluster_whose_first_process_is_killed_leaves_no_process_behind(stack: Stack) -> None:
    cluster = stack.start_cluster()
    cluster.wait_until_ready()
    children = cluster.children()
    cluster.process.send_signal(signal.SIGKILL)
    stack.clusters.remove(cluster)
    cluster.process.wait()
    wait_until(
        lambda: not any(map(is_alive, children)),
        timeout_seconds=10,
        what="the other processes of the cluster have ended",
    )
