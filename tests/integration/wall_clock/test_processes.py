"""What one process does is seen by all others within a second."""

from __future__ import annotations

import threading
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
    deadline = time.monotonic() + 60
    revoked_at: list[float] = []

    def use(client: httpx.Client, is_accepted: threading.Event) -> None:
        """Use the token without a pause until a second after its revocation."""
        while (began := time.monotonic()) < deadline:
            status = client.get("/api/auth/me").status_code
            assert status in (200, 401)
            if status == 200:
                is_accepted.set()
            if revoked_at and began - revoked_at[0] > PROMISED_SECONDS:
                assert status == 401
                return

    def revoke(accepted: list[threading.Event]) -> None:
        """Revoke it in the middle of the others' requests."""
        assert all(one.wait(20) for one in accepted)
        with stack.client() as client:
            assert client.delete(f"/api/auth/tokens/{token_id}").status_code == 200
        revoked_at.append(time.monotonic())

    with stack.web.clients(text) as by_worker:
        clients = [client for (client,) in by_worker.values()]
        accepted = [threading.Event() for _ in clients]
        users = [partial(use, *one) for one in zip(clients, accepted, strict=True)]
        at_once([partial(revoke, accepted), *users])
        assert len(revoked_at) == 1
        assert {client.get("/api/auth/me").status_code for client in clients} == {401}


def test_renewed_figures_are_served_by_every_process_within_a_second(stack: Stack) -> None:
    question = stack.questions.one()
    old = stack.collect(question)
    with stack.web.clients(stack.token) as by_worker:
        clients = [client for (client,) in by_worker.values()]

        def is_kept(client: httpx.Client) -> bool:
            answer = stack.ask(question, client=client)
            return (answer.headers["X-MengLa-Source"], answer.headers["ETag"]) == ("l1", old.headers["ETag"])

        for client in clients:
            wait_until(partial(is_kept, client), timeout_seconds=5, what="the old figures are in its L1")
        stack.simulator.set_knobs(echo=True)  # other figures from now on
        collection_id = stack.collection_id_of(question, stack.ask(question, refresh="true"))
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
