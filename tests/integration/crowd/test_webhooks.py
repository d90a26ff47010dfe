"""Every way the collection service may call back, through the whole product."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import httpx
import pytest

from apps.mengla.simulator.data import result_of
from apps.mengla.simulator.query import parse_parameters
from apps.mengla.upstream.signature import sign
from tests.integration.questions import Question
from tests.integration.stack import ENDED, Stack
from tests.integration.waiting import POLL_SECONDS, wait_until

pytestmark = [pytest.mark.slow, pytest.mark.mongo, pytest.mark.redis]

PATH = "/api/webhook/mengla-notify"
TICK_SECONDS = 0.5
# The shared stack waits 6 s for an answer, and tries twice. How many tries a late answer finds depends on the
# machine; what it does to each is tested below, by hand.
SCENARIOS: Mapping[str, Mapping[str, Any]] = {
    "late": {"late_seconds": 7},
    "forged": {"wrong_signature_rate": 1},
    "html": {"garbage_rate": 1, "garbage_kind": "html"},
    "list": {"garbage_rate": 1, "garbage_kind": "list"},
    "never": {"drop_rate": 1},
    "usual": {},
    "twice at once": {"duplicate_rate": 1},
    "twice": {"duplicate_rate": 1, "duplicate_delay_seconds": 0.5},
    "early": {"early": True},
    "heartbeats": {"heartbeats": 3, "delay_seconds": 0.6},
    "wrapped": {"flat_wrap": 3},
    "string": {"garbage_rate": 1, "garbage_kind": "string"},
    "failure": {"failure_rate": 1},
    "empty": {"empty_rate": 1, "empty_kind": "empty_list"},
}


@dataclass(frozen=True)
class Outcome:
    """What became of one question: its collection, the statuses it had, and what a reader gets."""

    question: Question
    collection: Mapping[str, Any]
    history: list[str]
    answer: httpx.Response

    def summary(self) -> tuple[str, int, str]:
        return self.collection["status"], self.collection["attempts"], self.collection["error_code"]


@pytest.fixture(scope="module")
def outcomes(crowd: Stack) -> dict[str, Outcome]:
    """Ask one question per scenario, all at once, and wait until every collection has ended."""
    crowd.reset()
    questions = {name: crowd.questions.one(**sim) for name, sim in SCENARIOS.items()}
    asked = crowd.ask_all(questions.values())
    ids = dict(zip(questions, asked, strict=True))
    history: dict[str, list[str]] = {collection_id: ["PENDING"] for collection_id in asked}
    deadline, ticked_at = time.monotonic() + 60, 0.0
    while not (_all_ended(history) and crowd.statuses([ids["late"]]) == {ids["late"]: "SUCCEEDED"}):
        assert time.monotonic() < deadline, history
        if time.monotonic() - ticked_at > TICK_SECONDS:
            # So many failures would open it, and what fails as its probe does not end.
            crowd.close_breaker()
            crowd.tick()
            ticked_at = time.monotonic()
        for collection_id, status in crowd.statuses(asked).items():
            if history[collection_id][-1] != status:
                history[collection_id].append(status)
        time.sleep(POLL_SECONDS)
    assert crowd.simulator.wait_idle(20)
    crowd.assert_stored_once([questions["usual"]])
    return {
        name: Outcome(question, crowd.collection(ids[name]), history[ids[name]], crowd.ask(question))
        for name, question in questions.items()
    }


def _all_ended(history: Mapping[str, list[str]]) -> bool:
    return all(statuses[-1] in ENDED for statuses in history.values())


@pytest.mark.parametrize("name", ["usual", "twice at once", "twice", "early", "heartbeats", "wrapped"])
def test_an_answer_is_stored_once_and_ends_the_collection(
    crowd: Stack, outcomes: Mapping[str, Outcome], name: str
) -> None:
    outcome = outcomes[name]
    assert outcome.summary() == ("SUCCEEDED", 1, "")
    assert outcome.history[-1] == "SUCCEEDED"
    assert outcome.history.count("SUCCEEDED") == 1
    crowd.assert_stored_once([outcome.question])
    assert outcome.answer.status_code == 200


def test_a_late_answer_is_stored_and_ends_the_collection(
    crowd: Stack, outcomes: Mapping[str, Outcome]
) -> None:
    outcome = outcomes["late"]
    assert (outcome.collection["status"], outcome.collection["error_code"]) == ("SUCCEEDED", "")
    crowd.assert_stored_once([outcome.question])
    assert outcome.answer.status_code == 200


@pytest.mark.parametrize(
    ("name", "error"),
    [
        ("never", "timeout"),
        ("forged", "timeout"),
        ("html", "unreadable_payload"),
        ("list", "unreadable_payload"),
        ("string", "unreadable_payload"),
        ("failure", "execution_failed"),
    ],
)
def test_what_is_no_answer_is_not_stored_and_the_collection_ends_as_failed(
    crowd: Stack, outcomes: Mapping[str, Outcome], name: str, error: str
) -> None:
    outcome = outcomes[name]
    assert outcome.summary() == ("FAILED", 2, error)
    assert outcome.collection["error_message"]
    assert crowd.database.mengla_data.count_documents({"_id": outcome.question.query.record_ids[0]}) == 0
    assert outcome.answer.status_code == 202  # asked anew


def test_an_empty_answer_is_told_as_empty(outcomes: Mapping[str, Outcome]) -> None:
    outcome = outcomes["empty"]
    assert outcome.summary() == ("EMPTY", 1, "")
    assert outcome.answer.status_code == 200
    assert outcome.answer.headers["X-MengLa-Freshness"] == "empty"
    assert outcome.answer.json()["data"] is None
    assert outcome.answer.json()["message"].startswith("empty:")


# --- Called by hand, for the exact answers --------------------------------------------------------


@pytest.fixture
def unanswered(stack: Stack) -> tuple[Question, dict[str, Any]]:
    """A question the service has accepted and will never answer, with its collection."""
    question = stack.questions.one(drop_rate=1)
    (collection_id,) = stack.ask_all([question])
    wait_until(
        lambda: stack.collection(collection_id)["execution_id"], timeout_seconds=15, what="it is accepted"
    )
    return question, stack.collection(collection_id)


def call(stack: Stack, body: bytes, *, signature: str | None = None, **origin: str) -> httpx.Response:
    with stack.client() as client:
        del client.headers["Authorization"]
        client.headers["X-Signature-256"] = signature or sign(body, stack.environment["WEBHOOK_SECRET"])
        client.headers["Content-Type"] = "application/json"
        return client.post(PATH, params=origin, content=body)


def origin_of(collection: Mapping[str, Any]) -> dict[str, str]:
    return {"collection": str(collection["_id"]), "token": collection["attempt_token"]}


def result_body(question: Question, execution_id: str) -> bytes:
    result = result_of(parse_parameters(question.query.service_parameters()))
    return json.dumps({"executionId": execution_id, "status": "completed", "resultData": result}).encode()


def test_each_call_is_told_what_became_of_it(
    stack: Stack, unanswered: tuple[Question, dict[str, Any]]
) -> None:
    question, collection = unanswered
    collection_id, origin = str(collection["_id"]), origin_of(collection)
    body = result_body(question, collection["execution_id"])

    def receipt(answer: httpx.Response) -> tuple[int, str]:
        envelope = answer.json()
        return answer.status_code, envelope["data"]["status"] if envelope["success"] else envelope["error"]

    heartbeat = json.dumps({"executionId": collection["execution_id"], "status": "running"}).encode()
    assert receipt(call(stack, heartbeat, **origin)) == (200, "heartbeat")
    assert receipt(call(stack, body, signature="sha256=" + "0" * 64, **origin)) == (403, "PERMISSION_DENIED")
    assert receipt(call(stack, body, signature=sign(body, "another secret"), **origin))[0] == 403
    assert receipt(call(stack, b"[]")) == (400, "VALIDATION_ERROR")
    assert receipt(call(stack, b"null")) == (400, "VALIDATION_ERROR")
    assert receipt(call(stack, b"<html>")) == (400, "VALIDATION_ERROR")
    assert receipt(call(stack, b"{" + b" " * 20 * 1024 * 1024 + b"}", **origin))[0] == 413
    unknown = json.dumps({"executionId": "nobody-knows-it", "status": "completed", "resultData": {}}).encode()
    assert receipt(call(stack, unknown)) == (200, "parked")
    assert stack.statuses([collection_id]) == {collection_id: "DISPATCHED"}
    assert receipt(call(stack, body, **origin)) == (200, "stored")
    assert stack.statuses([collection_id]) == {collection_id: "SUCCEEDED"}
    stack.assert_stored_once([question])
    assert receipt(call(stack, body, **origin)) == (200, "duplicate")
    assert receipt(call(stack, body)) == (200, "duplicate")  # found by its execution id alone
    stack.assert_stored_once([question])
    assert stack.get(PATH).status_code == 200


@pytest.mark.parametrize("is_given_up", [False, True], ids=["asked again", "given up"])
def test_the_answer_to_an_earlier_try_ends_the_collection(
    stack: Stack, unanswered: tuple[Question, dict[str, Any]], is_given_up: bool
) -> None:
    question, first_try = unanswered
    collection_id = str(first_try["_id"])

    def comes_to_its_second_try() -> bool:
        stack.tick()
        now = stack.collection(collection_id)
        is_asked_again = now["attempts"] == 2 and bool(now["execution_id"])
        return is_asked_again and (now["status"] == "FAILED" or not is_given_up)

    wait_until(comes_to_its_second_try, timeout_seconds=30, what="it is asked again, or given up")
    answer = call(stack, result_body(question, first_try["execution_id"]), **origin_of(first_try))
    assert answer.json()["data"] == {"status": "stored"}
    ended = stack.collection(collection_id)
    assert (ended["status"], ended["attempts"], ended["error_code"]) == ("SUCCEEDED", 2, "")
    stack.assert_stored_once([question])


def test_an_execution_is_found_by_its_id_alone(
    stack: Stack, unanswered: tuple[Question, dict[str, Any]]
) -> None:
    question, collection = unanswered
    answer = call(stack, result_body(question, collection["execution_id"]))
    assert answer.json()["data"] == {"status": "stored"}
    assert stack.ask(question).status_code == 200
    stack.assert_stored_once([question])
