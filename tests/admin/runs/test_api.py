"""The addresses that start collecting, stop it, and tell what is stored."""

from __future__ import annotations

from typing import Any

import pytest
from rest_framework.test import APIClient

from apps.core import market_clock
from apps.core.periods import Granularity, previous_closed_period
from apps.core.storage.mongo import collection_of
from apps.mengla.choices import Action, Priority
from apps.mengla.dispatch import cancel_all as cancel_all_service
from apps.mengla.models import Collection
from apps.mengla.runs.planning import plan_run
from apps.sync_tasks.models import SyncTask
from apps.sync_tasks.selectors import find_run
from tests.admin.calls import BASE, assert_hostile_is_invalid, assert_invalid, data_of, error_of
from tests.mengla.support import (
    claim,
    collections,
    enqueue,
    fail,
    hot,
    make_stale,
    statuses,
    store,
    store_empty,
    trend,
)

pytestmark = [
    pytest.mark.django_db,
    pytest.mark.mongo,
    pytest.mark.redis,
    pytest.mark.usefixtures("sample_tree"),
]

QUARTERS = {"2024Q1", "2024Q2", "2024Q3", "2024Q4", "2025Q1"}
MONTHS = {"granularity": "month", "startDate": "2025-01", "endDate": "2025-03"}


def start(admin: APIClient, path: str, body: dict[str, Any]) -> dict[str, Any]:
    """Start a run, plan it as a worker would, and return it."""
    response = admin.post(BASE + path, body)
    run_id = data_of(response, 202)["sync_task_id"]
    assert response.headers["Location"] == f"/api/sync-tasks/{run_id}"
    plan_run(run_id)
    run = find_run(run_id)
    assert run is not None
    return run


