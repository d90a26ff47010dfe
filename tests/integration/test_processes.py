"""What one process does is seen by all others within a second."""

from __future__ import annotations

import time
from functools import partial

import httpx
import pytest

from tests.integration.stack import Stack
from tests.integration.waiting import at_once, wait_until

pytestmark = [pytest.mark.slow, pytest.mark.mongo, pytest.mark.redis]

PROMISED_SECONDS = 1.0


def test_a_revoked_token_is_refused_by_every_process_within_a_second(stack: Stack) -> None:
    text, token_id = stack.create_token()

    def last_accepted_at(client: httpx.Client) -> float:
        """Use the token for two seconds; returns when a request that it was accepted for began."""
        last, deadline = 0.0, time.monotonic() + 2 * PROMISED_SECONDS
        while (began := time.monotonic()) < deadline:
            status = client.get("/api/auth/me").status_code
            assert status in (200, 401)
            if status == 200:
                last = began
        return last

    def revoke() -> float:
        time.sleep(0.5)  # in the middle of the others' requests
        with stack.client() as client:
            assert client.delete(f"/api/auth/tokens/{token_id}").status_code == 200
        return time.monotonic()

    with stack.web.clients(text) as by_worker:
        clients = [client for (client,) in by_worker.values()]
        assert {client.get("/api/auth/me").status_code for client in clients} == {200}
        revoked_at, *last = at_once([revoke, *(partial(last_accepted_at, client) for client in clients)])
        assert len(last) == 4
        assert all(last)  # each had accepted it before
        assert max(last) - revoked_at < PROMISED_SECONDS
        assert {client.get("/api/auth/me").status_code for client in clients} == {401}


def test_renewed_figures_are_served_by_every_process_within_a_second(stack: Stack) -> None:
    question = stack.questions.one()
    old = stack.collect(question)
    with stack.web.clients(stack.token) as by_worker:
        clients = [client for (client,) in by_worker.values()]
        for client in clients:
            stack.ask(question, client=client)
            answer = stack.ask(question, client=client)
            assert (answer.headers["X-MengLa-Source"], answer.headers["ETag"]) == ("l1", old.headers["ETag"])
        stack.simulator.set_knobs(echo=True)  # other figures from now on
        (collection_id,) = [stack.ask(question, refresh="true").json()["data"]["collection"]["id"]]
        wait_until(
            lambda: stack.collection(collection_id)["finished_at"], timeout_seconds=15, what="it is renewed"
        )
        ended_at = time.monotonic()

        def first_new_at(client: httpx.Client) -> float:
            """Read until the new figures come; returns when the last request that got old ones began."""
            last_old = 0.0
            while (began := time.monotonic()) < ended_at + 2 * PROMISED_SECONDS:
                answer = stack.ask(question, client=client)
                if answer.headers["ETag"] == old.headers["ETag"]:
                    last_old = began
                else:
                    assert answer.json()["data"]["list"][0]["_asked"]["timest"] == question.timest
            return last_old

        assert max(at_once(partial(first_new_at, client) for client in clients)) - ended_at < PROMISED_SECONDS
        sources = {stack.ask(question, client=client).headers["X-MengLa-Source"] for client in clients}
        assert sources == {"l1"}
