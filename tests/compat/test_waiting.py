"""A miss of a former client waits for its figures; and nothing that is remembered crosses the contracts."""

from __future__ import annotations

import json
from typing import Any

import pytest
from rest_framework.test import APIClient

from apps.core.caching.replay import Replay
from apps.core.web.request_ids import request_id_of
from apps.core.web.short_way import ShortWay
from apps.mengla.choices import CollectionError
from apps.mengla.queries.parameters import build_query
from apps.mengla.reading import read as reading
from tests.compat.conftest import CALLS, assert_shape, send
from tests.factories.categories import store_tree
from tests.mengla.reading.test_figures_wait import SleepingTime, fail
from tests.mengla.support import answer, claim, collections, statuses, store
from tests.mengla.wsgi import Answer, Site

pytestmark = [pytest.mark.django_db, pytest.mark.mongo, pytest.mark.redis]
KIND = "high by day"


@pytest.fixture(autouse=True)
def _recorded_tree(db: None) -> None:
    store_tree(CALLS["categories"]["answer"]["data"])


@pytest.fixture
def sleeping(monkeypatch: pytest.MonkeyPatch, settings: Any) -> SleepingTime:
    settings.COMPAT_WAIT_SECONDS = 7
    sleeping = SleepingTime()
    monkeypatch.setattr(reading, "time", sleeping)
    return sleeping


def figures() -> Any:
    return {"highList": CALLS[KIND]["answer"]["highList"]}


def test_a_miss_gets_its_figures_when_they_come(reader: APIClient, sleeping: SleepingTime) -> None:
    sleeping.meanwhile(lambda: None, lambda: answer(claim(), figures()))
    response = send(reader, KIND)
    assert response.status_code == 200
    assert response.json()["highList"] == figures()["highList"]
    assert response.headers["X-MengLa-Source"] == "fresh"
    assert sleeping.slept < 1


def test_a_miss_is_504_when_they_do_not_come_in_time(reader: APIClient, sleeping: SleepingTime) -> None:
    response = send(reader, KIND)
    assert response.status_code == 504
    body = response.json()
    assert_shape(body, {"success": False, "error": "HTTP_ERROR", "message": "(text)"}, at=KIND, values=True)
    assert int(response.headers["Retry-After"]) > 0
    assert sleeping.slept == pytest.approx(7)
    assert statuses() == ["PENDING"]  # it is collected all the same
    answer(claim(), figures())
    assert send(reader, KIND).json()["highList"] == figures()["highList"]


@pytest.mark.parametrize(
    ("error", "status"), [(CollectionError.EXECUTION_FAILED, 502), (CollectionError.TIMEOUT, 504)]
)
def test_a_miss_that_fails_says_so(
    reader: APIClient, sleeping: SleepingTime, error: CollectionError, status: int
) -> None:
    sleeping.meanwhile(lambda: fail(error, "Browser crashed"))
    response = send(reader, KIND)
    assert (response.status_code, response.json()["error"]) == (status, "HTTP_ERROR")
    assert "Browser crashed" in response.json()["detail"]


def test_at_most_half_of_the_threads_wait(reader: APIClient, sleeping: SleepingTime, settings: Any) -> None:
    settings.WEB_THREADS = 3
    inner: list[Any] = []
    sleeping.meanwhile(lambda: inner.append(send(reader, "hot by day")))
    response = send(reader, KIND)
    assert response.status_code == 504
    assert inner[0].status_code == 504  # at once: the only place was taken
    assert sleeping.slept == pytest.approx(7)


@pytest.mark.parametrize("wait_seconds", [7, 0])
def test_a_trend_waits_for_points_that_are_not_stored(
    reader: APIClient, sleeping: SleepingTime, settings: Any, wait_seconds: int
) -> None:
    settings.COMPAT_WAIT_SECONDS = wait_seconds
    kind = "trend by month"
    points = CALLS[kind]["answer"]["industryTrendRange"]["data"]
    send(reader, kind, endRange=points[2]["timest"], timest=points[2]["timest"])
    answer(claim(), points[:3])
    for _ in range(2):
        response = send(reader, kind)
        assert (response.status_code, response.json()["code"]) == (504, "COLLECT_TIMEOUT")
        assert int(response.headers["Retry-After"]) > 0
    answer(claim(), points[3:])
    response = send(reader, kind)
    assert response.json() == {"industryTrendRange": {"data": points}}


def test_points_that_the_service_does_not_have_are_left_out(
    reader: APIClient, sleeping: SleepingTime
) -> None:
    kind = "trend by month"
    points = CALLS[kind]["answer"]["industryTrendRange"]["data"]
    send(reader, kind)
    answer(claim(), points[:3])
    response = send(reader, kind)
    assert response.status_code == 200
    assert response.json() == {"industryTrendRange": {"data": points[:3]}}
    assert response.headers["X-MengLa-Trend-Partial"] == "6,3"


def test_a_trend_ends_with_the_current_period(reader: APIClient) -> None:
    send(reader, "trend by day", timest="2026-12-31", starRange="2026-11-15", endRange="2026-12-31")
    (queued,) = collections()
    assert (queued["start_key"], queued["end_key"]) == ("20261115", "20261129")
    send(reader, "trend by month", timest="2026-06-20", starRange="2026-01-20", endRange="2026-06-20")
    assert [one["start_key"] for one in collections(granularity="month")] == ["202601"]


@pytest.mark.parametrize("timest", ["2026-10-01", "2026-10-31", "2026-10-15", "202610", "2026-10"])
def test_any_day_names_its_month(reader: APIClient, timest: str) -> None:
    send(reader, "high by month", timest=timest, starRange=timest, endRange=timest)
    (queued,) = collections()
    assert queued["end_key"] == "202610"


@pytest.mark.parametrize("absent", ["", None, ...])
def test_absent_values_are_the_recorded_defaults(reader: APIClient, absent: Any) -> None:
    changes = dict.fromkeys(("product_id", "catId", "starRange", "endRange"), absent)
    assert send(reader, "high by month", **changes).status_code == 504
    (queued,) = collections()
    assert (queued["cat_id"], queued["end_key"], queued["product_id"]) == ("", "202610", "")


class TestInFrontOfDjango:
    """What a process remembers of answers is remembered by path."""

    @pytest.fixture
    def site(self, reader_token: str) -> Site:
        return Site(
            reader_token,
            lambda application, renewal: Replay(
                ShortWay(application, renewal=renewal), renewal=renewal, request_id_of=request_id_of
            ),
        )

    def test_neither_contract_sends_answers_of_the_other(self, site: Site) -> None:
        store_figures()
        body = json.dumps(
            {name: value for name, value in CALLS[KIND]["body"].items() if value}, ensure_ascii=False
        ).encode()

        def ask(prefix: str) -> Answer:
            return site.send(f"{prefix}/api/mengla/query", "", body=body)

        for _ in range(3):
            own, former = ask(""), ask("/compat")
            assert json.loads(own.body)["data"]["list"]
            assert json.loads(former.body)["highList"] == figures()["highList"]
        assert own.is_replayed
        assert not former.is_replayed
        for path in ("categories", "panel/config"):
            for _ in range(3):
                assert json.loads(site.send(f"/api/{path}", "").body)["message"] == "ok"
                assert "message" not in json.loads(site.send(f"/compat/api/{path}", "").body)


def store_figures() -> None:
    body = CALLS[KIND]["body"]
    store(build_query(action="high", cat_id=body["catId"], timest=body["timest"]), figures())
