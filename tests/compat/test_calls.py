"""Each recorded call of the former program's client, sent to the compatible addresses."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from bson import ObjectId
from django.contrib.auth.models import User
from rest_framework.test import APIClient

from apps.core import market_clock
from apps.core.liveness.processes import note_heartbeat
from apps.core.periods import parse_period
from apps.core.scheduling.schedules import pause_schedule, sync_schedules
from apps.core.storage.mongo import collection_of
from apps.mengla.choices import Action, CollectionError
from apps.mengla.queries.data_query import DataQuery
from apps.mengla.queries.parameters import build_query
from apps.mengla.runs.collect import Order, Selection, fill_plan, single_day_plan, start
from apps.mengla.runs.planning import plan_run
from apps.mengla.upstream import breaker
from apps.sync_tasks.choices import Trigger
from apps.sync_tasks.models import SyncTask
from tests.compat.conftest import CALLS, NIGHT_OF_THE_RECORDING, assert_as_recorded, send
from tests.factories.categories import store_tree
from tests.mengla.support import Document, answer, change, claim, collections, ranking, store, store_empty

pytestmark = [pytest.mark.django_db, pytest.mark.mongo, pytest.mark.redis]

FIGURES = [
    *("high by day", "high by month", "hot by day", "chance by day", "industryViewV2 by day"),
    *("trend by day", "trend by month"),
]


@pytest.fixture(autouse=True)
def _recorded_tree(db: None) -> None:
    store_tree(CALLS["categories"]["answer"]["data"])


def query_of(kind: str) -> DataQuery:
    """The question of a recorded request for figures."""
    body = CALLS[kind]["body"]
    is_trend = body["action"] == Action.INDUSTRY_TREND
    return build_query(
        action=body["action"],
        cat_id=body["catId"],
        date_type=body["dateType"],
        timest=body["timest"],
        start_range=body["starRange"] if is_trend else "",
        end_range=body["endRange"] if is_trend else "",
    )


def result_of(kind: str) -> Document:
    """What the collection service sent for it."""
    return {key: value for key, value in CALLS[kind]["answer"].items() if key != "secondaryCategories"}


def test_every_recorded_kind_is_tested_here() -> None:
    source = Path(__file__).read_text(encoding="utf-8")
    assert [kind for kind in CALLS if f'"{kind}"' not in source] == []


# --- Access ---------------------------------------------------------------------------------------


class TestAccess:
    @pytest.fixture(autouse=True)
    def _user(self, db: None) -> None:
        User.objects.create_superuser("admin", password="benchpass")

    def test_logs_in_and_the_token_counts_here_and_there(self, api: APIClient) -> None:
        body = assert_as_recorded(send(api, "login"), "login")
        assert body["username"] == "admin"
        api.credentials(HTTP_AUTHORIZATION=f"Bearer {body['token']}")
        assert api.get("/compat/api/categories").status_code == 200
        assert api.get("/api/auth/me").json()["data"]["scope"] == "admin"

    def test_refuses_a_wrong_password(self, api: APIClient) -> None:
        body = assert_as_recorded(send(api, "login refused"), "login refused")
        assert body["error"] == "HTTP_ERROR"

    def test_both_contracts_share_the_limit_of_logins(self, api: APIClient) -> None:
        wrong = {"username": "admin", "password": "wrong-password"}
        statuses = [
            api.post(f"{prefix}/api/auth/login", data=wrong).status_code
            for prefix in ["", "/compat"] * 5 + ["/compat"]
        ]
        assert statuses == [401] * 10 + [429]


@pytest.mark.parametrize(
    ("kind", "hours"),
    [("generate token", 720), ("generate permanent token", 8760), ("generate token, 10 years", 8760)],
)
def test_a_token_says_how_long_it_lives(admin: APIClient, kind: str, hours: int) -> None:
    body = send(admin, kind).json()
    assert body["ok"] is True
    assert body["label"] == CALLS[kind]["body"]["label"]
    assert body["expires_hours"] == hours
    assert ("message" in body) == (CALLS[kind]["body"]["expires_hours"] != hours)
    admin.credentials(HTTP_AUTHORIZATION=f"Bearer {body['token']}")
    me = admin.get("/api/auth/me").json()["data"]
    assert me["scope"] == "reader"
    lifetime = datetime.fromisoformat(me["expires_at"]) - NIGHT_OF_THE_RECORDING
    assert round(lifetime.total_seconds() / 3600) == hours


def test_a_token_without_a_label_has_a_name(admin: APIClient) -> None:
    body = admin.post("/compat/api/auth/generate-token", data={}).json()
    assert (body["label"], body["expires_hours"]) == ("api", 720)


# --- Categories and figures -----------------------------------------------------------------------


def test_the_tree_is_bare(reader: APIClient) -> None:
    assert_as_recorded(send(reader, "categories"), "categories", values=True)


@pytest.mark.parametrize("kind", FIGURES)
def test_stored_figures_have_the_recorded_form(reader: APIClient, kind: str) -> None:
    store(query_of(kind), result_of(kind))
    response = send(reader, kind)
    body = assert_as_recorded(response, kind, values=True)
    assert set(body) == set(CALLS[kind]["answer"])
    assert response.headers["X-MengLa-Source"] in ("l1", "l2", "l3")
    assert not collections(active_key={"$ne": None})


def test_a_quarter_that_was_an_error_there_is_collected(reader: APIClient) -> None:
    kind = "industryViewV2 by quarter"
    assert send(reader, kind).status_code == 504
    answer(claim(), result_of("industryViewV2 by day"))
    assert send(reader, kind).json() == result_of("industryViewV2 by day")


@pytest.mark.parametrize("kind", FIGURES)
def test_empty_answers_are_empty_lists(reader: APIClient, kind: str) -> None:
    query = query_of(kind)
    store(query, [] if query.is_trend else {next(iter(result_of(kind))): {"code": 0, "data": {}}})
    response = send(reader, kind)
    assert response.status_code == 200
    name = next(iter(result_of(kind)))
    body = response.json()[name]
    if query.is_trend:
        assert body == {"data": []}
    else:
        assert body["code"] == 0
        assert set(body["data"]) == set(CALLS[kind]["answer"][name]["data"])
        assert set(map(str, body["data"].values())) == {"[]"}
    assert response.headers["X-MengLa-Freshness"] == "empty"


# --- Panels ---------------------------------------------------------------------------------------


def test_the_panel_configuration_is_bare_and_takes_what_was_written(admin: APIClient) -> None:
    assert_as_recorded(send(admin, "panel read"), "panel read")
    body = assert_as_recorded(send(admin, "modules write"), "modules write")
    assert body["modules"] == CALLS["modules write"]["body"]["modules"]
    body = assert_as_recorded(send(admin, "layout write"), "layout write", values=True)
    assert body == send(admin, "panel read").json()
    assert set(body) == {"modules", "layout"}
    own = admin.get("/api/panel-config").json()["data"]
    assert own["layout"] == body["layout"] == {"defaultPeriod": "update", "showRankPeriodSelector": False}


def test_the_tasks_are_not_listed(admin: APIClient) -> None:
    assert_as_recorded(send(admin, "panel tasks"), "panel tasks")


def test_a_task_is_started(admin: APIClient) -> None:
    body = assert_as_recorded(send(admin, "run task"), "run task", values=True)
    assert only_run()["_id"] == ObjectId(body["sync_task_id"])
    second = send(admin, "run task")
    assert (second.status_code, second.json()["error"]) == (409, "HTTP_ERROR")


def only_run() -> Document:
    (run,) = collection_of(SyncTask).find()
    return run


def test_both_fills_of_one_click_run(admin: APIClient) -> None:
    kinds = ("fill", "fill, the second of one click")
    bodies = [assert_as_recorded(send(admin, kind), kind, values=True) for kind in kinds]
    runs = {str(run["_id"]): run for run in collection_of(SyncTask).find()}
    for kind, body in zip(kinds, bodies, strict=True):
        run = runs.pop(body["sync_task_id"])
        assert run["parameters"]["cat_ids"] == [""]
        assert run["parameters"]["actions"] == CALLS[kind]["body"]["actions"]
        assert run["expected_total"] == len(CALLS[kind]["body"]["actions"])
    assert runs == {}
    again = send(admin, "fill")
    assert (again.status_code, again.json()["error"]) == (409, "HTTP_ERROR")


# --- Schedules ------------------------------------------------------------------------------------


@pytest.fixture
def _scheduled(db: None, redis_client: Any) -> None:
    sync_schedules()
    note_heartbeat()


@pytest.mark.usefixtures("_scheduled")
def test_the_schedules_are_paused_and_resumed(admin: APIClient) -> None:
    body = assert_as_recorded(send(admin, "scheduler status"), "scheduler status")
    assert (body["running"], body["state"]) == (True, "running")
    assert body["total_jobs"] == len(body["active_jobs"]) > 0
    for job in body["active_jobs"]:
        assert re.fullmatch(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d(\.\d+)?\+08:00", job["next_run"])
    assert_as_recorded(send(admin, "pause"), "pause", values=True)
    paused = assert_as_recorded(send(admin, "scheduler status, paused"), "scheduler status, paused")
    assert (paused["running"], paused["state"]) == (True, "paused")
    assert_as_recorded(send(admin, "resume"), "resume", values=True)
    assert send(admin, "scheduler status").json()["state"] == "running"


def test_without_workers_the_schedules_are_stopped(admin: APIClient) -> None:
    body = send(admin, "scheduler status").json()
    assert (body["running"], body["state"], body["background_tasks"]) == (False, "stopped", 0)


@pytest.mark.usefixtures("_scheduled")
def test_a_schedule_that_is_paused_alone_is_listed_apart(admin: APIClient) -> None:
    pause_schedule("daily_collect", paused_by="tests")
    body = send(admin, "scheduler status").json()
    assert [job["id"] for job in body["paused_jobs"]] == ["daily_collect"]
    assert "daily_collect" not in [job["id"] for job in body["active_jobs"]]
    assert body["total_jobs"] == len(body["active_jobs"]) + 1


# --- Runs -----------------------------------------------------------------------------------------


def test_the_runs_of_today_have_the_triggers_it_knows(admin: APIClient) -> None:
    send(admin, "run task")
    body = assert_as_recorded(send(admin, "today"), "today")
    (row,) = body["tasks"]
    assert row["task_id"] == "mengla_single_day"
    assert row["trigger"] == "manual"
    assert row["started_at"] == only_run()["started_at"].isoformat()
    own = admin.get("/api/sync-tasks/today").json()["data"]["tasks"][0]
    assert own["started_at"] == row["started_at"] + "Z"
    assert own["trigger"] == "api"


def test_a_scheduled_run_is_shown_as_scheduled(admin: APIClient) -> None:
    start(single_day_plan(market_clock.today()), Order("schedule", Trigger.SCHEDULED))
    assert send(admin, "today").json()["tasks"][0]["trigger"] == "scheduled"


def test_an_empty_answer_counts_as_completed(admin: APIClient) -> None:
    plan_of_one_figure()
    answer(claim(), ranking())
    row = send(admin, "today").json()["tasks"][0]
    assert row["progress"] == {"total": 1, "completed": 1, "failed": 0}
    assert row["status"] == "COMPLETED"
    assert re.fullmatch(r"[0-9T:.-]+", row["finished_at"])


def plan_of_one_figure() -> str:
    """Start and plan a run of one collection; returns its id."""
    day = parse_period("20261127")
    plan = fill_plan(day, day, selection=Selection(cat_ids=("17027494",), actions=(Action.HOT,)))
    run_id = start(plan, Order("tests")).run_id
    plan_run(run_id)
    return run_id


def test_the_status_is_a_boolean_for_each_period(admin: APIClient) -> None:
    for action in ("high", "hot"):
        period = parse_period("202610")
        store(DataQuery(Action(action), "", period, period))
    assert_as_recorded(send(admin, "status"), "status", values=True)


def test_an_empty_period_is_not_stored(admin: APIClient) -> None:
    period = parse_period("202610")
    store_empty(DataQuery(Action.HOT, "", period, period))
    assert send(admin, "status", actions=["hot"]).json()["status"] == {
        "hot": {"202608": False, "202609": False, "202610": False}
    }


def test_the_status_of_one_category(admin: APIClient) -> None:
    period = parse_period("202610")
    store(DataQuery(Action.HOT, "17027494", period, period))
    body = send(admin, "status", actions=["hot"], catId="17027494").json()
    assert body["catId"] == "17027494"
    assert body["status"]["hot"]["202610"] is True


@pytest.mark.parametrize(("start_date", "end_date"), [("2026-08-15", "2026-10-02"), ("2026-08", "20261031")])
def test_a_range_is_widened_to_the_periods_of_its_ends(
    admin: APIClient, start_date: str, end_date: str
) -> None:
    body = send(admin, "status", startDate=start_date, endDate=end_date).json()
    assert list(body["status"]["high"]) == ["202608", "202609", "202610"]
    assert (body["startDate"], body["endDate"]) == (start_date, end_date)


def test_what_has_not_begun_is_left_out(admin: APIClient) -> None:
    body = send(admin, "status", startDate="2026-10-01", endDate="2027-03-31").json()
    assert list(body["status"]["high"]) == ["202610", "202611"]
    refused = send(admin, "status", startDate="2027-01-01", endDate="2027-03-31")
    assert refused.status_code == 400
    assert "startDate" in refused.json()["message"]


def test_a_backfill_collects_days_for_all_categories_together(admin: APIClient) -> None:
    assert_as_recorded(send(admin, "backfill"), "backfill", values=True)
    parameters = only_run()["parameters"]
    assert parameters["spans"] == [["day", "20250101", "20250102", "20250101"]]
    assert (parameters["cat_ids"], parameters["actions"]) == ([""], ["high"])


def test_a_full_crawl_collects_the_periods_of_a_range(admin: APIClient) -> None:
    body = send(admin, "full crawl")  # an error there, whose queue could not start
    assert body.status_code == 200, body.content
    assert body.json()["message"]
    parameters = only_run()["parameters"]
    assert parameters["spans"] == [["month", "202501", "202503", "202501"]]
    assert (parameters["cat_ids"], parameters["actions"]) == ([""], ["high"])


def test_a_full_crawl_ends_with_the_current_periods(admin: APIClient) -> None:
    send(admin, "full crawl", startDate="2026-11-15", endDate="2027-02-28", granularities=["month", "day"])
    spans = only_run()["parameters"]["spans"]
    assert [span[:3] for span in spans] == [["month", "202611", "202611"], ["day", "20261115", "20261129"]]


def test_an_ended_run_is_not_cancelled_and_is_deleted_with_its_records(admin: APIClient) -> None:
    run_id = plan_of_one_figure()
    one = {"path": f"/api/sync-tasks/{run_id}"}
    running = send(admin, "delete run", **one)
    assert (running.status_code, running.json()["error"]) == (400, "HTTP_ERROR")
    answer(claim(), ranking("one"))
    ended = send(admin, "cancel one that has ended", path=f"/api/sync-tasks/{run_id}/cancel")
    assert_as_recorded(ended, "cancel one that has ended")
    body = assert_as_recorded(send(admin, "delete run", **one), "delete run")
    assert body["deleted_data_count"] == 1
    assert send(admin, "delete run", **one).status_code == 404


def test_a_running_run_is_cancelled(admin: APIClient) -> None:
    run_id = plan_of_one_figure()
    body = admin.post(f"/compat/api/sync-tasks/{run_id}/cancel").json()
    assert body["success"] is True
    assert only_run()["status"] == "CANCELLED"


def test_everything_is_cancelled_and_counted_once(admin: APIClient) -> None:
    plan_of_one_figure()
    body = assert_as_recorded(send(admin, "cancel all"), "cancel all")
    counts = [body[name] for name in CALLS["cancel all"]["answer"] if name.startswith("cancelled_")]
    assert counts == [0, 1, 0, 1]


# --- Operators ------------------------------------------------------------------------------------


@pytest.fixture
def _some_work(reader: APIClient) -> None:
    """Figures stored, read and found empty."""
    store(query_of("high by day"), result_of("high by day"))
    send(reader, "high by day")
    for period in map(parse_period, ("202608", "202609", "202610")):
        change(store_empty(DataQuery(Action.HOT, "17028733", period, period)), execution_id="of the service")


@pytest.mark.usefixtures("_some_work")
def test_the_health_has_every_recorded_part(admin: APIClient) -> None:
    body = assert_as_recorded(send(admin, "collect-health"), "collect-health")
    assert body["errors"] == {}
    assert (body["total_documents"], body["empty_documents"]) == (4, 3)
    assert body["action_stats"]["hot"] == {"total": 3, "empty": 3, "has_data": 0, "empty_rate": 1.0}
    assert body["empty_streaks"] == [{"action": "hot", "cat_id": "", "streak": 3, "level": "warning"}]
    assert body["recent_records"][0]["period_key"] == "202610"
    assert body["date"] == "2026-11-29"


def test_the_health_of_an_installation_with_a_silent_database(
    admin: APIClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    def silent(*_arguments: Any, **_options: Any) -> Any:
        raise RuntimeError

    monkeypatch.setattr("apps.core.storage.mongo.run_command", silent)
    response = send(admin, "collect-health")
    assert response.status_code == 200
    assert response.json()["mongo_status"]["ok"] is False
    assert response.json()["mongo_status"]["connections"]["current"] == 0
    assert set(response.json()["errors"]) == {"mongo"}


def test_the_metrics_of_nothing_are_the_recorded_ones(admin: APIClient) -> None:
    assert_as_recorded(send(admin, "metrics"), "metrics", values=True)


@pytest.mark.usefixtures("_some_work")
def test_the_metrics_count_collections_and_reads(admin: APIClient) -> None:
    body = assert_as_recorded(send(admin, "metrics"), "metrics")
    assert (body["total_tasks"], body["success_count"], body["fail_count"]) == (4, 4, 0)
    assert (body["cache_hit_count"], body["cache_miss_count"]) == (1, 0)
    assert body["action_counts"] == {"high": 1, "hot": 3}


@pytest.mark.usefixtures("_some_work")
def test_the_cache_counts_by_tier(admin: APIClient) -> None:
    body = assert_as_recorded(send(admin, "cache stats"), "cache stats")
    assert body["l1"]["size"] >= 1
    assert [body[tier]["hits"] for tier in ("l1", "l2", "l3")] == [1, 0, 0]
    assert [body[tier]["misses"] for tier in ("l1", "l2", "l3")] == [0, 0, 0]


def test_the_breaker_has_the_five_names(admin: APIClient) -> None:
    assert_as_recorded(send(admin, "circuit breakers"), "circuit breakers", values=True)


def test_an_open_breaker_is_open_under_each_name(admin: APIClient, settings: Any) -> None:
    for _ in range(settings.CB_FAILURE_THRESHOLD):
        breaker.record_failure(CollectionError.CONNECT_ERROR)
    body = send(admin, "circuit breakers").json()
    assert {one["state"] for one in body.values()} == {"open"}
    assert {one["failure_count"] for one in body.values()} == {5}


def test_a_rule_is_silenced_for_an_hour(admin: APIClient) -> None:
    assert_as_recorded(send(admin, "silence"), "silence")
    (alert,) = [
        one
        for one in admin.get("/api/admin/alerts").json()["data"]["alerts"]
        if one["rule"] == "low_success_rate"
    ]
    left = datetime.fromisoformat(alert["silenced_until"]) - datetime.now(UTC)
    assert 59 <= left.total_seconds() / 60 <= 60
    assert send(admin, "silence", duration_minutes=5).status_code == 200


def test_the_purge_says_what_it_cleared(admin: APIClient) -> None:
    assert_as_recorded(send(admin, "purge"), "purge", values=True)
    store(query_of("high by day"), result_of("high by day"))
    results = send(admin, "purge", targets=["mongodb", "redis"]).json()["results"]
    assert results["redis"] == {"cleared": True}
    assert (results["mongodb"]["cleared"], results["mongodb"]["records"]) == (True, 1)
