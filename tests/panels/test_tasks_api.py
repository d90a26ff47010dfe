"""The panel tasks and the fill of gaps, as an admin's client sees them."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import Any

import pytest
import redis
from rest_framework.test import APIClient

from apps.core.errors import NotFound
from apps.core.periods import Granularity, parse_period
from apps.core.storage.flags import SCHEDULER_PAUSED, set_flag
from apps.core.storage.mongo import collection_of
from apps.mengla.choices import Action, Priority
from apps.mengla.queries.data_query import DataQuery
from apps.mengla.runs.collect import PERIOD_TASK_IDS, TASK_NAMES, Order
from apps.panels import selectors, services
from apps.sync_tasks import services as runs
from apps.sync_tasks.models import SyncTask
from apps.sync_tasks.selectors import list_unplanned
from tests.conftest import bearer_client
from tests.factories.categories import Node
from tests.mengla.runs.support import collections_of, end_all, identities_of, plan_now, run_document, store
from tests.panels.support import data_of, error_of

pytestmark = [pytest.mark.mongo, pytest.mark.redis, pytest.mark.django_db]

TASKS = "/api/panel/tasks"
FILL = "/api/panel/data/fill"
TASK_IDS = [
    "mengla_granular",
    "mengla_granular_force",
    "mengla_single_day",
    "daily_collect",
    "monthly_collect",
    "quarterly_collect",
    "yearly_collect",
    "backfill_check",
]
MARCH_AND_APRIL = {"granularity": "month", "startDate": "2025-03", "endDate": "2025-04"}


@pytest.fixture(autouse=True)
def _tree(sample_tree: list[Node], monkeypatch: pytest.MonkeyPatch) -> None:
    """Two level-1 categories, 1000 and 2000; and it is always early on New Year's day in Shanghai."""
    from datetime import UTC, datetime

    instant = datetime(2025, 12, 31, 17, tzinfo=UTC)
    monkeypatch.setattr("apps.core.market_clock.timezone.now", lambda: instant)


def tasks_of(response: Any) -> dict[str, dict[str, Any]]:
    return {task["id"]: task for task in data_of(response)["tasks"]}


class TestAccess:
    @pytest.mark.parametrize(
        ("method", "path"), [("get", TASKS), ("post", f"{TASKS}/daily_collect/run"), ("post", FILL)]
    )
    def test_admins_only(self, api: APIClient, reader: APIClient, method: str, path: str) -> None:
        error_of(getattr(api, method)(path, {}), 401, "UNAUTHENTICATED")
        error_of(getattr(reader, method)(path, {}), 403, "PERMISSION_DENIED")
        assert collection_of(SyncTask).count_documents({}) == 0


class TestList:
    def test_every_task_is_named_and_described(self, admin: APIClient) -> None:
        tasks = data_of(admin.get(TASKS))["tasks"]
        assert [task["id"] for task in tasks] == TASK_IDS
        for task in tasks:
            assert set(task) == {"id", "name", "description", "last_run"}
            assert task["name"] == TASK_NAMES[task["id"]]
            assert task["description"].endswith(".")
            assert task["last_run"] is None

    def test_the_newest_run_is_told(self, admin: APIClient) -> None:
        first = data_of(admin.post(f"{TASKS}/daily_collect/run"), 202)["sync_task_id"]
        runs.cancel_run(run_id=first, cancelled_by="tests")
        second = data_of(admin.post(f"{TASKS}/daily_collect/run"), 202)["sync_task_id"]
        plan_now(second)
        tasks = tasks_of(admin.get(TASKS))
        last = tasks["daily_collect"]["last_run"]
        assert (last["id"], last["status"], last["finished_at"]) == (second, "RUNNING", None)
        assert (last["percent"], last["failed"], last["error_message"]) == (0, 0, None)
        assert (last["trigger"], last["requested_by"], last["period"]) == ("api", "admin", "20251231")
        assert last["started_at"].endswith("Z")
        assert tasks["monthly_collect"]["last_run"] is None
        ended = end_all(failing=2)
        last = tasks_of(admin.get(TASKS))["daily_collect"]["last_run"]
        assert ended > 2
        assert (last["percent"], last["failed"], last["outcome"]) == (100, 2, "completed_with_failures")


