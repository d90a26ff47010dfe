"""Why collections and runs wait, as readers, operators and programs see it."""

from __future__ import annotations

import html
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import redis
from django.test import Client
from rest_framework.test import APIClient

from apps.core.liveness.processes import note_heartbeat
from apps.core.periods import parse_period
from apps.core.storage.mongo import named_collection, utc_now
from apps.mengla.choices import Action, Priority
from apps.mengla.runs import collect
from apps.mengla.runs.collect import Order, Selection, period_plan
from apps.mengla.upstream import breaker, spacing
from tests.mengla.commands.support import run
from tests.mengla.runs.support import plan_now
from tests.mengla.support import change, claim, collections, enqueue, hot

pytestmark = [
    pytest.mark.django_db,
    pytest.mark.mongo,
    pytest.mark.redis,
    pytest.mark.usefixtures("sample_tree"),
]
Miss = Callable[..., Any]
ONE_SLOT = "1 request is in flight, as many as are allowed."
OPENED = datetime(2025, 1, 1, 3, 3, tzinfo=UTC)
OUTAGES = {
    "unauthorized": "The collection service has refused the key since 2025-01-01 11:03.",
    "unknown_task": "The collection service has had no task of this name since 2025-01-01 11:03.",
    "rejected": "The simulator has responded in place of the collection service since 2025-01-01 11:03.",
    "connect_error": "The collection service has been unreachable since 2025-01-01 11:03.",
    "timeout": "The collection service has not answered since 2025-01-01 11:03.",
    "service_error": "The collection service has answered with errors since 2025-01-01 11:03.",
    "execution_failed": "The collection service has failed every collection since 2025-01-01 11:03.",
}


@pytest.fixture(autouse=True)
def _working(settings: Any) -> None:
    """A service is configured, and a worker has just reported."""
    settings.COLLECT_SERVICE_URL = "http://service"
    settings.CB_TIMEOUT = 200.0
    note_heartbeat()


@pytest.fixture
def miss(reader: APIClient) -> Miss:
    def ask(language: str = "en") -> Any:
        question = {"action": "hot", "primaryCatId": "1001", "timest": "2025-06"}
        response = reader.get("/api/mengla", question, headers={"Accept-Language": language})
        assert response.status_code == 202, response.json()
        return response

    return ask


@pytest.fixture
def open_breaker(redis_client: redis.Redis) -> Callable[..., None]:
    def write(reason: str | None, *, state: str = "open", since: datetime = OPENED) -> None:
        facts: dict[str, Any] = {"state": state, "opened_at": int(time.time() * 1000)}
        if reason:
            facts |= {"reason": reason, "since": int(since.timestamp() * 1000)}
        redis_client.hset(breaker.KEY, mapping=facts)

    return write


def waiting_of(response: Any) -> Any:
    return response.json()["data"]["collection"]["waiting"]


def start_run(*cat_ids: str) -> str:
    """Start and plan a run of one collection for each category; returns its id."""
    selection = Selection(cat_ids=cat_ids or ("1000", "2000"), actions=(Action.HOT,))
    run_id = collect.start(period_plan(parse_period("202505"), selection=selection), Order("tests")).run_id
    plan_now(run_id)
    return run_id


def text(client: Client, path: str) -> str:
    response = client.get(path)
    assert response.status_code == 200, path
    return html.unescape(" ".join(response.content.decode().split()))


@pytest.mark.parametrize("code", OUTAGES)
def test_a_miss_says_why_the_service_is_unavailable(
    code: str, miss: Miss, open_breaker: Callable[..., None], reader: APIClient
) -> None:
    open_breaker(code)
    response = miss()
    assert response.json()["message"] == OUTAGES[code]
    reported = {"code": code, "message": OUTAGES[code], "since": "2025-01-01T03:03:00Z"}
    assert waiting_of(response) == reported
    # Asking again before the next probe is of no use.
    assert 190 < int(response.headers["Retry-After"]) <= 200
    status = reader.get(response.headers["Location"]).json()["data"]
    assert (status["waiting"], status["refusals"], status["refused_since"]) == (reported, 0, None)
    open_breaker(code, state="half_open")
    response = miss()
    assert (waiting_of(response), int(response.headers["Retry-After"])) == (reported, 2)


