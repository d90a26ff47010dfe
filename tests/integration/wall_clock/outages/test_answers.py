"""MongoDB or Redis hang or die: what can be served is served, the rest is an error within three seconds."""

from __future__ import annotations

import contextlib
import json
import re
import time
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any
from urllib.parse import urlencode

import httpx
import pytest

from apps.mengla.upstream.signature import sign
from config.settings import OUTAGE_REMEMBERED_SECONDS
from tests.integration.databases import OwnServers, stopped
from tests.integration.questions import Question
from tests.integration.stack import Stack
from tests.integration.waiting import at_once, timed, wait_until
from tests.integration.wall_clock.promises import PROMISED_SECONDS, in_time
from tests.programs import ROOT

pytestmark = [pytest.mark.slow, pytest.mark.mongo, pytest.mark.redis]

AT_ONCE = 15  # of the twenty threads of a process
Answer = httpx.Response


def assert_unavailable(answer: Answer, dependency: str = "MongoDB") -> None:
    assert answer.status_code == 503, answer.text
    body = answer.json()
    assert (body["success"], body["error"]) == (False, "DEPENDENCY_UNAVAILABLE")
    assert body["detail"] == dependency


def accepted(stack: Stack, question: Question) -> Mapping[str, Any]:
    """Ask, and wait until the service has accepted it; returns the collection."""
    (collection_id,) = stack.ask_all([question])
    return when_accepted(stack, collection_id)


def accepted_refresh(stack: Stack, question: Question) -> Mapping[str, Any]:
    """Have figures renewed by a service that never calls back; returns the collection when it is accepted."""
    stack.simulator.set_knobs(drop_rate=1)
    collection_id = stack.collection_id_of(question, stack.ask(question, refresh="true"))
    collection = when_accepted(stack, collection_id)
    stack.simulator.reset_knobs()
    return collection


def when_accepted(stack: Stack, collection_id: str) -> Mapping[str, Any]:
    wait_until(
        lambda: stack.collection(collection_id)["execution_id"], timeout_seconds=15, what="it is accepted"
    )
    return stack.collection(collection_id)


def call_webhook(
    stack: Stack, client: httpx.Client, collection: Mapping[str, Any], rows: list[Any]
) -> Answer:
    body = json.dumps(
        {
            "executionId": collection["execution_id"],
            "status": "completed",
            "resultData": {f"{collection['action']}List": {"code": 0, "data": {"list": rows}}},
        }
    ).encode()
    return client.post(
        "/api/webhook/mengla-notify",
        params={"collection": str(collection["_id"]), "token": collection["attempt_token"]},
        content=body,
        headers={
            "Content-Type": "application/json",
            "X-Signature-256": sign(body, stack.environment["WEBHOOK_SECRET"]),
        },
    )


def assert_hit(stack: Stack, question: Question, client: httpx.Client) -> None:
    answer = in_time(partial(stack.ask, question, client=client))
    assert answer.status_code == 200
    assert answer.headers["X-MengLa-Source"] in ("l1", "l2")


def assert_unavailable_read(
    stack: Stack, question: Question, client: httpx.Client, **parameters: object
) -> None:
    assert_unavailable(in_time(partial(stack.ask, question, client=client, **parameters)))


def log_in(stack: Stack, client: httpx.Client, password: str) -> Answer:
    return client.post("/api/auth/login", json={"username": "admin", "password": password})


def test_every_address_answers_in_time_while_mongodb_hangs(exposed: Stack, servers: OwnServers) -> None:
    """Each request finds a process that has forgotten the outage, as those do that come after a pause."""
    calls = operations()
    assert len(calls) > 50
    with exposed.web.clients(exposed.token, per_worker=AT_ONCE) as by_worker:
        first, second = by_worker.values()
        with stopped(servers.mongo):
            slow = at_once(
                partial(walk, clients, part) for clients, part in ((first, calls[::2]), (second, calls[1::2]))
            )
    assert [one for found in slow for one in found] == []
    wait_until(
        lambda: exposed.get("/api/auth/tokens").status_code == 200, timeout_seconds=10, what="all is well"
    )