class TestRun:
    @pytest.mark.parametrize("task_id", TASK_IDS)
    def test_every_task_can_be_started(self, admin: APIClient, task_id: str) -> None:
        response = admin.post(f"{TASKS}/{task_id}/run")
        data = data_of(response, 202)
        assert data == {"sync_task_id": data["sync_task_id"], "task_id": task_id}
        assert response.headers["Location"] == f"/api/sync-tasks/{data['sync_task_id']}"
        reported = data_of(admin.get(response.headers["Location"]))
        assert (reported["task_id"], reported["trigger"], reported["requested_by"]) == (
            task_id,
            "api",
            "admin",
        )
        assert reported["task_name"] == TASK_NAMES[task_id]
        run = plan_now(data["sync_task_id"])
        assert run["is_planned"]
        assert collections_of(data["sync_task_id"])

    @pytest.mark.parametrize(
        ("task_id", "period"),
        [
            ("daily_collect", "20251231"),
            ("monthly_collect", "202512"),
            ("quarterly_collect", "2025Q4"),
            ("yearly_collect", "2025"),
            ("mengla_single_day", "20251231"),
        ],
    )
    def test_the_period_is_the_last_closed_one_in_shanghai(
        self, admin: APIClient, task_id: str, period: str
    ) -> None:
        run_id = data_of(admin.post(f"{TASKS}/{task_id}/run"), 202)["sync_task_id"]
        assert run_document(run_id)["period"] == period
        assert run_document(run_id)["slot"] is None, "a later schedule of the same period still starts"

    def test_a_period_task_collects_what_its_schedule_does(self, admin: APIClient) -> None:
        run_id = data_of(admin.post(f"{TASKS}/monthly_collect/run"), 202)["sync_task_id"]
        plan_now(run_id)
        hot = [identity for identity in identities_of(run_id) if identity.startswith("hot:")]
        assert sorted(hot) == ["hot:1000:month:202512", "hot:2000:month:202512"]
        assert {one["priority"] for one in collections_of(run_id)} == {Priority.MANUAL}

    def test_force_asks_again_for_what_is_fresh(self, admin: APIClient) -> None:
        december = parse_period("202512")
        store(DataQuery(Action.HOT, "1000", december, december))
        counts = {}
        for task_id in ("mengla_granular", "mengla_granular_force"):
            run_id = data_of(admin.post(f"{TASKS}/{task_id}/run"), 202)["sync_task_id"]
            plan_now(run_id)
            counts[task_id] = "hot:1000:month:202512" in identities_of(run_id)
        assert counts == {"mengla_granular": False, "mengla_granular_force": True}

    def test_one_that_runs_is_a_conflict_that_names_it(self, admin: APIClient) -> None:
        running = data_of(admin.post(f"{TASKS}/yearly_collect/run"), 202)["sync_task_id"]
        body = error_of(admin.post(f"{TASKS}/yearly_collect/run"), 409, "CONFLICT")
        assert body["detail"] == f"sync_task_id={running}"
        data_of(admin.post(f"{TASKS}/quarterly_collect/run"), 202)
        runs.cancel_run(run_id=running, cancelled_by="tests")
        data_of(admin.post(f"{TASKS}/yearly_collect/run"), 202)

    def test_started_by_many_at_once_it_runs_once(self, admin_token: str) -> None:
        count = 8
        together = Barrier(count)

        def start(_number: int) -> tuple[int, str]:
            client = bearer_client(admin_token)
            together.wait()
            response = client.post(f"{TASKS}/daily_collect/run")
            body = response.json()
            return response.status_code, body["data"]["sync_task_id"] if "data" in body else body["detail"]

        with ThreadPoolExecutor(count) as pool:
            answers = sorted(pool.map(start, range(count)))
        run_id = answers[0][1]
        assert answers == [(202, run_id)] + [(409, f"sync_task_id={run_id}")] * (count - 1)
        assert collection_of(SyncTask).count_documents({}) == 1

    def test_without_redis_it_starts_and_is_planned_later(
        self, admin: APIClient, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def refuse(*_args: Any, **_kwargs: Any) -> Any:
            raise redis.ConnectionError("refused")

        with monkeypatch.context() as down:
            down.setattr(redis.connection.ConnectionPool, "get_connection", refuse)
            run_id = data_of(admin.post(f"{TASKS}/daily_collect/run"), 202)["sync_task_id"]
        assert [str(run["_id"]) for run in list_unplanned(10)] == [run_id], "the tick will find it"

    def test_a_pause_is_for_the_schedules(self, admin: APIClient) -> None:
        set_flag(SCHEDULER_PAUSED, is_set=True, changed_by="tests")
        data_of(admin.post(f"{TASKS}/daily_collect/run"), 202)

    @pytest.mark.parametrize(
        "task_id",
        ["nothing", "fill", "full_crawl", "DAILY_COLLECT", "%00", "$where", "1" * 5000, "%F0%9F%94%91"],
    )
    def test_an_unknown_one(self, admin: APIClient, task_id: str) -> None:
        error_of(admin.post(f"{TASKS}/{task_id}/run"), 404, "NOT_FOUND")
        assert collection_of(SyncTask).count_documents({}) == 0

    def test_an_admin_page_can_start_one_too(self) -> None:
        started = services.run_task("daily_collect", order=Order("chief"))
        [view] = [one for one in selectors.list_tasks() if one.task.id == "daily_collect"]
        assert view.run is not None and view.progress is not None
        assert (str(view.run["_id"]), view.run["trigger"]) == (started.run_id, "manual")
        with pytest.raises(NotFound):
            services.run_task("nothing", order=Order("chief"))


class TestFill:
    def test_only_what_is_missing_is_planned(self, admin: APIClient) -> None:
        march = parse_period("202503")
        store(DataQuery(Action.HOT, "1000", march, march), age_days=60)
        response = admin.post(FILL, MARCH_AND_APRIL | {"actions": ["hot"]})
        data = data_of(response, 202)
        assert data["task_id"] == "fill"
        assert response.headers["Location"] == f"/api/sync-tasks/{data['sync_task_id']}"
        run = plan_now(data["sync_task_id"])
        assert sorted(identities_of(data["sync_task_id"])) == [
            "hot:1000:month:202504",
            "hot:2000:month:202503",
            "hot:2000:month:202504",
        ]
        assert run["skipped"] == {"present": 1}
        assert (run["period"], run["trigger"], run["requested_by"]) == ("202503~202504", "api", "admin")
        assert {one["priority"] for one in collections_of(data["sync_task_id"])} == {Priority.BACKFILL}

    @pytest.mark.parametrize(
        ("cat_id", "expected"),
        [
            ("1001", {"1001"}),
            ("all", {""}),
            ("", {""}),
            (None, {"1000", "2000"}),
        ],
    )
    def test_the_category(self, admin: APIClient, cat_id: str | None, expected: set[str]) -> None:
        wanted = {"granularity": "year", "startDate": "2024", "endDate": "2024", "catId": cat_id}
        run_id = data_of(admin.post(FILL, wanted), 202)["sync_task_id"]
        plan_now(run_id)
        collections = collections_of(run_id)
        assert {one["cat_id"] for one in collections} == expected
        assert {one["action"] for one in collections} == set(Action)

    @pytest.mark.parametrize(
        ("granularity", "start", "end", "period"),
        [
            ("day", "2025-03-01", "20250302", "20250301~20250302"),
            ("month", "2025-03-01", "2025-04-30", "202503~202504"),
            ("QUARTERLY_FOR_YEAR", "2025-Q1", "2025Q2", "2025Q1~2025Q2"),
            ("Year", "2024-01-01", "2024", "2024~2024"),
        ],
    )
    def test_every_form_of_a_range(
        self, admin: APIClient, granularity: str, start: str, end: str, period: str
    ) -> None:
        wanted = {"granularity": granularity, "startDate": start, "endDate": end, "actions": ["high"]}
        assert run_document(data_of(admin.post(FILL, wanted), 202)["sync_task_id"])["period"] == period

    def test_null_means_all_actions(self, admin: APIClient) -> None:
        run_id = data_of(admin.post(FILL, MARCH_AND_APRIL | {"actions": None}), 202)["sync_task_id"]
        assert run_document(run_id)["parameters"]["actions"] == list(Action.values)

    def test_one_fill_at_a_time_of_the_same(self, admin: APIClient) -> None:
        running = data_of(admin.post(FILL, MARCH_AND_APRIL), 202)["sync_task_id"]
        body = error_of(admin.post(FILL, MARCH_AND_APRIL), 409, "CONFLICT")
        assert body["detail"] == f"sync_task_id={running}"

    @pytest.mark.parametrize(
        ("first", "same"),
        [
            ({"actions": ["high", "hot"]}, {"actions": ["hot", "high"]}),
            ({"actions": ["high", "hot"]}, {"actions": ["hot", "high", "hot"]}),
            ({}, {"actions": list(Action.values)}),
            ({"catId": ""}, {"catId": "all"}),
            ({}, {"startDate": "2025-03-01", "endDate": "202504"}),
        ],
    )
    def test_the_same_in_other_words_is_the_same(
        self, admin: APIClient, first: dict[str, Any], same: dict[str, Any]
    ) -> None:
        running = data_of(admin.post(FILL, MARCH_AND_APRIL | first), 202)["sync_task_id"]
        body = error_of(admin.post(FILL, MARCH_AND_APRIL | same), 409, "CONFLICT")
        assert body["detail"] == f"sync_task_id={running}"

    @pytest.mark.parametrize(
        "other",
        [
            {"actions": ["industryTrendRange"]},
            {"catId": "1001"},
            {"catId": ""},
            {"endDate": "2025-03"},
            {"granularity": "quarter", "startDate": "2025Q1", "endDate": "2025Q1"},
        ],
    )
    def test_fills_that_differ_run_at_once(self, admin: APIClient, other: dict[str, Any]) -> None:
        first = MARCH_AND_APRIL | {"actions": ["high", "hot"], "catId": "1000"}
        ids = [data_of(admin.post(FILL, one), 202)["sync_task_id"] for one in (first, first | other)]
        for run_id in ids:
            plan_now(run_id)
            assert run_document(run_id)["status"] == "RUNNING"
        assert all(collections_of(run_id) for run_id in ids)
        end_all()
        assert {run_document(run_id)["status"] for run_id in ids} == {"COMPLETED"}
        data_of(admin.post(FILL, first), 202)  # an ended run blocks no other

    def test_failed_collections_of_two_fills_are_retried_at_once(self, admin: APIClient) -> None:
        bodies = [MARCH_AND_APRIL | {"actions": [name], "catId": "1000"} for name in ("high", "hot")]
        ids = [data_of(admin.post(FILL, one), 202)["sync_task_id"] for one in bodies]
        for run_id in ids:
            plan_now(run_id)
        end_all(failing=4)
        retries = [
            data_of(admin.post(f"/api/sync-tasks/{run_id}/retry"), 202)["sync_task_id"] for run_id in ids
        ]
        body = error_of(admin.post(f"/api/sync-tasks/{ids[0]}/retry"), 409, "CONFLICT")
        assert body["detail"] == f"sync_task_id={retries[0]}"

    @pytest.mark.parametrize(
        ("change", "field"),
        [
            ({"granularity": None}, "granularity"),
            ({"granularity": "decade"}, "granularity"),
            ({"granularity": ["month"]}, "granularity"),
            ({"startDate": None}, "startDate"),
            ({"startDate": "2025-13"}, "startDate"),
            ({"startDate": "2025-03-02"}, "startDate"),
            ({"startDate": "2025-Q1"}, "startDate"),
            ({"startDate": 202503}, "startDate"),
            ({"startDate": "２０２５-03"}, "startDate"),
            ({"startDate": "2025-03\0"}, "startDate"),
            ({"startDate": "x" * 100_000}, "startDate"),
            ({"endDate": "2025-04-29"}, "endDate"),
            ({"endDate": {"$gt": ""}}, "endDate"),
            ({"endDate": "2025-02"}, "startDate"),
            ({"granularity": "day", "startDate": "2000-01-01", "endDate": "2099-12-31"}, "endDate"),
            ({"actions": []}, "actions"),
            ({"actions": "hot"}, "actions"),
            ({"actions": ["hot", "cold"]}, "actions.1"),
            ({"actions": [["hot"]]}, "actions.0"),
            ({"actions": ["hot"] * 10_000}, "actions"),
            ({"catId": "999"}, "catId"),
            ({"catId": 999}, "catId"),
            ({"catId": 1000.5}, "catId"),
            ({"catId": "1000\0"}, "catId"),
            ({"catId": "$where"}, "catId"),
            ({"catId": "１０００"}, "catId"),
            ({"category": "1000"}, "category"),
        ],
    )
    def test_bad_input_starts_nothing(self, admin: APIClient, change: dict[str, Any], field: str) -> None:
        wanted = MARCH_AND_APRIL | change
        body = error_of(admin.post(FILL, wanted), 400, "VALIDATION_ERROR")
        assert field in body["fields"], body
        assert collection_of(SyncTask).count_documents({}) == 0

    @pytest.mark.parametrize("missing", list(MARCH_AND_APRIL))
    def test_what_is_required(self, admin: APIClient, missing: str) -> None:
        wanted = {name: value for name, value in MARCH_AND_APRIL.items() if name != missing}
        assert missing in error_of(admin.post(FILL, wanted), 400, "VALIDATION_ERROR")["fields"]


def test_every_period_task_is_a_panel_task() -> None:
    assert {PERIOD_TASK_IDS[one] for one in Granularity} <= set(TASK_IDS)
