"""The dashboard: what it tells, to whom, and what is left of it when a server is down."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.contrib.staticfiles import finders
from django.test import Client

from apps.admin.models import Alert
from apps.core.caching.tiers import clear_all
from apps.core.periods import parse_period
from apps.core.storage.mongo import collection_of, utc_now
from apps.core.storage.outages import mongo_outage
from apps.mengla.choices import CollectionError, Priority
from apps.mengla.models import Collection
from apps.mengla.monitoring import hourly
from apps.mengla.queue import jobs, removal
from apps.mengla.reading.read import read
from apps.mengla.runs.collect import Order, fill_plan, start
from tests.admin.conftest import JSON
from tests.mengla.runs.support import end_all, plan_now
from tests.mengla.support import change, claim, collections, enqueue, hot, store, store_empty

pytestmark = [
    pytest.mark.django_db,
    pytest.mark.mongo,
    pytest.mark.redis,
    pytest.mark.usefixtures("sample_tree"),
]
PAGE, LIVE = "/admin/", "/admin/live/"
MONGO_PARTS = {"mongodb", "workers", "hours", "queue", "runs", "schedules", "alerts", "failures"}
REDIS_PARTS = {"redis", "breaker", "latency", "cache", "webhooks"}


def live(client: Client) -> Any:
    response = client.get(LIVE, **JSON)
    assert response.status_code == 200, response.content
    return response.json()


def fail(query: Any) -> None:
    attempt = claim_of(query)
    jobs.fail_attempt(
        attempt["_id"],
        attempt_token=attempt["attempt_token"],
        error=CollectionError.EXECUTION_FAILED,
        message="made to fail",
        is_permanent=True,
    )


def claim_of(query: Any) -> dict[str, Any]:
    enqueue(query)
    return claim()


# --- What it tells ---------------------------------------------------------------------------------


def test_collections_per_hour_by_outcome(site: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    half_past = utc_now().replace(minute=30)
    monkeypatch.setattr(hourly, "utc_now", lambda: half_past)
    store(hot("202501"))
    store(hot("202502"))
    store_empty(hot("202503"))
    fail(hot("202504"))
    enqueue(hot("202505"))
    removal.cancel_pending({})
    for one in collections():
        change(one, execution_id="x", finished_at=half_past)
    change(collections()[0], finished_at=half_past - timedelta(hours=3))
    told = live(site)["parts"]["hours"]["data"]
    assert len(told["hours"]) == 24
    assert told["totals"] == {"succeeded": 2, "empty": 1, "failed": 1, "spared": 0, "cancelled": 1}
    assert sum(told["hours"][-4]["counts"].values()) == 1
    assert sum(told["hours"][-1]["counts"].values()) == 4
    assert (told["answered"], told["failed"], told["success_rate"]) == (3, 1, 75.0)


def test_what_needed_no_request_is_told_apart(site: Client) -> None:
    store(hot("202501"))
    change(collections()[0], execution_id="")
    assert live(site)["parts"]["hours"]["data"]["totals"]["spared"] == 1


def test_the_hours_use_the_index_and_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hourly, "MAX_COUNTED", 2)
    for month in ("202501", "202502", "202503"):
        store(hot(month))
    long_ago = utc_now() - timedelta(days=3)
    change(collections()[0], finished_at=long_ago)
    assert hourly.collections_by_hour().total(*hourly.OUTCOMES) == 2
    change(collections()[0], finished_at=utc_now())
    found = hourly.collections_by_hour()
    assert (found.total(*hourly.OUTCOMES), found.is_complete) == (2, False)
    database = collection_of(Collection).database
    database.command("profile", 2)
    try:
        hourly.collections_by_hour()
    finally:
        database.command("profile", 0)
    asked = database["system.profile"].find({"command.aggregate": Collection._meta.db_table})
    plans = [one["planSummary"] for one in asked]
    database["system.profile"].drop()
    assert plans == ["IXSCAN { finished_at: 1 }"]


def test_the_queue_by_priority(site: Client) -> None:
    enqueue(hot("202501"), Priority.BACKFILL)
    enqueue(hot("202502"), Priority.BACKFILL)
    enqueue(hot("202503"), Priority.READER)
    claim()
    change(collections()[0], created_at=utc_now() - timedelta(seconds=90))
    told = live(site)["parts"]["queue"]["data"]
    rows = {row["priority"]: (row["pending"], row["oldest_seconds"]) for row in told["rows"]}
    assert rows["reader"] == rows["manual"] == rows["scheduled"] == (0, None)
    assert rows["backfill"][0] == 2
    assert 90 <= rows["backfill"][1] < 120
    assert (told["pending"], told["in_flight"]) == (2, 1)
    assert told["oldest_seconds"] == rows["backfill"][1]


def test_answers_by_tier_and_their_durations(site: Client) -> None:
    store(hot("202501"))
    clear_all()
    read(hot("202501"), requested_by="x")
    read(hot("202501"), requested_by="x")
    read(hot("202502"), requested_by="x")
    told = live(site)
    cache = told["parts"]["cache"]["data"]
    assert cache["days"][-1]["counts"] == {"l1": 1, "l2": 0, "l3": 1, "miss": 1}
    assert (len(cache["days"]), cache["reads"], cache["hit_rate"]) == (7, 3, 66.7)
    series = {row["name"]: row for row in told["parts"]["latency"]["data"]["series"]}
    assert series["read"]["count"] == 3
    assert series["read"]["percentiles"]["50"] is not None
    assert told["charts"]["cache"]["series"][0]["values"][-1] == 1


def test_running_tasks_with_their_progress(site: Client) -> None:
    started = start(fill_plan(parse_period("202501"), parse_period("202502")), Order("tests"))
    plan_now(started.run_id)
    told = live(site)
    (row,) = told["parts"]["runs"]["data"]["rows"]
    assert (row["id"], row["period"]) == (started.run_id, "2025-01 to 2025-02")
    assert row["progress"]["total"] > 0
    assert f"/admin/sync_tasks/synctask/{started.run_id}/change/" in told["html"]["runs"]
    end_all()
    assert live(site)["parts"]["runs"]["data"]["rows"] == []


def test_schedules_with_their_last_run(site: Client) -> None:
    from apps.core.scheduling.schedules import sync_schedules

    sync_schedules()
    rows = {row["name"]: row for row in live(site)["parts"]["schedules"]["data"]["rows"]}
    assert set(rows) >= {"tick", "daily_collect", "backfill_check"}
    assert all(row["next_run_at"] for row in rows.values())
    assert rows["daily_collect"]["last"] is None


def test_firing_alerts(site: Client) -> None:
    firing = {
        "action": "",
        "severity": "critical",
        "is_firing": True,
        "message": "<b>stuck</b>",
        "episode": 1,
    }
    moments = {"fired_at": utc_now(), "resolved_at": None, "updated_at": utc_now()}
    for rule, changes in (("queue_stuck", {}), ("worker_silent", {"is_firing": False})):
        collection_of(Alert).insert_one({"_id": rule, "rule": rule, **firing, **moments, **changes})
    told = live(site)
    (row,) = told["parts"]["alerts"]["data"]["rows"]
    assert (row["rule"], row["severity"], row["message"]) == (
        "The queue is stuck",
        "critical",
        "<b>stuck</b>",
    )
    assert "&lt;b&gt;stuck" in told["html"]["attention"]


def test_the_breaker(site: Client, settings: Any) -> None:
    from apps.mengla.upstream import breaker

    assert live(site)["parts"]["breaker"]["data"]["state"] == "closed"
    for _ in range(settings.CB_FAILURE_THRESHOLD):
        breaker.record_failure("connect_error")
    settings.COLLECT_SERVICE_URL = "http://service.invalid"
    told = live(site)
    assert told["parts"]["breaker"]["data"]["state"] == "open"
    assert "Breaker open" in told["html"]["state"]


# --- The page --------------------------------------------------------------------------------------


def test_every_chart_has_a_table_with_its_numbers(site: Client) -> None:
    store(hot("202501"))
    page = site.get(PAGE).content.decode()
    assert 'data-chart="hours"' in page and 'data-chart="cache"' in page
    tables = re.findall(r"<table.*?</table>", page, re.DOTALL)
    assert all("<caption" in table and 'scope="col"' in table for table in tables)
    hours = next(table for table in tables if "last 24 hours" in table)
    assert len(re.findall(r"<tr>", hours)) == 1 + 24 + 1
    # Without JavaScript the table is open and the chart is hidden.
    assert '<details class="cp-table-of-chart" open>' in page
    assert re.search(r'data-chart="hours" hidden', page)
    # The theme would hide the whole page.
    (styles,) = re.findall(r'<noscript><link rel="stylesheet" href="([^"]+)"></noscript>', page)
    path = finders.find(styles.removeprefix("/static/"))
    assert "html[x-cloak] { display: block !important; }" in Path(path).read_text()


def test_no_script_stands_in_the_page_itself(site: Client) -> None:
    page = site.get(PAGE).content.decode()
    ours = page[page.index('<main class="cp">') :]
    assert (
        re.findall(r"<script(?![^>]*application/json)", ours.split("</main>")[0].split("simplebar")[0]) == []
    )
    assert "collector/dashboard.js" in page


def test_the_first_page_of_the_admin_is_the_dashboard(site: Client) -> None:
    from django.urls import reverse

    assert reverse("admin:index") == PAGE
    page = site.get(PAGE).content.decode()
    (heading,) = re.findall(r"<h1.*?</h1>", page, re.DOTALL)
    assert "Dashboard" in heading
    assert "collector/dashboard.js" in page


# --- Who may see it --------------------------------------------------------------------------------


def test_strangers_are_sent_to_the_login(client: Client) -> None:
    response = client.get(PAGE)
    assert (response.status_code, response.headers["Location"]) == (302, "/admin/login/?next=/admin/")
    assert client.get(LIVE, **JSON).status_code == 403


def test_a_login_leads_to_the_dashboard(client: Client) -> None:
    User.objects.create_superuser("boss", password="a-long-password")
    form = {"username": "boss", "password": "a-long-password"}
    response = client.post("/admin/login/", form)
    assert (response.status_code, response.headers["Location"]) == (302, PAGE)


def test_staff_without_the_permission_see_no_numbers(staff: Callable[..., Client]) -> None:
    client = staff("view_category")
    page = client.get(PAGE)
    assert page.status_code == 200
    assert "do not have permission to view collections" in page.content.decode()
    assert 'id="dashboard"' not in page.content.decode()
    assert client.get(LIVE, **JSON).status_code == 403
    assert client.get(LIVE).status_code == 403


def test_view_permission_is_enough(viewer: Client) -> None:
    assert 'id="dashboard"' in viewer.get(PAGE).content.decode()
    assert set(live(viewer)["parts"]) == MONGO_PARTS | REDIS_PARTS


@pytest.mark.parametrize("path", [PAGE, LIVE])
def test_it_is_only_to_be_read(site: Client, path: str) -> None:
    assert site.post(path).status_code == 405


@pytest.mark.parametrize("query", ["x=%00", "x=%FF%FE", f"x={'9' * 4000}", "next=//evil.example"])
def test_no_query_breaks_it(site: Client, query: str) -> None:
    assert site.get(f"{PAGE}?{query}").status_code == 200
    assert site.get(f"{LIVE}?{query}", **JSON).status_code == 200


# --- Outages ---------------------------------------------------------------------------------------


def test_without_mongodb_the_rest_is_told_to_who_was_seen_before(
    site: Client, mongo_gone: Callable[[], None]
) -> None:
    assert site.get(PAGE).status_code == 200
    mongo_gone()
    page = site.get(PAGE)
    assert page.status_code == 503
    assert "MongoDB does not respond" in page.content.decode()
    assert "Breaker" in page.content.decode() or "Not configured" in page.content.decode()
    told = live(site)["parts"]
    assert {name for name, part in told.items() if part["available"]} == REDIS_PARTS
    assert all(told[name]["error"] for name in MONGO_PARTS)


def test_without_mongodb_strangers_learn_nothing(
    client: Client, site: Client, mongo_gone: Callable[[], None]
) -> None:
    mongo_gone()
    for browser in (client, site):  # who never saw the dashboard cannot be recognised now
        for _ in range(2):
            response = browser.get(PAGE)
            assert response.status_code in (302, 503)
            assert "Cache hit rate" not in response.content.decode()
    mongo_outage.forget()
    assert client.get(LIVE, **JSON).status_code in (403, 503)


def test_without_redis_the_rest_is_reported(site: Client, redis_gone: Callable[[], None]) -> None:
    enqueue(hot("202501"))
    redis_gone()
    page = site.get(PAGE)
    assert page.status_code == 200
    assert "Unavailable" in page.content.decode()
    told = live(site)["parts"]
    assert {name for name, part in told.items() if part["available"]} == MONGO_PARTS
    assert told["queue"]["data"]["pending"] == 1


def test_without_both_it_is_an_answer(
    site: Client, mongo_gone: Callable[[], None], redis_gone: Callable[[], None]
) -> None:
    site.get(PAGE)
    mongo_gone()
    redis_gone()
    assert site.get(PAGE).status_code == 503
    assert site.get(LIVE, **JSON).status_code == 503