def operations() -> list[tuple[str, str, Any]]:
    """Every method of every address, with a body that is good enough to come to the database."""
    paths = json.loads((ROOT / "tests/contract/openapi.json").read_text())["paths"]
    span = {"granularity": "month", "startDate": "2024-01", "endDate": "2024-03"}
    figures = {"catId": "4200", "timest": "2024-05", "action": "hot"}
    bodies = {
        "/api/auth/generate-token": {"label": "while it hangs"},
        "/api/auth/login": {"username": "admin", "password": "a wrong password"},
        "/api/admin/backfill": span,
        "/api/admin/mengla/status": span,
        "/api/panel/data/fill": span,
        "/api/admin/mengla/enqueue-full-crawl": {},
        "/api/admin/tasks/cancel-all": {"confirm": True},
        "/api/panel-config": {"layout": {}},
        "/api/panel/config": {"layout": {}},
    }
    query = "?" + urlencode({"primaryCatId": "4200", "action": "hot", "timest": "2024-05"})
    calls = []
    for template, methods in paths.items():
        path = re.sub(r"{\w+}", "0" * 24, template.replace("{task_id}", "daily_collect"))
        body = figures if path.startswith("/api/mengla/") else bodies.get(path, {})
        calls += [(method, path + (query if path == "/api/mengla" else ""), body) for method in methods]
    return calls


def walk(clients: list[httpx.Client], calls: list[tuple[str, str, Any]]) -> list[str]:
    """Call each address after the process has forgotten the outage; returns those that took too long.

    Some are called at the same moment: none of them knows of the outage from another one.
    """
    slow: list[str] = []
    for first in range(0, len(calls), len(clients)):
        time.sleep(OUTAGE_REMEMBERED_SECONDS + 0.1)
        part = calls[first : first + len(clients)]
        slow += filter(None, at_once(partial(told_slow, *one) for one in zip(clients, part, strict=False)))
    return slow


def told_slow(client: httpx.Client, call: tuple[str, str, Any]) -> str:
    method, path, body = call
    sent = {} if method in ("get", "delete") else {"json": body}
    answer, seconds = timed(partial(client.request, method, path, **sent))
    if seconds < PROMISED_SECONDS and answer.status_code != httpx.codes.INTERNAL_SERVER_ERROR:
        return ""
    return f"{method} {path}: {answer.status_code} after {seconds:.1f} s"


def test_while_mongodb_hangs_hits_go_on_and_the_rest_is_told_in_time(
    exposed: Stack, servers: OwnServers
) -> None:
    in_l1, in_l2, uncached, unknown = exposed.questions.some(4)
    # Not read, only collected: what is stored is put into L2.
    exposed.wait_until_ended(exposed.ask_all([in_l1, in_l2]))
    exposed.store([uncached])
    waited_for = accepted(exposed, exposed.questions.one(drop_rate=1))
    hits = [partial(assert_hit, exposed, question) for question in (in_l1, in_l2)]
    misses = [
        partial(assert_unavailable_read, exposed, uncached),
        partial(assert_unavailable_read, exposed, unknown),
        partial(assert_unavailable_read, exposed, unknown, wait=20),
    ]
    with exposed.web.clients(exposed.token) as by_worker:
        clients = [client for (client,) in by_worker.values()]
        for client in clients:
            exposed.ask(in_l1, client=client)

        def meet_the_outage(client: httpx.Client, checks: Iterable[Callable[[httpx.Client], None]]) -> None:
            for check in checks:
                check(client)
            assert_unavailable(in_time(partial(client.get, "/api/mengla/records")))
            assert_unavailable(in_time(partial(client.get, "/api/auth/tokens")))
            assert in_time(partial(client.get, "/health")).status_code == 200
            assert in_time(partial(client.get, "/ready")).status_code == 503
            password = exposed.environment["ADMIN_PASSWORD"]
            assert_unavailable(in_time(partial(log_in, exposed, client, password)))

        with stopped(servers.mongo):
            at_once(
                [
                    # One process learns of the outage by a hit, the other one by a miss.
                    partial(meet_the_outage, clients[0], (*hits, *misses)),
                    partial(meet_the_outage, clients[1], (*misses, *hits)),
                ]
            )
            answer = in_time(partial(call_webhook, exposed, clients[0], waited_for, [{"catName": "kept"}]))
            assert answer.json()["data"] == {"status": "parked"}
        for client in clients:
            wait_until(
                lambda client=client: exposed.ask(uncached, client=client).status_code == 200,
                timeout_seconds=10,
                what="all is well again",
            )
    exposed.tick()
    assert exposed.wait_until_ended([str(waited_for["_id"])]) == {"SUCCEEDED"}
    stored = exposed.database.mengla_data.find_one({"collection_id": str(waited_for["_id"])})
    assert stored is not None
    assert stored["data"]["list"] == [{"catName": "kept"}]
    exposed.collect(unknown)
    exposed.assert_stored_once([in_l1, in_l2, uncached, unknown])