class TestStatus:
    def status(self, admin: APIClient, **body: Any) -> Any:
        return data_of(admin.post(f"{BASE}/mengla/status", MONTHS | body))

    def test_each_period_of_each_action(self, admin: APIClient) -> None:
        store(hot("202501"))
        store_empty(hot("202502"))
        store(trend("202502", "202503"))
        found = self.status(admin, catId="1001", actions=["hot", "industryTrendRange", "high"])
        assert found["status"] == {
            "hot": {"202501": "present", "202502": "empty", "202503": "missing"},
            "industryTrendRange": {"202501": "missing", "202502": "present", "202503": "present"},
            "high": {"202501": "missing", "202502": "missing", "202503": "missing"},
        }
        assert (found["granularity"], found["startDate"], found["endDate"]) == ("month", "202501", "202503")
        assert found["categories"] == 1
        assert found["totals"] == {
            "present": 3,
            "empty": 1,
            "missing": 5,
            "stale": 0,
            "in_flight": 0,
            "provisional": 0,
            "due": 0,
            "queued": 0,
            "dispatched": 0,
            "failed": 0,
            "gaps": 5,
        }
        assert found["failed"] == {}

    def test_stale_and_awaited_ones_are_counted(self, admin: APIClient) -> None:
        store(hot("202501"))
        make_stale(hot("202501"))
        enqueue(hot("202502"))
        totals = self.status(admin, catId="1001", actions=["hot"])["totals"]
        assert totals == {
            "present": 1,
            "empty": 0,
            "missing": 2,
            "stale": 1,
            "in_flight": 1,
            "provisional": 0,
            "due": 0,
            "queued": 1,
            "dispatched": 0,
            "failed": 0,
            "gaps": 1,
        }

    def test_the_periods_that_failed_are_named(self, admin: APIClient) -> None:
        fail(hot("202502"))
        found = self.status(admin, catId="1001", actions=["hot", "high"])
        assert found["failed"] == {"hot": ["202502"]}
        assert found["status"]["hot"]["202502"] == "missing"
        assert found["totals"]["failed"] == 1

    def test_without_a_category_all_of_level_1_must_be_there(self, admin: APIClient) -> None:
        for cat_id in ("1000", "2000"):
            store(hot("202501", cat_id=cat_id))
            store_empty(hot("202502", cat_id=cat_id))
        store(hot("202503", cat_id="1000"))
        found = self.status(admin, actions=["hot"], catId=None)
        assert found["categories"] == 2
        assert found["status"]["hot"] == {"202501": "present", "202502": "empty", "202503": "missing"}
        store_empty(hot("202503", cat_id="2000"))
        assert self.status(admin, actions=["hot"])["status"]["hot"]["202503"] == "present"

    @pytest.mark.parametrize("name", ["", "all"])
    def test_all_categories_taken_together_are_one(self, admin: APIClient, name: str) -> None:
        store(hot("202501", cat_id=""))
        found = self.status(admin, actions=["hot"], catId=name)
        assert found["status"]["hot"]["202501"] == "present"
        assert found["categories"] == 1

    def test_all_actions_by_default(self, admin: APIClient) -> None:
        assert set(self.status(admin)["status"]) == set(Action.values)
        assert set(self.status(admin, actions=None)["status"]) == set(Action.values)

    @pytest.mark.parametrize(
        ("path", "body"),
        [("/mengla/status", MONTHS), ("/backfill", MONTHS), ("/mengla/enqueue-full-crawl", {})],
    )
    def test_an_empty_list_does_not_mean_all(self, admin: APIClient, path: str, body: dict[str, Any]) -> None:
        assert_invalid(admin, path, body | {"actions": []}, "actions")
        assert collection_of(SyncTask).find_one() is None

    @pytest.mark.parametrize(
        ("granularity", "first", "last", "keys"),
        [
            ("day", "2025-02-28", "20250301", ["20250228", "20250301"]),
            ("month", "2025-01-01", "2025-02-28", ["202501", "202502"]),
            ("quarter", "2025-Q1", "2025-06-30", ["2025Q1", "2025Q2"]),
            ("QUARTERLY_FOR_YEAR", "2025Q4", "2025Q4", ["2025Q4"]),
            ("year", "2024", "2025-12-31", ["2024", "2025"]),
        ],
    )
    def test_every_granularity(
        self, admin: APIClient, granularity: str, first: str, last: str, keys: list[str]
    ) -> None:
        body = {"granularity": granularity, "startDate": first, "endDate": last, "actions": ["high"]}
        assert list(self.status(admin, **body)["status"]["high"]) == keys

    def test_hostile_input(self, admin: APIClient) -> None:
        path = "/mengla/status"
        assert_hostile_is_invalid(admin, path, MONTHS, "granularity", "startDate", "endDate", "actions")
        for odd in (5, [], {}, "\x00", "x" * 5000, "77", "10 01", "$ne", True):
            assert_invalid(admin, path, MONTHS | {"catId": odd}, "catId")
        assert_invalid(admin, path, {}, "granularity", "startDate", "endDate")
        assert_invalid(admin, path, MONTHS | {"startDate": "2025-04"}, "startDate")
        assert_invalid(admin, path, MONTHS | {"startDate": "2025-01-02"}, "startDate")
        assert_invalid(admin, path, MONTHS | {"endDate": "2025-13"}, "endDate")
        assert_invalid(admin, path, MONTHS | {"granularity": "day"}, "startDate")
        century = {"granularity": "day", "startDate": "2000-01-01", "endDate": "2099-12-31"}
        assert_invalid(admin, path, century, "endDate")


class TestBackfill:
    def test_it_collects_what_is_not_fresh(self, admin: APIClient) -> None:
        store(hot("202501"))
        run = start(admin, "/backfill", MONTHS | {"catId": "1001", "actions": ["hot"]})
        assert (run["task_id"], run["trigger"], run["period"]) == ("backfill", "api", "202501~202503")
        wanted = collections(run_ids=str(run["_id"]))
        assert {one["identity"] for one in wanted} == {hot("202502").identity, hot("202503").identity}
        assert {one["priority"] for one in wanted} == {Priority.BACKFILL}
        assert run["skipped"] == {"fresh": 1}

    def test_forced_it_collects_everything(self, admin: APIClient) -> None:
        store(hot("202501"))
        run = start(admin, "/backfill", MONTHS | {"catId": "1001", "actions": ["hot"], "force": True})
        assert len(collections(run_ids=str(run["_id"]))) == 3

    def test_one_at_a_time(self, admin: APIClient) -> None:
        run_id = data_of(admin.post(f"{BASE}/backfill", MONTHS), 202)["sync_task_id"]
        reported = error_of(admin.post(f"{BASE}/backfill", MONTHS), 409, "CONFLICT")
        assert reported["detail"] == f"sync_task_id={run_id}"

    def test_hostile_input(self, admin: APIClient) -> None:
        names = ("granularity", "startDate", "endDate", "actions", "force")
        assert_hostile_is_invalid(admin, "/backfill", MONTHS, *names)
        assert_invalid(admin, "/backfill", MONTHS | {"catId": "77"}, "catId")
        assert collection_of(SyncTask).find_one() is None


