"""What the dashboard says needs an operator: each with its reason, and a link to the evidence."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from bson import ObjectId
from django.test import Client
from django.utils import translation
from django_q.models import Schedule, Task

from apps.admin.models import Alert
from apps.core import market_clock
from apps.core.liveness.processes import note_heartbeat
from apps.core.periods import parse_period
from apps.core.scheduling.schedules import pause_schedule, schedule_id, sync_schedules
from apps.core.storage.flags import SCHEDULER_PAUSED, set_flag
from apps.core.storage.mongo import collection_of, named_collection, utc_now
from apps.mengla.choices import CollectionError, Priority
from apps.mengla.ingest import refused_signatures
from apps.mengla.monitoring import failures
from apps.mengla.queue import jobs
from apps.mengla.runs.collect import Order, fill_plan, start
from apps.mengla.upstream import breaker
from apps.sync_tasks.models import SyncTask
from tests.admin.conftest import JSON
from tests.mengla.runs.support import plan_now
from tests.mengla.support import begin_attempt, change, collections, enqueue, hot, store, store_empty

pytestmark = [
    pytest.mark.django_db,
    pytest.mark.mongo,
    pytest.mark.redis,
    pytest.mark.usefixtures("sample_tree"),
]
COLLECTIONS = "/admin/mengla/collection/"


@pytest.fixture(autouse=True)
def _calm(settings: Any, db: None) -> None:
    """An installation that works."""
    settings.COLLECT_SERVICE_URL = "http://service.invalid"
    sync_schedules()
    note_heartbeat()


def told(client: Client) -> list[tuple[str, str]]:
    """The problems, as text and link."""
    html = client.get("/admin/live/", **JSON).json()["html"]["attention"]
    rows = re.findall(r"<li.*?</li>", html, re.DOTALL)
    return [
        (plain(row), link[0].replace("&amp;", "&") if link else "") for row in rows for link in [hrefs(row)]
    ]


def listed(client: Client, address: str) -> set[str]:
    """The queries of the collections that a page lists."""
    answer = client.get(address)
    assert answer.status_code == 200, address
    return {one.identity for one in answer.context["cl"].result_list}


def plain(html: str) -> str:
    return " ".join(re.sub(r"<[^>]+>", " ", html).split())


def hrefs(html: str) -> list[str]:
    return re.findall(r'href="([^"]*)"', html)


def fail(query: Any, error: CollectionError = CollectionError.TIMEOUT) -> None:
    attempt = begin_attempt(query)
    jobs.fail_attempt(
        attempt["_id"],
        attempt_token=attempt["attempt_token"],
        error=error,
        message="made to fail",
        is_permanent=True,
    )


def test_nothing_is_one_calm_line(site: Client) -> None:
    store(hot("202501"))
    page = site.get("/admin/").content.decode()
    assert "Nothing needs attention." in page
    assert page.index("Nothing needs attention.") < page.index("cp-tiles")
    assert told(site) == []


def test_failures_of_a_day_by_reason_with_their_lists(site: Client) -> None:
    for month in ("202501", "202502"):
        fail(hot(month))
    fail(hot("202503"), CollectionError.EXECUTION_FAILED)
    fail(hot("202504"), CollectionError.UNREADABLE_PAYLOAD)
    change(
        collections()[-1],
        finished_at=utc_now() - timedelta(hours=25),
    )
    (first, first_link), (second, second_link) = told(site)
    assert first.startswith("Warning 2 collections failed: ")
    assert second.startswith("Warning 1 collection failed: ")
    for link, code in ((first_link, "timeout"), (second_link, "execution_failed")):
        assert link.startswith(f"{COLLECTIONS}?outcome=failed&error_code={code}&ended="), link
    assert listed(site, first_link) == {"hot:1001:month:202501", "hot:1001:month:202502"}
    change(collections()[0], finished_at=utc_now() - timedelta(hours=25))
    assert listed(site, first_link) == {"hot:1001:month:202502"}


def test_failures_that_a_later_collection_made_good(site: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    store(hot("202502"))  # before it failed
    for month in ("202501", "202502"):
        fail(hot(month))
    ((text, _link),) = told(site)
    assert text.endswith("In the last 24 hours.")
    store(hot("202501"))
    ((text, _link),) = told(site)
    assert text.endswith("In the last 24 hours. 1 of them succeeded later.")
    store(hot("202502"))
    assert told(site) == []
    monkeypatch.setattr(failures, "MAX_LOOKED_UP", 1)
    ((text, _link),) = told(site)
    assert text.endswith("In the last 24 hours.")


def test_the_count_of_failures_is_bounded(site: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(failures, "MAX_COUNTED", 1)
    for month in ("202501", "202502"):
        fail(hot(month))
    found = failures.recent_failures()
    assert (sum(one.count for one in found.reasons), found.is_complete) == (1, False)
    ((text, _link),) = told(site)
    assert text.endswith("In the last 24 hours. There are more: not all failures were counted.")


def test_firing_alerts_lead_to_their_pages(site: Client) -> None:
    moments = {"fired_at": utc_now(), "resolved_at": None, "updated_at": utc_now()}
    collection_of(Alert).insert_one(
        {"_id": "queue_stuck", "rule": "queue_stuck", "action": "", "severity": "critical", "is_firing": True}
        | {"message": "stuck", "episode": 1, **moments}
    )
    ((text, link),) = told(site)
    assert text.startswith("Critical Alert: The queue is stuck stuck Firing since ")
    assert link == "/admin/alerts/queue_stuck/"
    assert site.get(link).status_code == 200


def test_who_may_not_see_a_list_gets_no_link(staff: Callable[..., Client]) -> None:
    collection_of(Alert).insert_one(
        {"_id": "queue_stuck", "rule": "queue_stuck", "action": "", "severity": "info", "is_firing": True}
        | {
            "message": "stuck",
            "episode": 1,
            "fired_at": utc_now(),
            "resolved_at": None,
            "updated_at": utc_now(),
        }
    )
    client = staff("view_collection")
    fail(hot("202501"))
    assert dict(told(client)).values() and [link for text, link in told(client) if "Alert" in text] == [""]
    html = "".join(client.get("/admin/live/", **JSON).json()["html"].values())
    assert {urlsplit(link).path for link in hrefs(html)} == {COLLECTIONS, "/admin/diagnostics/"}


def test_an_open_breaker_with_its_reason(site: Client, settings: Any) -> None:
    for _ in range(settings.CB_FAILURE_THRESHOLD):
        breaker.record_failure("connect_error")
    ((text, link),) = told(site)
    assert text.startswith("Critical Breaker open The collection service has been unreachable since ")
    assert link == f"{COLLECTIONS}?status=PENDING"


def test_no_worker_is_one_line(site: Client) -> None:
    named_collection("core_heartbeats").update_many({}, {"$set": {"beat_at": utc_now() - timedelta(hours=1)}})
    named_collection("django_q_schedule").update_many(
        {}, {"$set": {"next_run": utc_now() - timedelta(hours=1)}}
    )
    ((text, link),) = told(site)
    assert text.startswith("Critical No worker has reported for 1 h")
    assert link == "/admin/diagnostics/"


def test_webhooks_that_were_refused(site: Client, settings: Any) -> None:
    settings.WEBHOOK_SECRET = "a secret of ours"
    attempt = begin_attempt(hot("202501"))
    for _ in range(refused_signatures.REFUSALS_THAT_COUNT):
        answer = site.post(
            f"/api/webhook/mengla-notify?collection={attempt['_id']}&token={attempt['attempt_token']}",
            "{}",
            content_type="application/json",
            HTTP_X_SIGNATURE_256="sha256=wrong",
        )
        assert answer.status_code == 403
    ((text, link),) = told(site)
    assert "webhooks were refused because of their signature WEBHOOK_SECRET probably differs" in text
    assert link == f"{COLLECTIONS}?status=DISPATCHED"


def test_runs_that_something_holds_back_and_not_those_in_their_turn(site: Client, settings: Any) -> None:
    enqueue(hot("202401"), Priority.READER)
    ids = []
    for year in ("2025", "2024"):
        plan = fill_plan(parse_period(f"{year}01"), parse_period(f"{year}01"))
        ids.append(start(plan, Order("tests")).run_id)
        plan_now(ids[-1])
    assert told(site) == []
    for _ in range(settings.CB_FAILURE_THRESHOLD):
        breaker.record_failure("connect_error")
    _breaker, (text, link) = told(site)
    assert text.startswith("Warning 2 sync tasks are waiting The collection service has been unreachable")
    assert link == "/admin/sync_tasks/synctask/?outcome=running"
    collection_of(SyncTask).delete_one({"_id": ObjectId(ids[0])})
    _breaker, (text, link) = told(site)
    assert "Fill of gaps" in text
    assert link == f"/admin/sync_tasks/synctask/{ids[1]}/change/"


# --- Schedules -------------------------------------------------------------------------------------


def installed(days_ago: int) -> None:
    """Let the database be so old."""
    first = named_collection("django_migrations").find_one({}, sort=[("_id", 1)])
    assert first is not None
    applied = utc_now() - timedelta(days=days_ago)
    named_collection("django_migrations").update_one({"_id": first["_id"]}, {"$set": {"applied": applied}})


def run_of(task_id: str, *, started_at: datetime, status: str = "COMPLETED", **fields: Any) -> str:
    key = ObjectId()
    totals = {"total": 2, "completed": 1, "failed": 1, "empty": 0, "cancelled": 0, "active": 0}
    document = {
        "_id": key,
        "task_id": task_id,
        "name": "Daily collection",
        "status": status,
        "trigger": "scheduled",
        "period": "20250101",
        "slot": None,
        "totals": totals,
        "skipped": {},
        "is_planned": True,
        "expected_total": 2,
        "started_at": started_at,
        "finished_at": started_at,
        "error_message": "",
        "error_message_parts": None,
    }
    collection_of(SyncTask).insert_one(document | fields)
    return str(key)


def about(client: Client, name: str) -> list[tuple[str, str]]:
    return [(text, link) for text, link in told(client) if name in text]


def test_a_schedule_that_missed_its_time(site: Client) -> None:
    assert about(site, "Daily") == []
    try:
        installed(days_ago=10)
        ((text, link),) = about(site, "Daily")
        assert re.search(r"Daily collection did not run It was due at .* 02:00:00, and has never run\.", text)
        assert link == f"/admin/django_q/schedule/{schedule_id('daily_collect')}/change/"
        run_of("daily_collect", started_at=utc_now() - timedelta(days=3))
        ((text, _link),) = about(site, "Daily")
        assert re.search(r"and last ran at \d{4}-", text)
        run_of("daily_collect", started_at=utc_now())
        assert about(site, "Daily") == []
    finally:
        installed(days_ago=0)


def test_a_firing_that_has_its_run_is_not_missed(site: Client) -> None:
    """Also when the run of its period is older than the firing: a schedule may fire twice in a period."""
    from apps.mengla.runs import scheduled

    try:
        installed(days_ago=10)
        due_at = utc_now() - timedelta(minutes=10)
        slots = {
            scheduled._firing_of("daily_collect", (due_at - timedelta(days=n)).astimezone()) for n in (0, 1)
        }
        for slot in slots:
            run_of("daily_collect", started_at=utc_now() - timedelta(days=3), slot=slot)
        assert about(site, "Daily") == []
    finally:
        installed(days_ago=0)


def test_a_paused_an_overdue_and_all_paused(site: Client) -> None:
    pause_schedule("daily_collect", paused_by="tests")
    ((text, _link),) = told(site)
    assert text == "Warning Daily collection is paused"
    an_hour_ago = utc_now() - timedelta(hours=1)
    named_collection("django_q_schedule").update_one({"name": "tick"}, {"$set": {"next_run": an_hour_ago}})
    first = told(site)[0][0]
    assert first.startswith("Critical Maintenance is overdue It was due at ")
    set_flag(SCHEDULER_PAUSED, is_set=True, changed_by="chief")
    texts = [text for text, _link in told(site)]
    assert any(text.startswith("Warning All schedules are paused By chief, since ") for text in texts)


def test_the_row_of_a_schedule_has_all_an_operator_needs(site: Client) -> None:
    run = run_of("daily_collect", started_at=utc_now())
    html = site.get("/admin/live/", **JSON).json()["html"]["schedules"]
    (row,) = [row for row in re.findall(r"<tr>.*?</tr>", html, re.DOTALL) if "Daily collection" in row]
    assert "Every day at 02:00" in row
    assert "Completed with failures" in row
    key = str(schedule_id("daily_collect"))
    assert {
        f"/admin/sync_tasks/synctask/{run}/change/",
        "/admin/run-task/?task=daily_collect",
        f"/admin/django_q/schedule/{key}/operation/pause/",
    } <= set(hrefs(row))
    listed = site.get("/admin/django_q/schedule/").content.decode()
    assert {link for link in hrefs(row) if "operation" in link or "run-task" in link} <= set(hrefs(listed))
    assert "Completed with failures" in listed


def rows_of(client: Client) -> dict[str, str]:
    """The rows of the schedules on the dashboard and in their list, by title."""
    html = client.get("/admin/live/", **JSON).json()["html"]["schedules"]
    listed = client.get("/admin/django_q/schedule/").content.decode()
    rows = re.findall(r"<tr[^>]*>.*?</tr>", html + listed, re.DOTALL)
    titles = ("Maintenance", "Daily collection")
    return {title: "".join(row for row in rows if title in row) for title in titles}


def test_the_last_run_of_maintenance_is_its_last_task(site: Client) -> None:
    assert "Completed" not in rows_of(site)["Maintenance"]
    Schedule.objects.filter(name="tick").update(task="f" * 32)
    assert rows_of(site)["Maintenance"].count("Running") == 2
    at = datetime(2026, 11, 30, 4, tzinfo=UTC)
    Task.objects.create(id="f" * 32, name="tick", func="x", started=at, stopped=at, success=True)
    row = rows_of(site)["Maintenance"]
    assert (row.count("2026-11-30 12:00:00"), row.count("Completed")) == (2, 2)
    assert told(site) == []
    Task.objects.filter(id="f" * 32).update(success=False)
    ((text, link),) = told(site)
    assert text == "Warning The last run of Maintenance failed"
    assert link == "/admin/django_q/failure/"


def test_while_all_are_paused_nothing_runs_next_and_none_is_paused_again(site: Client) -> None:
    next_run = Schedule.objects.get(name="daily_collect").next_run
    shown = f"{market_clock.local(next_run):%Y-%m-%d %H:%M:%S}"
    row = rows_of(site)["Daily collection"]
    assert row.count(shown) == 2 and row.count("/operation/pause/") == 2
    set_flag(SCHEDULER_PAUSED, is_set=True, changed_by="chief")
    row = rows_of(site)["Daily collection"]
    assert shown not in row and "/operation/pause/" not in row
    assert "Paused" in row and "All schedules are paused" in row
    pause_schedule("daily_collect", paused_by="tests")
    assert rows_of(site)["Daily collection"].count("/operation/resume/") == 2


def test_the_last_run_failed(site: Client) -> None:
    run = run_of("daily_collect", started_at=utc_now(), status="FAILED")
    ((text, link),) = told(site)
    assert text.startswith("Warning The last run of Daily collection failed")
    assert link == f"/admin/sync_tasks/synctask/{run}/change/"


def test_run_now_asks_and_then_runs(site: Client) -> None:
    page = site.get("/admin/run-task/?task=daily_collect").content.decode()
    assert "Run “Daily collection” now?" in page
    assert "This queues up to " in page
    assert collection_of(SyncTask).count_documents({}) == 0
    assert site.post("/admin/run-task/", {"task": "daily_collect", "confirmed": "yes"}).status_code == 302
    assert collection_of(SyncTask).count_documents({"task_id": "daily_collect"}) == 1
    assert site.get("/admin/run-task/?task=nothing").status_code == 404


def test_who_may_only_look_is_offered_nothing_to_run(viewer: Client) -> None:
    html = viewer.get("/admin/live/", **JSON).json()["html"]["schedules"]
    assert "Run now" not in html and "Pause" not in html
    assert viewer.get("/admin/run-task/?task=daily_collect").status_code == 403


# --- Numbers and their lists -----------------------------------------------------------------------


def test_every_number_leads_to_what_it_counts(site: Client) -> None:
    store(hot("202501"))
    fail(hot("202502"))
    enqueue(hot("202503"), Priority.BACKFILL)
    html = site.get("/admin/live/", **JSON).json()["html"]
    for name, queries in {
        "state": [
            {"status": "PENDING"},
            {"status": "DISPATCHED"},
        ],
        "queue": [{"status": "PENDING", "priority": str(priority.value)} for priority in Priority],
    }.items():
        links = [urlsplit(link.replace("&amp;", "&")) for link in hrefs(html[name])]
        found = [{key: value[0] for key, value in parse_qs(link.query).items()} for link in links]
        assert all(query in found for query in queries), name
    assert "/admin/diagnostics/" in hrefs(html["state"])
    hours = {link.replace("&amp;", "&") for link in hrefs(html["hours"])}
    for link in hours | set(hrefs(html["state"])):
        assert site.get(link.replace("&amp;", "&")).status_code == 200, link


def test_the_numbers_of_the_last_day_lead_to_as_many_rows(site: Client) -> None:
    store(hot("202501"))
    store_empty(hot("202502"))
    fail(hot("202503"))
    store(hot("202504"))
    fail(hot("202505"))
    store(hot("202506"))
    for one in collections():
        change(one, execution_id="" if one["start_key"] == "202506" else "sent")
    for old in ("202504", "202505"):
        (one,) = collections(start_key=old)
        change(one, finished_at=utc_now() - timedelta(days=2))
    told_of = site.get("/admin/live/", **JSON).json()
    state = dict(
        reversed(pair)
        for pair in re.findall(r'href="([^"]*)">([^<]* (?:answered|failed))<', told_of["html"]["state"])
    )
    assert listed(site, state["2 answered"].replace("&amp;", "&")) == {
        "hot:1001:month:202501",
        "hot:1001:month:202502",
    }
    assert listed(site, state["1 failed"].replace("&amp;", "&")) == {"hot:1001:month:202503"}
    counts = [link.replace("&amp;", "&") for link in hrefs(told_of["html"]["hours"]) if "outcome" in link]
    assert len(counts) == 6  # an hour and the total of three outcomes
    assert all(len(listed(site, link)) == 1 for link in counts)
    page = site.get(state["2 answered"].replace("&amp;", "&")).content.decode()
    assert "Since 2" in page and "Answered" in page


@pytest.mark.parametrize(
    "time", ["nonsense", "9999-12-31T23", "2026-02-30T01", "\x00", "nonsense..", "..", "2026-01-01T00.."]
)
def test_a_time_that_is_none_is_refused(site: Client, time: str) -> None:
    store(hot("202501"))
    assert site.get(COLLECTIONS, {"ended": time}).status_code == 400
    for other, count in (("", 1), ("1999-01-01T00", 0), ("1999-01-01T00:00..", 1)):
        assert len(site.get(COLLECTIONS, {"ended": other}).context["cl"].result_list) == count


def test_it_is_told_in_chinese(site: Client) -> None:
    fail(hot("202501"))
    with translation.override("zh-hans"):
        html = site.get("/admin/live/", HTTP_ACCEPT_LANGUAGE="zh-CN", **JSON).json()["html"]
    assert re.findall(r"[A-Za-z]{3,}", plain(html["attention"])) == []


# --- Outages ---------------------------------------------------------------------------------------


def test_servers_that_are_down_come_first(
    site: Client, mongo_gone: Callable[[], None], redis_gone: Callable[[], None]
) -> None:
    site.get("/admin/")
    redis_gone()
    assert told(site)[0][0].startswith("Critical Redis is unavailable")
    from apps.core.storage.outages import redis_outage

    redis_outage.forget()


def test_without_mongodb_there_are_no_links(site: Client, mongo_gone: Callable[[], None]) -> None:
    site.get("/admin/")
    mongo_gone()
    page = site.get("/admin/").content.decode()
    assert "MongoDB is unavailable" in page
    assert hrefs(page[page.index("<main") :]) == []


# --- Diagnostics -----------------------------------------------------------------------------------


def test_the_pages_of_messages_say_what_they_are(site: Client) -> None:
    for path in ("/admin/diagnostics/", "/admin/django_q/success/", "/admin/django_q/failure/"):
        page = site.get(path).content.decode()
        assert "They are not collections" in page
        assert f"{COLLECTIONS}?status=FAILED" in page
    assert site.get("/admin/django_q/ormq/").status_code == 404


def test_messages_in_redis_are_counted(site: Client) -> None:
    from apps.core.scheduling.broker import RedisBroker

    broker = RedisBroker()
    broker.connection.rpush(broker.list_key, "one", "two")
    page = plain(site.get("/admin/diagnostics/").content.decode())
    assert "Waiting in Redis 2" in page


def test_diagnostics_are_told_while_a_server_is_down(site: Client, redis_gone: Callable[[], None]) -> None:
    redis_gone()
    page = site.get("/admin/diagnostics/")
    assert page.status_code == 200
    assert "Currently unavailable." in page.content.decode()
