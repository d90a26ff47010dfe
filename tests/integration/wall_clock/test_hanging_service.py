"""While the collection service hangs, nothing else does."""

from __future__ import annotations

import statistics
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial

import httpx
import pytest

from tests.integration.questions import Question
from tests.integration.stack import Stack
from tests.integration.waiting import at_once, timed, wait_until

pytestmark = [pytest.mark.slow, pytest.mark.mongo, pytest.mark.redis]

MISSES = 100
THREADS = 4  # of each web process of the shared stack
HANG_SECONDS = 3.0
REQUEST_TIMEOUT_SECONDS = 2.0  # COLLECT_REQUEST_TIMEOUT_SECONDS of the shared stack: who waits, waits so long


@contextmanager
def hanging(stack: Stack) -> Iterator[None]:
    """Let the service hang, from the moment it really does."""
    stack.simulator.set_knobs(hang_seconds=HANG_SECONDS)
    before = stack.simulator.stats()["execute_requests"]
    stack.ask_all([stack.questions.one()])
    wait_until(
        lambda: stack.simulator.stats()["execute_requests"] > before, timeout_seconds=10, what="it hangs"
    )
    yield
    stack.simulator.set_knobs(hang_seconds=0)


@contextmanager
def steady_reader(
    stack: Stack, question: Question, client: httpx.Client
) -> Iterator[list[tuple[int, float]]]:
    """Read a stored figure again and again meanwhile; gives the statuses and times."""
    seen: list[tuple[int, float]] = []
    is_over = threading.Event()

    def read() -> None:
        while not is_over.is_set():
            answer, seconds = timed(partial(stack.ask, question, client=client))
            seen.append((answer.status_code, seconds))

    thread = threading.Thread(target=read)
    thread.start()
    try:
        yield seen
    finally:
        is_over.set()
        thread.join()


def test_a_miss_is_answered_in_milliseconds_while_the_service_hangs(stack: Stack) -> None:
    with hanging(stack), stack.client() as client:
        answers = [timed(partial(stack.ask, one, client=client)) for one in stack.questions.some(30)]
    assert {answer.status_code for answer, _ in answers} == {202}
    seconds = [each for _, each in answers]
    assert statistics.median(seconds) < REQUEST_TIMEOUT_SECONDS / 10
    assert max(seconds) < REQUEST_TIMEOUT_SECONDS


def test_a_hundred_misses_and_hits_at_once_hold_no_thread_while_the_service_hangs(stack: Stack) -> None:
    stored = stack.questions.one()
    stack.collect(stored)
    questions = stack.questions.some(MISSES)
    with hanging(stack), stack.client() as client, steady_reader(stack, stored, client) as hits:
        answers, seconds = timed(
            lambda: at_once(partial(stack.ask, question) for question in questions),
        )
        sent = stack.simulator.stats()["execute_requests"]
        health = stack.get("/health")
    assert {answer.status_code for answer in answers} == {202}
    assert len({answer.json()["data"]["collection"]["id"] for answer in answers}) == MISSES
    # Had a miss waited for the service, the service would have been asked before the miss was answered.
    assert sent < MISSES / 4
    assert seconds < MISSES / (4 * THREADS) * REQUEST_TIMEOUT_SECONDS
    assert health.status_code == 200
    assert {status for status, _ in hits} == {200}


def test_waiting_readers_take_at_most_half_of_the_threads(stack: Stack) -> None:
    stored = stack.questions.one()
    stack.collect(stored)
    question = stack.questions.one(delay_seconds=2.5)
    with stack.web.clients(stack.token, per_worker=THREADS + 1) as by_worker:
        clients = next(iter(by_worker.values()))

        def wait(client: httpx.Client) -> tuple[int, float]:
            answer, seconds = timed(partial(stack.ask, question, client=client, wait=20))
            return answer.status_code, seconds

        with steady_reader(stack, stored, clients[0]) as hits:
            waited = at_once(partial(wait, client) for client in clients[1:])
    assert Counter(status for status, _ in waited) == {200: THREADS // 2, 202: THREADS // 2}
    without_a_place = [seconds for status, seconds in waited if status == 202]
    waited_to_the_end = [seconds for status, seconds in waited if status == 200]
    assert max(without_a_place) < min(waited_to_the_end)
    assert min(waited_to_the_end) > 1.5
    assert {status for status, _ in hits} == {200}
    assert max(seconds for _, seconds in hits) < min(waited_to_the_end)