def test_who_lost_access_just_before_mongodb_hangs_is_refused(exposed: Stack, servers: OwnServers) -> None:
    """Both web processes knew the users; another process changes them."""
    names = ("leaver", "changer", "keeper")
    password = "a-long-enough-password"
    with contextlib.ExitStack() as opened:
        callers: dict[str, list[httpx.Client]] = {}
        for name in names:
            exposed.caller.call("tests.integration.jobs.create_operator", name=name, password=password)
            with exposed.client("") as client:
                answer = client.post("/api/auth/login", json={"username": name, "password": password})
            token = exposed.remember(answer.json()["data"]["token"])
            by_worker = opened.enter_context(exposed.web.clients(token))
            callers[name] = [client for (client,) in by_worker.values()]
            assert all(client.get("/api/auth/me").status_code == 200 for client in callers[name])
        exposed.caller.call("tests.integration.jobs.deactivate", name="leaver")
        exposed.caller.call("tests.integration.jobs.change_password", name="changer")
        with stopped(servers.mongo):
            for client in callers["leaver"] + callers["changer"]:
                for path in ("/api/auth/me", "/api/categories"):
                    assert in_time(partial(client.get, path)).status_code == 401
                change = partial(client.put, "/api/panel-config", json={"layout": {"defaultPeriod": "month"}})
                assert in_time(change).status_code == 401
            for client in callers["keeper"]:
                assert in_time(partial(client.get, "/api/auth/me")).status_code == 200


def test_many_readers_at_once_do_not_hang_when_mongodb_does(exposed: Stack, servers: OwnServers) -> None:
    unknown, waited_for = exposed.questions.one(), exposed.questions.one(drop_rate=1)
    collection = accepted(exposed, waited_for)

    def wait_for_a_collection() -> tuple[Answer, float]:
        answer = exposed.ask(waited_for, wait=30)
        return answer, time.monotonic()

    many = 2 * exposed.shape.web_threads  # in each process
    with ThreadPoolExecutor(1) as pool, exposed.web.clients(exposed.token, per_worker=many) as by_worker:
        clients = [client for some in by_worker.values() for client in some]
        readers = [partial(timed, partial(exposed.ask, unknown, client=client)) for client in clients]
        waiting = pool.submit(wait_for_a_collection)
        wait_until(
            lambda: exposed.collection(str(collection["_id"]))["updated_at"] > collection["updated_at"],
            timeout_seconds=5,
            what="the reader has joined the collection",
        )
        with stopped(servers.mongo):
            stopped_at = time.monotonic()
            for answer, seconds in at_once(readers):
                assert_unavailable(answer)
                assert seconds < PROMISED_SECONDS
            answer, ended_at = waiting.result()
            assert_unavailable(answer)
            assert ended_at - stopped_at < PROMISED_SECONDS
    assert exposed.collect(unknown).status_code == 200