class TestFullCrawl:
    def test_every_category_and_granularity(self, admin: APIClient, settings: Any) -> None:
        run = start(admin, "/mengla/enqueue-full-crawl", {})
        assert (run["task_id"], run["trigger"]) == ("full_crawl", "api")
        wanted = collections(run_ids=str(run["_id"]))
        assert {one["cat_id"] for one in wanted} == {"1000", "1001", "1002", "2000", "2001", "2002"}
        assert {one["granularity"] for one in wanted} == {"day", "month", "quarter", "year"}
        assert {one["action"] for one in wanted} == set(Action.values)
        day = previous_closed_period(market_clock.day_of(run["started_at"]), Granularity.DAY)
        assert {one["end_key"] for one in wanted if one["granularity"] == "day"} == {day.key}

    def test_a_part_of_it(self, admin: APIClient) -> None:
        run = start(admin, "/mengla/enqueue-full-crawl", {"catId": "1001", "actions": ["hot"]})
        assert {(one["cat_id"], one["action"]) for one in collections(run_ids=str(run["_id"]))} == {
            ("1001", "hot")
        }

    def test_one_at_a_time(self, admin: APIClient) -> None:
        data_of(admin.post(f"{BASE}/mengla/enqueue-full-crawl"), 202)
        error_of(admin.post(f"{BASE}/mengla/enqueue-full-crawl"), 409, "CONFLICT")

    @pytest.mark.parametrize(
        ("dates", "granularities", "periods"),
        [
            (("2025-01-01", "2025-03-31"), ["month"], {"202501", "202502", "202503"}),
            (("20250131", "2025-02-01"), ["DAY", "month"], {"20250131", "20250201", "202501", "202502"}),
            # The periods that contain the ends, though they begin before and end after the range.
            (("2025-02-10", "2025-04-20"), ["quarter", "year"], {"2025Q1", "2025Q2", "2025"}),
            (("2024", "2025-Q1"), ["year", "QUARTERLY_FOR_YEAR", "year"], {"2024", "2025"} | QUARTERS),
            (("2025-01-31", "2025-01-31"), None, {"20250131", "202501", "2025Q1", "2025"}),
        ],
    )
    def test_a_range_in_several_granularities(
        self, admin: APIClient, dates: tuple[str, str], granularities: list[str] | None, periods: set[str]
    ) -> None:
        body = {"startDate": dates[0], "endDate": dates[1], "granularities": granularities}
        run = start(admin, "/mengla/enqueue-full-crawl", body | {"actions": ["hot"], "catId": "1001"})
        wanted = collections(run_ids=str(run["_id"]))
        assert {one["start_key"] for one in wanted} == periods
        assert len(wanted) == len(periods)

    def test_a_range_is_of_every_category_and_names_its_days(self, admin: APIClient) -> None:
        body = {"startDate": "2025-01", "endDate": "2025-02", "granularities": ["month"]}
        run = start(admin, "/mengla/enqueue-full-crawl", body)
        assert run["period"] == "20250101~20250228"
        wanted = collections(run_ids=str(run["_id"]))
        assert {one["cat_id"] for one in wanted} == {"1000", "1001", "1002", "2000", "2001", "2002"}
        trends = {
            (one["start_key"], one["end_key"]) for one in wanted if one["action"] == "industryTrendRange"
        }
        assert trends == {("202501", "202502")}

    def test_granularities_without_a_range(self, admin: APIClient) -> None:
        body = {"granularities": ["year", "month"], "actions": ["hot"], "startDate": None}
        run = start(admin, "/mengla/enqueue-full-crawl", body)
        wanted = collections(run_ids=str(run["_id"]))
        assert {one["granularity"] for one in wanted} == {"month", "year"}

    @pytest.mark.parametrize(
        ("body", "field"),
        [
            ({"startDate": "2025-01-01"}, "endDate"),
            ({"endDate": "2025-01-01"}, "startDate"),
            ({"startDate": "2025-01-20", "endDate": "2025-01-05", "granularities": ["month"]}, "startDate"),
            ({"startDate": "2025-13-01", "endDate": "2025-01-05"}, "startDate"),
            ({"startDate": "2025-01-01", "endDate": "2025-02-30"}, "endDate"),
            ({"startDate": "", "endDate": ""}, "startDate"),
            ({"startDate": 20250101, "endDate": "2025-01-05"}, "startDate"),
            ({"startDate": "2025-01-01", "endDate": ["2025-01-05"]}, "endDate"),
            ({"startDate": "2020-01-01", "endDate": "2024-01-01"}, "endDate"),  # more than 1100 days
            ({"startDate": "2025-01-01", "endDate": "2098-01-01", "granularities": ["year"]}, "endDate"),
            ({"granularities": ["week"]}, "granularities.0"),
            ({"granularities": ["day"] * 17}, "granularities"),
            ({"granularity": "day"}, "granularity"),
            ({"start_date": "2025-01-01"}, "start_date"),
        ],
    )
    def test_a_bad_range_starts_nothing(self, admin: APIClient, body: Any, field: str) -> None:
        assert_invalid(admin, "/mengla/enqueue-full-crawl", body, field)
        assert collection_of(SyncTask).find_one() is None

    def test_a_misspelled_name_does_not_start_all_of_it(self, admin: APIClient) -> None:
        assert_invalid(admin, "/mengla/enqueue-full-crawl", {"cat_id": "1001"}, "cat_id")
        assert_invalid(admin, "/backfill", MONTHS | {"action": ["hot"]}, "action")
        assert_invalid(admin, "/cache/warmup", {"max": 5}, "max")
        assert collection_of(SyncTask).find_one() is None

    def test_hostile_input(self, admin: APIClient) -> None:
        assert_hostile_is_invalid(admin, "/mengla/enqueue-full-crawl", {}, "actions", "granularities")
        days = {"startDate": "2025-01-01", "endDate": "2025-01-02"}
        assert_hostile_is_invalid(admin, "/mengla/enqueue-full-crawl", days, "startDate", "endDate")
        assert_invalid(admin, "/mengla/enqueue-full-crawl", {"catId": "77"}, "catId")
        assert collection_of(SyncTask).find_one() is None


