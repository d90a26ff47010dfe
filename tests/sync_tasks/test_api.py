"""The addresses under ``/api/sync-tasks``, as a client sees them."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from bson import ObjectId
from rest_framework.test import APIClient

from apps.core.storage.mongo import utc_now
from apps.sync_tasks import services
from apps.sync_tasks.selectors import find_run
from apps.sync_tasks.signals import run_deleted
from apps.sync_tasks.work import Counts, Failure
from tests.sync_tasks.conftest import FakeWork, change, end, get, start, start_planned

pytestmark = [pytest.mark.mongo, pytest.mark.redis, pytest.mark.django_db]

BASE = "/api/sync-tasks"
ROW_KEYS = {
    "id",
    "task_id",
    "task_name",
    "status",
    "outcome",
    "trigger",
    "period",
    "progress",
    "waiting",
    "skipped",
    "started_at",
    "finished_at",
    "error_message",
    "requested_by",
    "retry_of",
}
PROGRESS_KEYS = {
    "total",
    "completed",
    "failed",
    "empty",
    "cancelled",
    "active",
    "in_flight",
    "percent",
    "per_minute",
    "eta_seconds",
    "rate_collections",
    "is_own_rate",
}
HOSTILE_IDS = ["x", "0" * 24, "0" * 23, "g" * 24, "%00", "%F0%9F%94%91", "1" * 5000, "$where", "..%2Ftoday"]
ADDRESSES = [
    ("get", ""),
    ("get", "/today"),
    ("get", "/{id}"),
    ("post", "/{id}/cancel"),
    ("post", "/{id}/retry"),
    ("delete", "/{id}"),
]


def data_of(response: Any, status: int = 200) -> Any:
    body = response.json()
    assert response.status_code == status, body
    assert set(body) == {"success", "data", "message"}
    assert body["success"] is True
    return body["data"]


def error_of(response: Any, status: int, code: str) -> dict[str, Any]:
    body: dict[str, Any] = response.json()
    assert response.status_code == status, body
    assert (body["success"], body["error"]) == (False, code)
    assert len(str(body)) < 1000
    return body


@pytest.fixture
def reported() -> Iterator[list[tuple[str, bool]]]:
    """The notifications of deleted runs to the apps above, which remove seven records of each."""
    heard: list[tuple[str, bool]] = []

    def hear(sender: Any, *, run_id: str, is_data_deleted: bool, **_kwargs: Any) -> int:
        heard.append((run_id, is_data_deleted))
        return 7 if is_data_deleted else 0

    run_deleted.connect(hear)
    yield heard
    run_deleted.disconnect(hear)


class TestAccess:
    @pytest.mark.parametrize(("method", "address"), ADDRESSES)
    def test_admins_only(
        self, api: APIClient, reader: APIClient, work: FakeWork, method: str, address: str
    ) -> None:
        run_id = start()
        path = BASE + address.format(id=run_id)
        error_of(getattr(api, method)(path), 401, "UNAUTHENTICATED")
        error_of(getattr(reader, method)(path), 403, "PERMISSION_DENIED")
        assert services.is_running(run_id)
        assert not work.asked

    @pytest.mark.parametrize(
        ("method", "address"),
        [
            ("post", ""),
            ("put", ""),
            ("delete", ""),
            ("delete", "/today"),
            ("patch", "/{id}"),
            ("get", "/{id}/retry"),
        ],
    )
    def test_other_methods_are_405(self, admin: APIClient, method: str, address: str) -> None:
        response = getattr(admin, method)(BASE + address.format(id=start()))
        error_of(response, 405, "METHOD_NOT_ALLOWED")
        assert response.headers["Allow"]

    @pytest.mark.parametrize(
        ("method", "suffix"), [("get", ""), ("delete", ""), ("post", "/cancel"), ("post", "/retry")]
    )
    @pytest.mark.parametrize("run_id", HOSTILE_IDS)
    def test_hostile_ids_are_404(
        self, admin: APIClient, work: FakeWork, method: str, suffix: str, run_id: str
    ) -> None:
        error_of(getattr(admin, method)(f"{BASE}/{run_id}{suffix}"), 404, "NOT_FOUND")


class TestLanguage:
    def test_the_name_of_a_task_is_in_the_callers(self, admin: APIClient, work: FakeWork) -> None:
        run_id = start_planned("monthly_collect", name="Monthly collection")
        named = {"en": "Monthly collection", "zh-CN": "每月采集", "": "Monthly collection"}
        for language, name in named.items():
            headers = {"Accept-Language": language}
            assert data_of(admin.get(f"{BASE}/{run_id}", headers=headers))["task_name"] == name
            for path in (BASE, f"{BASE}/today"):
                (row,) = data_of(admin.get(path, headers=headers))["tasks"]
                assert row["task_name"] == name

    @pytest.mark.parametrize("name", ["", "月度采集", "a name that %(nobody)s translates"])
    def test_another_name_stays(self, admin: APIClient, work: FakeWork, name: str) -> None:
        run_id = start_planned(name=name)
        answer = admin.get(f"{BASE}/{run_id}", headers={"Accept-Language": "zh-CN"})
        assert data_of(answer)["task_name"] == name


class TestList:
    def test_a_row_tells_everything(self, admin: APIClient, work: FakeWork) -> None:
        run_id = start_planned("monthly_collect", name="月度采集", period="202506", requested_by="аня")
        work.counts[run_id] = Counts(total=4, completed=1, active=3)
        work.pace = 2.0
        data = data_of(admin.get(BASE))
        assert data["next_cursor"] is None
        [row] = data["tasks"]
        assert set(row) == ROW_KEYS
        assert set(row["progress"]) == PROGRESS_KEYS
        assert (row["id"], row["task_id"], row["task_name"]) == (run_id, "monthly_collect", "月度采集")
        assert (row["status"], row["trigger"], row["period"]) == ("RUNNING", "manual", "202506")
        assert (row["requested_by"], row["retry_of"], row["error_message"]) == ("аня", None, None)
        assert (row["skipped"], row["finished_at"]) == ({}, None)
        assert row["started_at"].endswith("Z")
        assert row["progress"] == {
            "total": 4,
            "completed": 1,
            "failed": 0,
            "empty": 0,
            "cancelled": 0,
            "active": 3,
            "in_flight": 0,
            "percent": 25.0,
            "per_minute": 2.0,
            "eta_seconds": 90,
            "rate_collections": 0,
            "is_own_rate": True,
        }

    def test_ended_runs_are_not_counted_again(self, admin: APIClient, work: FakeWork) -> None:
        for _ in range(3):
            end(start_planned(), Counts(total=9, completed=9))
        tasks = data_of(admin.get(f"{BASE}/"))["tasks"]
        assert [task["progress"]["completed"] for task in tasks] == [9, 9, 9]
        assert not work.asked

    def test_pages(self, admin: APIClient, work: FakeWork) -> None:
        run_ids = [end(start_planned()) for _ in range(5)]
        first = data_of(admin.get(BASE, {"limit": 3}))
        rest = data_of(admin.get(BASE, {"limit": 3, "cursor": first["next_cursor"]}))
        seen = [task["id"] for page in (first, rest) for task in page["tasks"]]
        assert seen == run_ids[::-1]
        assert rest["next_cursor"] is None

    def test_filters(self, admin: APIClient, work: FakeWork) -> None:
        wanted = end(start_planned("fill"), Counts(total=1, failed=1))
        end(start_planned("daily_collect"))
        start("backfill")
        for filters in ({"status": "FAILED"}, {"task_id": "fill"}, {"task_id": "fill", "trigger": "manual"}):
            assert [task["id"] for task in data_of(admin.get(BASE, filters))["tasks"]] == [wanted]
        assert data_of(admin.get(BASE, {"trigger": "api"}))["tasks"] == []

    @pytest.mark.parametrize(
        ("first", "last", "is_found"),
        [
            ("2025-06-02", "2025-06-02", True),
            ("20250602", "", True),
            ("", "2025-06-02", True),
            ("2025-06-03", "", False),
            ("", "2025-06-01", False),
        ],
    )
    def test_days_are_those_of_the_market(
        self, admin: APIClient, work: FakeWork, first: str, last: str, is_found: bool
    ) -> None:
        run_id = end(start_planned())
        change(run_id, started_at=utc_now().replace(2025, 6, 1, 16, 0, 0, 0))  # 2 June 00:00 in Shanghai
        query = {name: day for name, day in (("from", first), ("to", last)) if day}
        assert len(data_of(admin.get(BASE, query))["tasks"]) == is_found

    @pytest.mark.parametrize(
        ("query", "field"),
        [
            ("status=running", "status"),
            ("status=RUNNING%00", "status"),
            ("trigger=cosmic", "trigger"),
            ("task_id=" + "x" * 41, "task_id"),
            ("task_id=%00", "task_id"),
            ("from=yesterday", "from"),
            ("from=2025-02-30", "from"),
            ("to=2025-13-01", "to"),
            ("to=" + "1" * 3000, "to"),
            ("to=%F0%9F%94%91", "to"),
            ("from=2025-06-02&to=2025-06-01", "from"),
            ("limit=0", "limit"),
            ("limit=201", "limit"),
            ("limit=x", "limit"),
            ("cursor=x", "cursor"),
            ("cursor=" + "x" * 600, "cursor"),
        ],
    )
    def test_bad_queries_are_400(self, admin: APIClient, query: str, field: str) -> None:
        body = error_of(admin.get(f"{BASE}?{query}"), 400, "VALIDATION_ERROR")
        assert list(body["fields"]) == [field]


class TestToday:
    def test_what_started_today_or_still_runs(self, admin: APIClient, work: FakeWork) -> None:
        long_ago = utc_now() - timedelta(days=3)
        change(end(start_planned("a")), started_at=long_ago)
        running = start("b")
        change(running, started_at=long_ago)
        ended = end(start_planned("c"))
        data = data_of(admin.get(f"{BASE}/today"))
        assert set(data) == {"tasks"}
        assert [task["id"] for task in data["tasks"]] == [ended, running]
        assert set(data["tasks"][0]) == ROW_KEYS

    def test_nothing(self, admin: APIClient) -> None:
        assert data_of(admin.get(f"{BASE}/today/")) == {"tasks": []}


class TestDetail:
    def test_progress_and_failures_with_their_reasons(self, admin: APIClient, work: FakeWork) -> None:
        run_id = start_planned()
        work.counts[run_id] = Counts(total=30, failed=25, active=5)
        work.failed = [
            Failure(f"{number:024}", "high", "17027494", "month", "202506", "timeout", "No answer.", 2)
            for number in range(25)
        ]
        task = data_of(admin.get(f"{BASE}/{run_id}"))
        assert set(task) == ROW_KEYS | {"failures"}
        assert len(task["failures"]) == 20
        assert task["failures"][0] == {
            "collection_id": "0" * 24,
            "action": "high",
            "catId": "17027494",
            "dateType": "month",
            "period": "202506",
            "error": "timeout",
            "message": "No answer.",
            "attempts": 2,
        }
        assert (task["progress"]["failed"], task["progress"]["percent"]) == (25, 83.3)
        asked = ("count", "failures", "rate", "waiting")
        assert sorted(work.asked) == [(name, run_id) for name in asked]

    def test_an_ended_run_tells_its_frozen_totals(self, admin: APIClient, work: FakeWork) -> None:
        run_id = end(start_planned(), Counts(total=10, completed=7, failed=3))
        work.counts[run_id] = Counts(total=10, completed=10)
        task = data_of(admin.get(f"{BASE}/{run_id}/"))
        assert (task["status"], task["progress"]["completed"]) == ("COMPLETED", 7)
        assert task["error_message"] == "3 of 10 collections failed."
        chinese = admin.get(f"{BASE}/{run_id}/", headers={"Accept-Language": "zh-CN"})
        assert data_of(chinese)["error_message"] == "10 个采集任务中有 3 个失败。"
        assert task["finished_at"].endswith("Z")


class TestCancel:
    def test_the_task_comes_back_cancelled(self, admin: APIClient, work: FakeWork) -> None:
        run_id = start_planned()
        work.counts[run_id] = Counts(total=10, completed=4, active=6)
        task = data_of(admin.post(f"{BASE}/{run_id}/cancel"))
        assert set(task) == ROW_KEYS
        assert (task["id"], task["status"]) == (run_id, "CANCELLED")
        assert task["error_message"] == "Cancelled by admin."
        progress = task["progress"]  # two are in flight
        assert (progress["completed"], progress["cancelled"], progress["active"]) == (4, 4, 2)
        body = error_of(admin.post(f"{BASE}/{run_id}/cancel"), 409, "CONFLICT")
        assert body["detail"] == "status=CANCELLED"

    def test_while_it_is_being_planned(self, admin: APIClient, work: FakeWork) -> None:
        run_id = start(expected_total=100)
        assert services.claim_planner_lease(run_id, token="t", seconds=60)
        work.counts[run_id] = Counts(total=10, completed=4, active=6)
        task = data_of(admin.post(f"{BASE}/{run_id}/cancel"))
        assert (task["progress"]["total"], task["progress"]["active"]) == (10, 2)
        assert get(run_id)["totals"] is None


class TestRetry:
    def test_a_new_task_is_started(self, admin: APIClient, work: FakeWork) -> None:
        run_id = end(start_planned(), Counts(total=1, failed=1))
        work.counts[run_id] = Counts(total=1, failed=1)
        response = admin.post(f"{BASE}/{run_id.upper()}/retry/")
        data = data_of(response, 202)
        assert set(data) == {"sync_task_id", "retry_of"}
        assert data["retry_of"] == run_id != data["sync_task_id"]
        assert response.headers["Location"] == f"{BASE}/{data['sync_task_id']}"
        new = data_of(admin.get(response.headers["Location"]))
        assert (new["retry_of"], new["requested_by"]) == (run_id, "admin")

    def test_conflicts_are_409(self, admin: APIClient, work: FakeWork) -> None:
        run_id = start_planned()
        work.counts[run_id] = Counts(total=2, completed=1, failed=1)
        assert "Cancel it first" in error_of(admin.post(f"{BASE}/{run_id}/retry"), 409, "CONFLICT")["message"]
        end(run_id, work.counts[run_id])
        running = start()
        body = error_of(admin.post(f"{BASE}/{run_id}/retry"), 409, "CONFLICT")
        assert body["detail"] == f"sync_task_id={running}"
        work.counts[run_id] = Counts(total=2, completed=2)
        error_of(admin.post(f"{BASE}/{run_id}/retry"), 409, "CONFLICT")


class TestDelete:
    @pytest.mark.parametrize("body", [None, {}, {"delete_data": False}])
    def test_the_task_alone(
        self, admin: APIClient, reported: list[tuple[str, bool]], body: dict[str, Any] | None
    ) -> None:
        run_id = end(start_planned())
        data = data_of(admin.delete(f"{BASE}/{run_id}", body, format="json"))
        assert data == {"id": run_id, "deleted": True, "records_deleted": 0}
        assert reported == [(run_id, False)]
        assert find_run(run_id) is None
        error_of(admin.delete(f"{BASE}/{run_id}"), 404, "NOT_FOUND")

    def test_with_its_data(self, admin: APIClient, reported: list[tuple[str, bool]]) -> None:
        run_id = end(start_planned())
        data = data_of(admin.delete(f"{BASE}/{run_id}/", {"delete_data": True}, format="json"))
        assert data["records_deleted"] == 7
        assert reported == [(run_id, True)]

    def test_a_running_task_stays(self, admin: APIClient, reported: list[tuple[str, bool]]) -> None:
        run_id = start()
        error_of(admin.delete(f"{BASE}/{run_id}", {"delete_data": True}, format="json"), 409, "CONFLICT")
        assert services.is_running(run_id)
        assert not reported

    @pytest.mark.parametrize("value", ["true", "yes", 1, 0, None, [], [True], {}, "x" * 5000, 1e308])
    def test_only_true_and_false_are_understood(
        self, admin: APIClient, reported: list[tuple[str, bool]], value: Any
    ) -> None:
        run_id = end(start_planned())
        response = admin.delete(f"{BASE}/{run_id}", {"delete_data": value}, format="json")
        assert list(error_of(response, 400, "VALIDATION_ERROR")["fields"]) == ["delete_data"]
        assert find_run(run_id)
        assert not reported

    @pytest.mark.parametrize(
        ("body", "content_type", "status"),
        [
            (b"{", "application/json", 400),
            (b"[true]", "application/json", 400),
            (b'"true"', "application/json", 400),
            (b"null", "application/json", 400),
            (b"\xff\xfe", "application/json", 400),
            (b"[" * 3000, "application/json", 400),
            (b"delete_data=true", "application/x-www-form-urlencoded", 415),
            (b"{" + b" " * 2 * 1024 * 1024, "application/json", 413),
        ],
    )
    def test_hostile_bodies_delete_nothing(
        self, admin: APIClient, reported: list[tuple[str, bool]], body: bytes, content_type: str, status: int
    ) -> None:
        run_id = end(start_planned())
        response = admin.generic("DELETE", f"{BASE}/{run_id}", body, content_type=content_type)
        assert response.status_code == status, response.content[:500]
        assert response.json()["success"] is False
        assert find_run(run_id)
        assert not reported

    def test_a_missing_task_is_404_whatever_the_body(self, admin: APIClient) -> None:
        error_of(admin.delete(f"{BASE}/{ObjectId()}", {"delete_data": True}, format="json"), 404, "NOT_FOUND")