def test_today_is_told_without_its_date_and_in_the_language_of_the_reader(
    miss: Miss, open_breaker: Callable[..., None]
) -> None:
    now = datetime.now(UTC)
    open_breaker("unauthorized", since=now)
    shown = miss().json()["message"]
    assert shown == f"The collection service has refused the key since {now + timedelta(hours=8):%H:%M}."
    assert miss("zh-CN").json()["message"] == f"采集服务自 {now + timedelta(hours=8):%H:%M} 起拒绝密钥。"


def test_an_older_process_gives_no_reason(miss: Miss, open_breaker: Callable[..., None]) -> None:
    open_breaker(None)
    reported = waiting_of(miss())
    assert (reported["code"], reported["since"]) == ("unavailable", None)
    assert reported["message"].startswith("The collection service is unavailable")


def test_the_most_important_reason_is_told(
    miss: Miss, open_breaker: Callable[..., None], redis_client: redis.Redis, settings: Any
) -> None:
    enqueue(hot("202501"))
    response = miss()
    assert waiting_of(response) == {"code": "queued", "message": "1 collection is ahead.", "since": None}
    assert response.headers["Retry-After"] == "4"
    redis_client.set(spacing.PAUSE_KEY, 1, px=300_000)
    response = miss()
    assert waiting_of(response)["code"] == "rate_limited"
    assert waiting_of(response)["message"].startswith("The collection service asked for a pause until ")
    assert 290 < int(response.headers["Retry-After"]) <= 300
    open_breaker("timeout")
    assert waiting_of(miss())["code"] == "timeout"
    beat_at = utc_now() - timedelta(seconds=300)
    named_collection("core_heartbeats").update_many({}, {"$set": {"beat_at": beat_at}})
    response = miss()
    reported = waiting_of(response)
    assert (reported["code"], reported["message"][:27]) == ("no_worker", "No worker has reported for ")
    assert datetime.fromisoformat(reported["since"]).replace(tzinfo=None) == beat_at
    assert response.headers["Retry-After"] == "60"
    settings.COLLECT_SERVICE_URL = None
    assert waiting_of(miss())["code"] == "no_service"
    assert "No collection service is configured" in miss().json()["message"]


def test_a_collection_says_what_it_waits_for_itself(miss: Miss, reader: APIClient, settings: Any) -> None:
    settings.MAX_INFLIGHT_REQUESTS = 1
    assert waiting_of(miss()) is None  # it is sent next
    assert miss().json()["message"] == "The figures are being collected."
    enqueue(hot("202501"), Priority.READER)
    change(claim(), slot="0")
    address = f"/api/mengla/collections/{collections(status='PENDING')[0]['_id']}"
    reported = reader.get(address).json()["data"]["waiting"]
    assert reported == {"code": "in_flight", "message": ONE_SLOT, "since": None}
    refused_since = utc_now() - timedelta(minutes=5)
    change(
        collections(status="PENDING")[0],
        not_before=utc_now() + timedelta(seconds=100),
        error_code="connect_error",
        refusals=3,
        refused_since=refused_since,
    )
    status = reader.get(address).json()["data"]
    reported = status["waiting"]
    assert reported["code"] == "retry"
    assert reported["message"].startswith(
        "The service did not accept the request (The collection service could not be reached); the next "
        "attempt is due at "
    )
    assert reported["since"] == status["refused_since"]
    assert status["refusals"] == 3
    address = f"/api/mengla/collections/{collections(status='DISPATCHED')[0]['_id']}"
    assert reader.get(address).json()["data"]["waiting"] is None


