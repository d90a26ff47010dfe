"""What one process does is seen by all others within a second."""

from __future__ import annotations

import contextlib
import itertools
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

import httpx
import pytest

from tests.integration.questions import Question
from tests.integration.stack import Stack
from tests.integration.waiting import at_once, wait_until

pytestmark = [pytest.mark.slow, pytest.mark.mongo, pytest.mark.redis]

PROMISED_SECONDS = 1.0
PASSWORD = "a-long-enough-password"


def read(client: httpx.Client) -> int:
    """Read what is replayed in front of Django."""
    return client.get("/api/categories").status_code


def read_anew(question: Question, numbers: Iterator[int], client: httpx.Client) -> int:
    """Read figures with another tag each time: no answer can be replayed, and the short way is taken."""
    headers = {"If-None-Match": f'"{next(numbers)}"'}
    return client.get("/api/mengla/", params=question.parameters, headers=headers).status_code


def change(client: httpx.Client) -> int:
    """Change nothing, which needs the permission nevertheless."""
    return client.put("/api/panel-config", json={"layout": {"defaultPeriod": "month"}}).status_code


@dataclass
class Loser:
    """A caller who uses its token without a pause, and loses something meanwhile."""

    token: str
    use: Callable[[httpx.Client], int]
    lose: Callable[[], object]
    refused: int
    lost_at: float | None = None

    def use_until_lost(self, client: httpx.Client, is_accepted: threading.Event) -> None:
        deadline = time.monotonic() + 60
        while (began := time.monotonic()) < deadline:
            status = self.use(client)
            assert status in (200, self.refused)
            if status == 200:
                is_accepted.set()
            if self.lost_at is not None and began - self.lost_at > PROMISED_SECONDS:
                assert status == self.refused
                return
        raise AssertionError("nothing was lost")


def test_what_a_caller_loses_is_refused_by_every_process_within_a_second(stack: Stack) -> None:
    def log_in(name: str) -> str:
        stack.caller.call("tests.integration.jobs.create_operator", name=name, password=PASSWORD)
        with stack.client("") as client:
            answer = client.post("/api/auth/login", json={"username": name, "password": PASSWORD})
        return stack.remember(answer.json()["data"]["token"])

    def lose(name: str, what: str) -> Callable[[], object]:
        return lambda: stack.caller.call(f"tests.integration.jobs.{what}", name=name)

    question = stack.questions.one()
    stack.collect(question)
    read_shortly = partial(read_anew, question, itertools.count())
    text, token_id = stack.create_token()
    other_text, other_id = stack.create_token()
    losers = [
        Loser(text, read, lambda: stack.delete(f"/api/auth/tokens/{token_id}"), 401),
        Loser(other_text, read_shortly, lambda: stack.delete(f"/api/auth/tokens/{other_id}"), 401),
        Loser(log_in("leaver"), read_shortly, lose("leaver", "deactivate"), 401),
        Loser(log_in("changer"), read, lose("changer", "change_password"), 401),
        Loser(log_in("demoted"), change, lose("demoted", "withdraw_permissions"), 403),
    ]

    def lose_all(accepted: list[threading.Event]) -> None:
        assert all(one.wait(20) for one in accepted)
        for one in losers:
            one.lose()
            one.lost_at = time.monotonic()

    with contextlib.ExitStack() as opened:
        calls: list[Callable[[], None]] = []
        accepted: list[threading.Event] = []
        for one in losers:
            by_worker = opened.enter_context(stack.web.clients(one.token))
            for (client,) in by_worker.values():
                accepted.append(threading.Event())
                calls.append(partial(one.use_until_lost, client, accepted[-1]))
        at_once([partial(lose_all, accepted), *calls])


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