def test_while_redis_hangs_everything_stored_is_served_and_logins_stay_limited(
    exposed: Stack, servers: OwnServers
) -> None:
    renewed, stored, unknown = exposed.questions.some(3)
    old = exposed.collect(renewed)
    exposed.store([stored])
    refreshed = accepted_refresh(exposed, renewed)
    with exposed.web.clients(exposed.token) as by_worker:
        clients = [client for (client,) in by_worker.values()]
        for client in clients:
            assert exposed.ask(renewed, client=client).headers["ETag"] == old.headers["ETag"]

        def meet_the_outage(client: httpx.Client) -> None:
            for question, status in ((stored, 200), (unknown, 202), (stored, 200)):
                answer = in_time(partial(exposed.ask, question, client=client))
                assert answer.status_code == status
            assert in_time(partial(client.get, "/api/auth/me")).status_code == 200
            assert in_time(partial(client.get, "/ready")).status_code == 503

        with stopped(servers.redis):
            at_once(partial(meet_the_outage, client) for client in clients)
            taken = in_time(partial(call_webhook, exposed, clients[0], refreshed, [{"catName": "new"}]))
            assert taken.json()["data"] == {"status": "stored"}
            for client in clients:
                assert (
                    in_time(partial(exposed.ask, renewed, client=client)).headers["ETag"]
                    != old.headers["ETag"]
                )
            assert_logins_are_limited(exposed, clients[0])
        exposed.tick()
        told_at = time.monotonic()
        for client in clients:
            wait_until(
                lambda client=client: (
                    exposed.ask(renewed, client=client).headers["ETag"] != old.headers["ETag"]
                ),
                timeout_seconds=1.0 - (time.monotonic() - told_at) + 0.5,
                what="the figures of meanwhile are served",
            )
    assert exposed.collect(unknown).status_code == 200
    assert exposed.collect(exposed.questions.one()).status_code == 200


def assert_logins_are_limited(stack: Stack, client: httpx.Client) -> None:
    """With Redis down each process counts for itself: ten tries, then no more."""
    password = stack.environment["ADMIN_PASSWORD"]
    statuses = [in_time(partial(log_in, stack, client, password)).status_code]
    statuses += [in_time(partial(log_in, stack, client, "a-wrong-password")).status_code for _ in range(11)]
    assert statuses == [200] + [401] * 9 + [429] * 2
    assert "Retry-After" in in_time(partial(log_in, stack, client, password)).headers


def test_after_redis_died_with_all_it_held_everything_goes_on(exposed: Stack, servers: OwnServers) -> None:
    renewed, stored, unknown = exposed.questions.some(3)
    old = exposed.collect(renewed)
    exposed.store([stored])
    waiting = exposed.questions.some(3)
    refreshed = accepted_refresh(exposed, renewed)
    with exposed.web.clients(exposed.token) as by_worker:
        clients = [client for (client,) in by_worker.values()]
        for client in clients:
            assert exposed.ask(renewed, client=client).headers["ETag"] == old.headers["ETag"]
        servers.lose_redis()
        asked = exposed.ask_all([*waiting, unknown])
        for client in clients:
            assert in_time(partial(exposed.ask, stored, client=client)).status_code == 200
        taken = in_time(partial(call_webhook, exposed, clients[0], refreshed, [{"catName": "new"}]))
        assert taken.json()["data"] == {"status": "stored"}
        servers.bring_redis_back()
        for client in clients:  # an empty Redis is another one: no process trusts what it kept
            wait_until(
                lambda client=client: (
                    exposed.ask(renewed, client=client).headers["ETag"] != old.headers["ETag"]
                ),
                timeout_seconds=5,
                what="the figures of meanwhile are served",
            )

    def all_end_when_ticked() -> bool:
        exposed.tick()
        return set(exposed.statuses(asked).values()) == {"SUCCEEDED"}

    wait_until(all_end_when_ticked, timeout_seconds=40, what="what was queued meanwhile is collected")
    assert exposed.collect(exposed.questions.one()).status_code == 200
