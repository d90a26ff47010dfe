"""The collection service goes away and comes back."""

from __future__ import annotations

import time

import httpx
import pytest

from tests.integration.stack import Stack
from tests.integration.waiting import wait_until

pytestmark = [pytest.mark.slow, pytest.mark.mongo, pytest.mark.redis]

BREAKER_SECONDS = 3  # CB_TIMEOUT of the shared stack; it opens after 3 failures
BREAKER_KEY = "mengla:breaker:collection_service"


OUTAGE = ("connect_error", "service_error", "timeout")


def code_of(answer: httpx.Response) -> str | None:
    """Return the code of the reason why the collection of a miss waits."""
    waiting = answer.json()["data"]["collection"]["waiting"]
    return waiting and waiting["code"]


def breaker_state(stack: Stack) -> str:
    with stack.redis() as client:
        return (client.hget(BREAKER_KEY, "state") or b"closed").decode()


def test_an_outage_of_the_service_opens_the_breaker_and_stale_figures_go_on_being_served(
    stack: Stack,
) -> None:
    stale = stack.questions.soon_stale()
    kept = stack.collect(stale)
    stack.simulator.set_knobs(down=True)
    waiting = stack.questions.some(6)
    asked = stack.ask_all(waiting)
    wait_until(lambda: breaker_state(stack) == "open", timeout_seconds=15, what="the breaker opens")

    refused_so_far = stack.simulator.stats()["requests_while_down"]
    question = stack.questions.one()
    answer = wait_until(
        lambda: one if (one := stack.ask(question)).status_code == 202 and code_of(one) in OUTAGE else None,
        timeout_seconds=BREAKER_SECONDS * 2,
        what="the reply to a miss says that the service is unavailable",
    )
    assert answer.json()["message"] == answer.json()["data"]["collection"]["waiting"]["message"]
    wait_until(
        lambda: stack.ask(stale).headers["X-MengLa-Freshness"] == "stale",
        timeout_seconds=10,
        what="the second is over in which the figures are fresh",
    )
    for _ in range(5):
        served = stack.ask(stale)
        assert served.status_code == 200
        assert served.headers["X-MengLa-Freshness"] == "stale"
        assert served.json()["data"] == kept.json()["data"]
    # Open means: hardly anything is sent. In this second at most one probe was due.
    assert stack.simulator.stats()["requests_while_down"] <= refused_so_far + 1

    stack.simulator.set_knobs(down=False)
    back_at = time.monotonic()
    wait_until(lambda: breaker_state(stack) == "closed", timeout_seconds=30, what="the breaker closes")
    assert stack.collect(question).status_code == 200
    # The outage cost no collection an attempt.
    assert stack.wait_until_ended(asked) == {"SUCCEEDED"}
    assert {stack.collection(one)["attempts"] for one in asked} == {1}
    assert time.monotonic() - back_at < 30
    stack.assert_stored_once([question, *waiting])
    fresh = wait_until(
        lambda: one if (one := stack.collect(stack.questions.one())).status_code == 200 else None,
        timeout_seconds=20,
        what="new misses are collected as ever",
    )
    assert fresh.json()["message"] == "ok"


def test_a_failed_collection_says_why(stack: Stack) -> None:
    stack.simulator.set_knobs(failure_rate=1)
    question = stack.questions.one()
    (collection_id,) = stack.ask_all([question])
    stack.wait_until_ended([collection_id])
    facts = stack.get(f"/api/mengla/collections/{collection_id}").json()["data"]
    assert (facts["status"], facts["attempts"], facts["error"]) == ("FAILED", 2, "execution_failed")
    assert "simulated failure" in facts["error_message"]
