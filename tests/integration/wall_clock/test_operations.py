"""What operators see and do, over real processes: caches of every process, and answers while servers hang."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from typing import Any

import httpx
import pytest

from tests.integration.databases import OwnServers, stopped
from tests.integration.questions import Question
from tests.integration.stack import Stack
from tests.integration.waiting import at_once, wait_until
from tests.integration.wall_clock.promises import check_in_an_outage, in_time

pytestmark = [pytest.mark.slow, pytest.mark.mongo, pytest.mark.redis]

PROMISED_SECONDS = 4.0
CLEARED_SECONDS = 1.0
ON_MONGODB = {
    "/api/admin/collect-health": {
        "mongodb", "counts", "empty_streaks", "queue", "in_flight", "recent_records", "workers",
    },
    "/api/admin/system/status": {"mongodb", "workers", "queue", "sync_tasks", "scheduler"},
}  # fmt: skip
ON_REDIS = {
    "/api/admin/collect-health": {"redis", "breaker"},
    "/api/admin/system/status": {"redis", "breaker", "web_processes", "clusters"},
}


def source_of(stack: Stack, question: Question, client: httpx.Client) -> str:
    answer = stack.ask(question, client=client)
    assert answer.status_code == 200, answer.text
    return answer.headers["X-MengLa-Source"]


def stats_of(client: httpx.Client) -> dict[str, Any]:
    answer = client.get("/api/admin/cache/stats")
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()["data"]
    return found


def test_l1_is_emptied_in_every_process_within_a_second(stack: Stack) -> None:
    stack.collect(stack.questions.one())
    # Stored, not collected: a process that hears late of a collection may empty its L1 of it once more.
    question = stack.questions.one()
    stack.store([question])
    with stack.web.clients(stack.token) as by_worker:
        clients = {pid: client for pid, (client,) in by_worker.items()}
        for number, (pid, client) in enumerate(clients.items()):
            assert source_of(stack, question, client) == ("l2" if number else "l3")
            assert source_of(stack, question, client) == "l1"
            shown = stats_of(client)
            assert shown["l1"]["process"].endswith(f":{pid}")
            assert shown["l1"]["entries"] >= 1
        first = next(iter(clients.values()))
        answer = first.post("/api/admin/cache/clear-l1")
        assert answer.json()["data"] == {"cleared": True}

        at_once(
            [
                partial(wait_for_source, stack, question, client, lambda source: source == "l2")
                for client in clients.values()
            ]
        )
        l2 = [stats_of(client)["l2"] for client in clients.values()]
        assert all(one == l2[0] for one in l2)
        assert l2[0]["entries"] >= 1


def test_a_warm_up_by_a_worker_spares_every_process_the_database(stack: Stack) -> None:
    known, *questions = stack.questions.some(4)
    for question in (known, *questions):
        stack.collect(question)
    with stack.web.clients(stack.token) as by_worker:
        clients = [client for (client,) in by_worker.values()]
        for client in clients:
            wait_for_source(stack, known, client, lambda source: source == "l1")
        stack.caller.call("apps.core.caching.tiers.clear_all")
        for client in clients:
            wait_for_source(stack, known, client, lambda source: source != "l1")
        started = stack.post("/api/admin/cache/warmup", limit=10_000)
        assert started.status_code == 202, started.text
        address = started.headers["Location"]
        run = wait_until(
            lambda: found if (found := stack.get(address).json()["data"])["status"] != "RUNNING" else None,
            timeout_seconds=20,
            what="the warm-up ends",
        )
        assert run["status"] == "COMPLETED"
        assert run["progress"]["completed"] >= len(questions)
        for client in clients:
            assert {source_of(stack, question, client) for question in questions} == {"l2"}


def wait_for_source(
    stack: Stack, question: Question, client: httpx.Client, is_wanted: Callable[[str], bool]
) -> None:
    """Ask until the process answers from where it should; a second after the change it must."""
    changed_at = time.monotonic()

    def is_heard() -> bool:
        began = time.monotonic()
        is_heard = is_wanted(source_of(stack, question, client))
        assert is_heard or began - changed_at < CLEARED_SECONDS
        return is_heard

    wait_until(is_heard, timeout_seconds=10, what="this process has heard of the last change of the caches")


def assert_reported(client: httpx.Client, path: str, silent: set[str]) -> None:
    """The address answers in time, says which parts are silent and why, and has the data of the others."""
    answer = in_time(partial(client.get, path), seconds=PROMISED_SECONDS)
    assert answer.status_code == 200, answer.text
    data = answer.json()["data"]
    parts = {name: one for name, one in data.items() if isinstance(one, dict) and "ok" in one}
    assert {name for name, one in parts.items() if not one["ok"]} == silent, data
    for name, one in parts.items():
        assert (one["data"] is None, bool(one["error"])) == (name in silent, name in silent)
    assert data["is_complete"] is not bool(silent)


def assert_ready_says(client: httpx.Client, silent: set[str]) -> None:
    assert client.get("/health").status_code == 200
    answer = in_time(partial(client.get, "/ready"), seconds=PROMISED_SECONDS)
    checks = answer.json()["checks"]
    assert answer.status_code == (503 if silent else 200), checks
    assert {name for name, one in checks.items() if not one["ok"]} == silent
    assert all(checks[name]["error"] for name in silent)


@pytest.mark.parametrize(
    "hanging", [(), ("mongo",), ("redis",), ("mongo", "redis")], ids=lambda names: "+".join(names) or "none"
)
def test_operators_get_answers_whatever_hangs(
    exposed: Stack, servers: OwnServers, hanging: tuple[str, ...]
) -> None:
    exposed.tick()  # a worker's sign of life
    with exposed.web.clients(exposed.token, per_worker=3) as by_worker:
        clients = [client for some in by_worker.values() for client in some]
        for client in clients:
            assert client.get("/api/auth/me").status_code == 200
        with stopped(*(getattr(servers, name) for name in hanging)):
            silent = {
                path: (ON_MONGODB[path] if "mongo" in hanging else set())
                | (ON_REDIS[path] if "redis" in hanging else set())
                for path in ON_MONGODB
            }
            unready = ({"mongodb", "worker"} if "mongo" in hanging else set()) | (
                {"redis"} if "redis" in hanging else set()
            )
            checks: list[Callable[[httpx.Client], None]] = [
                partial(assert_reported, path=path, silent=names) for path, names in silent.items()
            ]
            checks.append(partial(assert_ready_says, silent=unready))
            check_in_an_outage(by_worker, checks)
        for client in clients:
            for path in ON_MONGODB:
                wait_until(
                    lambda client=client, path=path: client.get(path).json()["data"]["is_complete"],
                    timeout_seconds=10,
                    what="all is well again",
                )