class TestCancelAll:
    def test_nothing_waits_and_nothing_runs_afterwards(self, admin: APIClient) -> None:
        in_flight = enqueue(hot("202401"))
        claim()
        enqueue(hot("202402"))  # a reader's
        run = start(admin, "/backfill", MONTHS | {"actions": ["hot"]})
        start(admin, "/mengla/enqueue-full-crawl", {"catId": "1001"})
        warm_up_id = data_of(admin.post(f"{BASE}/cache/warmup", {}), 202)["sync_task_id"]
        waiting = statuses().count("PENDING")
        assert waiting > 10
        done = data_of(admin.post(f"{BASE}/tasks/cancel-all", {"confirm": True}))
        assert done == {"runs": 3, "collections": waiting, "in_flight": 1, "is_complete": True}
        assert set(statuses()) == {"DISPATCHED", "CANCELLED"}
        assert collections(status="DISPATCHED")[0]["_id"] == in_flight
        for run_id in (str(run["_id"]), warm_up_id):
            ended = find_run(run_id)
            assert ended is not None
            assert ended["status"] == "CANCELLED"
        again = data_of(admin.post(f"{BASE}/tasks/cancel-all", {"confirm": True}))
        assert again == {"runs": 0, "collections": 0, "in_flight": 1, "is_complete": True}

    def test_more_than_the_time_limit_allows_is_reported(
        self, admin: APIClient, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(cancel_all_service, "_MAX_SECONDS", 0.0)
        monkeypatch.setattr(cancel_all_service.cancel_all, "__kwdefaults__", {"max_seconds": 0.0})
        enqueue(hot("202401"))
        done = data_of(admin.post(f"{BASE}/tasks/cancel-all", {"confirm": True}))
        assert (done["collections"], done["is_complete"]) == (0, False)

    def test_only_when_it_is_meant(self, admin: APIClient) -> None:
        enqueue(hot("202401"))
        for body in ({}, {"confirm": False}, {"confirm": None}, {"confirm": 1}, {"confirm": "true"}):
            assert_invalid(admin, "/tasks/cancel-all", body, "confirm")
        assert_hostile_is_invalid(admin, "/tasks/cancel-all", {}, "confirm")
        assert collection_of(Collection).count_documents({"status": "PENDING"}) == 1
