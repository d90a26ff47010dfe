"""One question is asked of the collection service once, however many ask it where."""

from __future__ import annotations

from collections import Counter
from functools import partial

import httpx
import pytest

from tests.integration.questions import Question
from tests.integration.stack import Stack
from tests.integration.waiting import at_once, wait_until

pytestmark = [pytest.mark.slow, pytest.mark.mongo, pytest.mark.redis]

READERS = 50


def test_fifty_misses_at_once_over_four_processes_make_one_request(stack: Stack) -> None:
    stack.simulator.set_knobs(delay_seconds=2.0)
    question = stack.questions.one()

    def read(number: int, client: httpx.Client) -> tuple[int, bytes]:
        # Some wait in the server, the others come again.
        first = stack.ask(question, client=client, wait=20 if number % 5 == 0 else 0)
        answer = wait_until(
            lambda: again if (again := stack.ask(question, client=client)).status_code == 200 else None,
            timeout_seconds=20,
            what="the figures are there",
        )
        return first.status_code, answer.content

    with stack.web.clients(stack.token, per_worker=READERS // 4 + 1) as by_worker:
        assert len(by_worker) == 4
        clients = [client for clients in by_worker.values() for client in clients][:READERS]
        answers = at_once(partial(read, number, client) for number, client in enumerate(clients))
    assert len(answers) == READERS
    firsts = Counter(status for status, _ in answers)
    assert set(firsts) <= {200, 202}
    assert firsts[202] > READERS // 2  # they did ask while nothing was there
    assert len({body for _, body in answers}) == 1
    # One that looked before the figures were stored, and asked after, may have begun another flight: it
    # ends without a request.
    collections = list(stack.database.mengla_collections.find({"identity": question.identity}))
    stack.wait_until_ended(str(one["_id"]) for one in collections)
    assert stack.simulator.stats()["execute_requests"] == 1
    assert [bool(one["execution_id"]) for one in collections].count(True) == 1
    stack.assert_stored_once([question])


def test_different_questions_at_once_each_get_their_own_figures(stack: Stack) -> None:
    questions: list[Question] = [*stack.questions.some(5), stack.questions.trend(4), stack.questions.trend(7)]
    answers = at_once(partial(stack.collect, question) for question in questions)
    for question, answer in zip(questions, answers, strict=True):
        expected = list(question.expected_records.values())
        data = answer.json()["data"]
        if isinstance(data, dict):
            data.pop("secondaryCategories")
        assert data == (expected if question.query.is_trend else expected[0])
    stack.assert_stored_once(questions)
