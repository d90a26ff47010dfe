"""Lists and lookups of runs."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from bson import ObjectId

from apps.core.errors import InvalidInput
from apps.core.storage.mongo import collection_of, utc_now
from apps.sync_tasks import selectors, services
from apps.sync_tasks.models import SyncTask
from apps.sync_tasks.work import Failure
from tests.factories import UNKNOWN_ID
from tests.programs import run_python
from tests.sync_tasks.conftest import FakeWork, change, end, get, start, start_planned

pytestmark = [pytest.mark.mongo, pytest.mark.redis, pytest.mark.django_db]

SHANGHAI = ZoneInfo("Asia/Shanghai")


def at(local_time: str) -> datetime:
    """Return an instant of Shanghai as it is stored."""
    return datetime.fromisoformat(local_time).replace(tzinfo=SHANGHAI).astimezone(UTC).replace(tzinfo=None)


def ended_at(local_time: str, task_id: str = "daily_collect") -> str:
    """Return a run that started at that time of Shanghai and has ended."""
    run_id = end(start_planned(task_id))
    change(run_id, started_at=at(local_time))
    return run_id


def ids(runs: list[dict[str, object]]) -> list[str]:
    return [str(run["_id"]) for run in runs]


class TestToday:
    def test_begins_at_midnight_in_shanghai(self) -> None:
        ended_at("2025-06-01 23:59:59.999")
        first = ended_at("2025-06-02 00:00:00.000")
        second = ended_at("2025-06-02 07:59:00")  # still the day before in UTC
        third = ended_at("2025-06-02 23:59:59.999")
        assert ids(selectors.list_today(date(2025, 6, 2))) == [third, second, first]

    def test_crosses_the_end_of_the_year(self) -> None:
        ended_at("2024-12-31 23:59:59")
        first = ended_at("2025-01-01 00:00:01")
        assert ids(selectors.list_today(date(2025, 1, 1))) == [first]

    def test_what_still_runs_is_listed_however_old(self) -> None:
        old = start("backfill")
        change(old, started_at=at("2025-05-01 12:00"))
        today = ended_at("2025-06-02 02:00")
        assert ids(selectors.list_today(date(2025, 6, 2))) == [today, old]

    def test_is_bounded_and_holds_no_plans(self) -> None:
        template = get(end(start_planned()))
        now = utc_now()
        collection_of(SyncTask).insert_many(
            [template | {"_id": ObjectId(), "started_at": now + timedelta(seconds=n)} for n in range(250)]
        )
        runs = selectors.list_today(now.date())
        assert len(runs) == 200
        assert runs[0]["started_at"] == now + timedelta(seconds=249)
        assert "parameters" not in runs[0]


class TestPages:
    def test_newest_first_and_each_run_once(self) -> None:
        run_ids = [ended_at("2025-06-01 02:00") for _ in range(3)] + [ended_at("2025-06-02 02:00")]
        seen: list[str] = []
        cursor = None
        while True:
            page = selectors.list_runs(cursor=cursor, limit=2)
            assert "parameters" not in page.rows[0]
            seen += ids(page.rows)
            cursor = page.next_cursor
            if cursor is None:
                break
        assert seen == [run_ids[3], *sorted(run_ids[:3], reverse=True)]

    def test_filters_go_together(self) -> None:
        wanted = start_planned("monthly_collect", firing="202505")
        change(wanted, trigger="scheduled")
        end(start_planned("daily_collect"))
        end(start_planned("fill"))
        for filters in (
            {"status": "RUNNING"},
            {"task_id": "monthly_collect"},
            {"trigger": "scheduled"},
            {"status": "RUNNING", "task_id": "monthly_collect", "trigger": "scheduled"},
        ):
            assert ids(selectors.list_runs(**filters, limit=10).rows) == [wanted], filters
        assert selectors.list_runs(status="FAILED", task_id="fill", limit=10).rows == []
        assert selectors.list_runs(task_id="unknown", limit=10).rows == []
        assert len(selectors.list_runs(limit=10).rows) == 3

    def test_the_range_holds_its_start_and_not_its_end(self) -> None:
        run_id = ended_at("2025-06-01 02:00")
        instant = at("2025-06-01 02:00")
        later = instant + timedelta(milliseconds=1)
        assert ids(selectors.list_runs(started_from=instant, started_before=later, limit=10).rows) == [run_id]
        assert selectors.list_runs(started_before=instant, limit=10).rows == []
        assert selectors.list_runs(started_from=later, limit=10).rows == []

    @pytest.mark.parametrize("cursor", ["x", "W10=", "WyJhIiwibyIsImIiXQ=="])
    def test_a_foreign_cursor_is_refused(self, cursor: str) -> None:
        with pytest.raises(InvalidInput):
            selectors.list_runs(cursor=cursor, limit=10)


class TestForTheTick:
    def test_running_runs_the_oldest_first_and_bounded(self) -> None:
        run_ids = [start(f"task-{number}") for number in range(3)]
        change(run_ids[2], started_at=utc_now() - timedelta(hours=1))
        end(start_planned())
        running = selectors.list_running(2)
        assert ids(running) == [run_ids[2], run_ids[0]]
        assert "parameters" not in running[0]

    def test_unplanned_runs_are_those_without_a_planner(self) -> None:
        free, taken, expired = start("a"), start("b"), start("c")
        start_planned("d")
        for run_id in (taken, expired):
            assert services.claim_planner_lease(run_id, token="t", seconds=60)
        change(expired, planner_until=utc_now() - timedelta(seconds=1))
        assert ids(selectors.list_unplanned(10)) == [free, expired]
        assert ids(selectors.list_unplanned(1)) == [free]

    def test_settled_and_running_runs_are_not_unsettled(self, work: FakeWork) -> None:
        start("a")
        services.cancel_run(run_id=start("b"), cancelled_by="tests")
        unsettled = services.cancel_run(run_id=start("c"), cancelled_by="tests")
        change(str(unsettled["_id"]), totals=None)
        assert ids(selectors.list_unsettled(10)) == [str(unsettled["_id"])]


class TestOneRun:
    def test_the_last_run_of_a_task(self) -> None:
        ended_at("2025-06-01 02:00")
        newest = ended_at("2025-06-03 02:00")
        ended_at("2025-06-02 02:00")
        ended_at("2025-06-04 02:00", "monthly_collect")
        last = selectors.last_run_of("daily_collect")
        assert last is not None
        assert str(last["_id"]) == newest
        assert selectors.last_run_of("yearly_collect") is None

    def test_by_id(self) -> None:
        run_id = start()
        run = selectors.find_run(run_id)
        assert run is not None
        assert run["parameters"] == {"actions": ["high"]}
        assert selectors.find_run(run_id.upper()) == run
        assert services.is_running(run_id)
        end_id = end(start_planned("other"))
        assert not services.is_running(end_id)

    @pytest.mark.parametrize("run_id", [UNKNOWN_ID, "", "x", "é" * 12, "$ne", "\x00"])
    def test_an_unknown_id_is_no_run(self, run_id: str) -> None:
        start()
        assert selectors.find_run(run_id) is None
        assert not services.is_running(run_id)

    def test_failures_are_the_first_twenty(self, work: FakeWork) -> None:
        work.failed = [
            Failure(str(number), "high", "1", "day", "20250601", "timeout", "No answer came in time.", 2)
            for number in range(30)
        ]
        run = get(start())
        assert selectors.failures_of(run) == work.failed[:20]


def test_without_registered_work_the_mistake_is_named() -> None:
    ended = run_python("-c", "from apps.sync_tasks.work import get_work; get_work()")
    assert ended.returncode == 1
    assert "ImproperlyConfigured: No app has registered" in ended.stderr
