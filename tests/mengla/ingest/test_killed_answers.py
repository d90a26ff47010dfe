"""A process killed between storing an answer and notifying the caches: no cache keeps the old answer."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
from rest_framework.test import APIClient

from apps.core import process_state
from apps.core.caching.tiers import clear_all
from apps.mengla.ingest import cache_sync
from apps.mengla.maintenance.tick import run_tick
from apps.mengla.queries.data_query import DataQuery
from apps.mengla.queue.overdue import fail_overdue
from apps.mengla.reading import read as query_service
from apps.mengla.simulator.server import Simulator
from tests.mengla.support import (
    Document,
    answer,
    begin_attempt,
    hot,
    make_overdue,
    make_stale,
    points,
    ranking,
    reload,
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
HALF_YEAR = trend("202501", "202506")
NEW_POINTS = {f"p20250{month}": month for month in range(4, 7)}


@dataclass(frozen=True)
class Case:
    """What the caches hold when the new answer comes, and what it is."""

    read: DataQuery
    prepare: Callable[[], Any]
    collected: DataQuery
    result: Any
    expected: Any


def stale_figures() -> None:
    store(hot(), ranking("old"))
    make_stale(hot())


def stale_emptiness() -> None:
    store_empty(hot())
    make_stale(hot())


def half_a_trend() -> None:
    store(trend("202501", "202503"), points(p202501=1, p202502=2, p202503=3))


CASES = {
    "figures": Case(hot(), stale_figures, hot(), ranking("new"), ["new"]),
    "empty": Case(hot(), stale_emptiness, hot(), ranking("new"), ["new"]),
    "partial trend": Case(
        HALF_YEAR, half_a_trend, trend("202504", "202506"), points(**NEW_POINTS), [1, 2, 3, 4, 5, 6]
    ),
}


class Scene:
    """Caches that hold an old answer, and the attempt whose new answer they were never notified of."""

    def __init__(self, case: Case, client: APIClient) -> None:
        self.case = case
        self.client = client

    def play(self, monkeypatch: pytest.MonkeyPatch) -> Document:
        """Let the caches hold the old answer, store the new one, and be killed."""
        self.case.prepare()
        clear_all()
        attempt = begin_attempt(self.case.collected)
        assert self.read() != self.case.expected

        def kill(*_arguments: Any, **_options: Any) -> Any:
            raise SystemExit

        with monkeypatch.context() as dying:
            dying.setattr(cache_sync, "refresh_cache", kill)
            with pytest.raises(SystemExit):
                answer(attempt, self.case.result)
        self.become_another_process()
        assert self.read(is_behind_refreshed=False) != self.case.expected  # what L2 holds
        return attempt

    def become_another_process(self) -> None:
        process_state.forget_all()

    def read(self, *, is_behind_refreshed: bool = True) -> Any:
        """What a reader gets; ``is_behind_refreshed`` false: without a refresh in the background."""
        query = self.case.read
        if not is_behind_refreshed:
            query_service.recently_refreshed[query.identity] = None
        asked = {"primaryCatId": query.cat_id, "action": query.action.value, "timest": query.end.key}
        if query.is_trend:
            asked |= {"starRange": query.start.key, "endRange": query.end.key}
        response = self.client.get("/api/mengla/", asked)
        assert response.status_code == 200
        data = response.json()["data"]
        if data is None:
            return None
        if query.is_trend:
            return [point["monthSales"] for point in data]
        return [row["catName"] for row in data["list"]]


@pytest.fixture(params=CASES)
def scene(request: pytest.FixtureRequest, reader: APIClient) -> Scene:
    return Scene(CASES[request.param], reader)


def test_the_next_reader_of_what_is_stale_gets_the_new_answer(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    scene.play(monkeypatch)
    scene.become_another_process()
    assert scene.read() == scene.case.expected
    scene.become_another_process()
    assert scene.read(is_behind_refreshed=False) == scene.case.expected


def test_the_tick_tells_the_caches(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    attempt = scene.play(monkeypatch)
    assert run_tick().caches_notified == 1
    assert scene.read(is_behind_refreshed=False) == scene.case.expected
    assert reload(attempt)["is_cache_pending"] is True  # it is under way, and may store again


def test_the_dispatcher_tells_the_caches_when_it_finds_the_answer(
    scene: Scene, service: Simulator, collect_all: Callable[[], int], monkeypatch: pytest.MonkeyPatch
) -> None:
    attempt = scene.play(monkeypatch)
    make_overdue(attempt)
    assert fail_overdue() == 1
    assert collect_all() == 0  # it is not asked for again
    assert reload(attempt)["status"] == "SUCCEEDED"
    assert reload(attempt)["is_cache_pending"] is False
    assert scene.read(is_behind_refreshed=False) == scene.case.expected
    assert service.stats()["execute_requests"] == 0


def test_an_answer_that_came_by_itself_owes_nothing() -> None:
    collection = store(hot())
    assert collection["is_cache_pending"] is False
    assert cache_sync.notify_caches_again() == 0


def test_a_stale_hit_costs_no_look_at_the_figures(reader: APIClient, monkeypatch: pytest.MonkeyPatch) -> None:
    """They may be megabytes, and the reader has its answer."""
    scene = Scene(CASES["figures"], reader)
    scene.case.prepare()
    clear_all()
    assert scene.read() == ["old"]
    scene.become_another_process()

    def refuse(*_arguments: Any, **_options: Any) -> Any:
        raise AssertionError("the figures are read")

    monkeypatch.setattr("apps.mengla.store.selectors.find_records", refuse)
    assert scene.read() == ["old"]
