"""A period that has not begun is refused everywhere, and nothing is enqueued for it; a running one is not."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from typing import Any

import pytest
from django.test import Client
from rest_framework.test import APIClient

from apps.core import market_clock
from apps.core.errors import InvalidInput
from apps.core.periods import Granularity, Period, PeriodError, check_begun, parse_period, period_of
from apps.core.storage.mongo import collection_of, utc_now
from apps.mengla.choices import Action
from apps.mengla.dispatch.collection_control import retry_collection
from apps.mengla.models import Collection
from apps.mengla.runs.planning import preview_retry
from apps.sync_tasks.models import SyncTask
from tests.mengla.commands.support import run
from tests.mengla.support import change, collections, enqueue, hot

pytestmark = [
    pytest.mark.django_db,
    pytest.mark.mongo,
    pytest.mark.redis,
    pytest.mark.usefixtures("sample_tree"),
]
NOT_BEGUN = "has not begun"


def current(granularity: Granularity) -> Period:
    return period_of(market_clock.today(), granularity)


def assert_nothing_is_enqueued() -> None:
    for model in (Collection, SyncTask):
        assert collection_of(model).count_documents({}) == 0


def assert_refused(response: Any, field: str) -> None:
    assert response.status_code == 400, response.content
    body = response.json()
    assert (body["success"], body["error"]) == (False, "VALIDATION_ERROR")
    assert list(body["fields"]) == [field]
    assert NOT_BEGUN in body["fields"][field][0]
    assert_nothing_is_enqueued()


@pytest.mark.parametrize("refresh", [False, True])
@pytest.mark.parametrize("granularity", Granularity)
def test_readers(reader: APIClient, granularity: Granularity, refresh: bool) -> None:
    running = current(granularity)
    coming = running.next()
    asked = {"primaryCatId": "1001", "action": "hot", "timest": coming.dashed, "refresh": refresh}
    assert_refused(reader.get("/api/mengla/", asked), "timest")
    assert_refused(
        reader.post("/api/mengla/hot", {"catId": "1001", "timest": coming.key}, format="json"), "timest"
    )
    trend = {"catId": "1001", "starRange": running.shift(-2).key, "endRange": coming.key, "refresh": refresh}
    assert_refused(reader.post("/api/mengla/industry-trend", trend, format="json"), "endRange")
    single = {"catId": "1001", "timest": coming.key}
    assert_refused(reader.post("/api/mengla/industry-trend", single, format="json"), "timest")
    assert reader.get("/api/mengla/", asked | {"timest": running.key}).status_code == 202
    trend |= {"endRange": running.key}
    assert reader.post("/api/mengla/industry-trend", trend, format="json").status_code == 202


def test_2099_12(reader: APIClient) -> None:
    assert_refused(
        reader.get("/api/mengla/", {"primaryCatId": "1001", "action": "hot", "timest": "2099-12"}), "timest"
    )


@pytest.mark.parametrize("path", ["/api/admin/backfill", "/api/panel/data/fill"])
def test_runs_over_the_api(admin: APIClient, path: str) -> None:
    body = {"granularity": "month", "startDate": "2025-06", "endDate": current(Granularity.MONTH).next().key}
    assert_refused(admin.post(path, body, format="json"), "endDate")
    status = admin.post("/api/admin/mengla/status", body, format="json")
    assert status.status_code == 200  # to look is not to collect
    # What has not begun is left out.
    assert status.json()["data"]["endDate"] == current(Granularity.MONTH).key
    coming = body | {"startDate": body["endDate"]}
    assert_refused(admin.post("/api/admin/mengla/status", coming, format="json"), "startDate")


def test_commands() -> None:
    month = current(Granularity.MONTH)
    given = ("--from", "2025-06", "--to", month.next().key)
    for command in (("backfill", *given), ("fill", *given), ("collect", "month", "--date", month.next().key)):
        for more in ((), ("--dry-run",), ("--force",) if command[0] != "fill" else ()):
            ended = run(*command, *more)
            assert (ended.code, ended.out) == (2, "")
            assert NOT_BEGUN in ended.err
    assert_nothing_is_enqueued()
    assert run("collect", "month", "--date", month.key, "--dry-run").code == 0
    assert run("coverage", *given, "--json").result["periods"][-1] == month.key
    assert NOT_BEGUN in run("coverage", "--from", month.next().key, "--to", month.next().key).err


def test_pages(site: Client) -> None:
    month = current(Granularity.MONTH)
    cell = {"action": "hot", "granularity": "month", "category": "1001", "period": month.next().key}
    gaps = {
        "action": "hot",
        "granularity": "month",
        "category": "1000",
        "from": "2026-01",
        "to": month.next().key,
    }
    pages = [
        *(site.get("/admin/coverage/cell/", cell), site.post("/admin/coverage/plan/", cell)),
        *(site.get("/admin/coverage/fill/", gaps), site.post("/admin/coverage/fill/", gaps)),
        *(site.get("/admin/data/", cell), site.get("/admin/data/export/", cell)),
    ]
    for page in pages:
        assert page.status_code == 400
        assert NOT_BEGUN in page.content.decode()
    assert_nothing_is_enqueued()
    shown = {name: value for name, value in gaps.items() if name != "category"}
    covered = site.get("/admin/coverage/", shown)
    assert (covered.status_code, covered.context["filters"].end) == (200, month)
    assert NOT_BEGUN in site.get("/admin/coverage/", shown | {"from": shown["to"]}).content.decode()
    assert site.post("/admin/coverage/plan/", cell | {"period": month.key}).status_code == 302


def test_what_older_versions_accepted_is_not_tried_again() -> None:
    enqueue(hot("209912"))
    (collection,) = collections()
    change(collection, status="FAILED", active_key=None, run_ids=["0" * 24], finished_at=utc_now())
    with pytest.raises(InvalidInput, match=NOT_BEGUN):
        retry_collection(collection_id=str(collection["_id"]), requested_by="tests")
    assert preview_retry("0" * 24).total == 0
    assert len(collections()) == 1


@pytest.mark.parametrize(
    ("last_day", "current_key", "coming_key"),
    [
        (date(2024, 2, 28), "20240228", "20240229"),
        (date(2024, 2, 29), "202402", "202403"),
        (date(2025, 3, 31), "2025Q1", "2025Q2"),
        (date(2025, 12, 31), "2025Q4", "2026Q1"),
        (date(2025, 12, 31), "2025", "2026"),
    ],
)
def test_a_period_begins_with_its_first_day(last_day: date, current_key: str, coming_key: str) -> None:
    check_begun(parse_period(current_key), last_day)
    with pytest.raises(PeriodError, match=NOT_BEGUN) as refused:
        check_begun(parse_period(coming_key), last_day, name="timest")
    assert list(refused.value.fields or {}) == ["timest"]
    check_begun(parse_period(coming_key), last_day + timedelta(days=1))


def test_today_is_the_day_in_shanghai(reader: APIClient, monkeypatch: pytest.MonkeyPatch) -> None:
    """At 16:00 UTC the next day has begun there."""
    asked = {"primaryCatId": "1001", "action": Action.HOT.value, "timest": "2026-03-01"}
    for clock, status in (("2026-02-28T15:59:59.999+00:00", 400), ("2026-02-28T16:00:00+00:00", 202)):
        monkeypatch.setattr(
            market_clock, "today", lambda clock=clock: market_clock.day_of(datetime.fromisoformat(clock))
        )
        assert reader.get("/api/mengla/", asked).status_code == status