def test_a_run_says_why_it_waits_everywhere(
    admin: APIClient, site: Client, open_breaker: Callable[..., None], settings: Any
) -> None:
    settings.MAX_INFLIGHT_REQUESTS = 3
    run_id = start_run()
    address = f"/api/sync-tasks/{run_id}"

    def reported() -> Any:
        return admin.get(address).json()["data"]["waiting"]

    assert reported() is None
    enqueue(hot("202501"))
    assert reported() == {"code": "queued", "message": "1 collection is ahead.", "since": None}
    assert admin.get("/api/sync-tasks").json()["data"]["tasks"][0]["waiting"] is None  # lists: of all runs
    assert "Waiting: 1 collection is ahead." in run("sync_tasks", "show", run_id).out
    page = f"/admin/sync_tasks/synctask/{run_id}/change/"
    assert '<dd data-field="time_left">Waiting: 1 collection is ahead.</dd>' in text(site, page)
    claim(), claim()
    assert reported() is None  # the service works on one of its collections
    open_breaker("unauthorized")
    shown = OUTAGES["unauthorized"]
    expected = {"code": "unauthorized", "message": shown, "since": "2025-01-01T03:03:00Z"}
    assert reported() == expected
    for path in ("/api/sync-tasks", "/api/sync-tasks/today"):
        assert admin.get(path).json()["data"]["tasks"][0]["waiting"] == expected
    assert f"Waiting: {shown}" in run("sync_tasks", "show", run_id).out
    assert run("sync_tasks", "show", run_id, "--json").result["waiting"] == expected
    assert run("sync_tasks", "list").out.splitlines()[-1] == f"Waiting: {shown}"
    assert run("sync_tasks", "list", "--json").result["tasks"][0]["waiting"] == expected
    # The dashboard shows it beside the run and in the tile of the breaker, and in what needs attention.
    assert text(site, "/admin/").count(shown) == 4
    for path in (page, "/admin/sync_tasks/synctask/"):
        assert shown in text(site, path), path
    live = site.get(f"/admin/sync_tasks/synctask/live/?ids={run_id}&pieces=yes").json()["runs"][0]
    assert live["time_left"] == f"Waiting: {shown}"
    pending = collections(status="PENDING")[0]
    assert shown in text(site, f"/admin/mengla/collection/{pending['_id']}/change/")
    cancelled = admin.post(f"{address}/cancel").json()["data"]
    assert (cancelled["status"], cancelled["waiting"]) == ("CANCELLED", None)
    assert reported() is None


def test_full_slots_are_nothing_that_a_run_waits_for(admin: APIClient, site: Client, settings: Any) -> None:
    settings.MAX_INFLIGHT_REQUESTS = 1
    enqueue(hot("202501"), Priority.READER)
    change(claim(), slot="0")
    run_id = start_run()
    assert admin.get(f"/api/sync-tasks/{run_id}").json()["data"]["waiting"] is None
    assert "Waiting:" not in run("sync_tasks", "show", run_id).out
    assert "as many as are allowed" not in text(site, f"/admin/sync_tasks/synctask/{run_id}/change/")


def test_a_run_without_a_planner_says_that_no_worker_is_alive(admin: APIClient) -> None:
    named_collection("core_heartbeats").delete_many({})
    plan = period_plan(parse_period("202505"), selection=Selection(cat_ids=("1000",)))
    started = collect.start(plan, Order("tests"))
    reported = admin.get(f"/api/sync-tasks/{started.run_id}").json()["data"]["waiting"]
    assert reported == {"code": "no_worker", "message": "No worker has ever reported.", "since": None}


def test_the_pause_of_the_service_is_told_apart_from_a_request_in_flight(settings: Any) -> None:
    turn = spacing.Turn()
    assert turn.claim() == 0
    assert spacing.remaining_pause_seconds() == 0
    turn.end()
    assert spacing.remaining_pause_seconds() == 0
    time.sleep(settings.COLLECT_INTERVAL_SECONDS * 2)
    assert turn.claim() == 0
    turn.end(pause_seconds=30)
    assert 29 < spacing.remaining_pause_seconds() <= 30


def test_readers_who_poll_ask_the_servers_once_and_not_each_time(
    miss: Miss, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.OBSTACLE_REMEMBERED_SECONDS = 3600
    asked: list[None] = []
    monkeypatch.setattr("apps.mengla.dispatch.waiting.no_worker", lambda: asked.append(None))
    for _ in range(3):
        miss()
    assert len(asked) == 1
    miss("zh-hans")  # its text is in another language
    assert len(asked) == 2
