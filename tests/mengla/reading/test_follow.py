"""Following a run: to its end, through outages of MongoDB that pass, and without being a burden."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from django.db.utils import DatabaseError
from pymongo.errors import AutoReconnect, OperationFailure

from apps.core.errors import NotFound
from apps.core.periods import parse_period
from apps.core.storage.mongo import collection_of
from apps.mengla.choices import Action
from apps.mengla.reading import follow
from apps.mengla.reading.follow import RunView, follow_run, look_at_run
from apps.mengla.runs.collect import Order, Selection, period_plan, start
from apps.sync_tasks.models import SyncTask
from tests.factories.categories import Node
from tests.mengla.runs.support import end_next, plan_now

pytestmark = [pytest.mark.django_db, pytest.mark.mongo, pytest.mark.redis]


class Time:
    """A clock that goes on by what is slept, and does something meanwhile."""

    def __init__(self, meanwhile: Callable[[], object] = lambda: None) -> None:
        self.now = 0.0
        self.slept: list[float] = []
        self._meanwhile = meanwhile

    def sleep(self, seconds: float) -> None:
        self.now += seconds
        self.slept.append(seconds)
        self._meanwhile()

    def clock(self) -> float:
        return self.now


@pytest.fixture
def run_id(sample_tree: list[Node]) -> str:
    """A planned run of three collections."""
    period = parse_period("202506")
    selection = Selection(cat_ids=("1000", "1001", "2000"), actions=(Action.HOT,))
    started = start(period_plan(period, selection=selection), Order("tests"))
    plan_now(started.run_id)
    return started.run_id


def test_it_is_followed_to_its_end(run_id: str) -> None:
    time = Time(end_next)
    views = [view for view in follow_run(run_id, sleep=time.sleep, clock=time.clock) if view is not None]
    assert [view.ended_count for view in views] == [0, 1, 2, 3]
    assert [view.is_ended for view in views] == [False, False, False, True]
    assert views[-1].run["status"] == "COMPLETED"


def test_an_ended_one_is_looked_at_once(run_id: str) -> None:
    while end_next():
        pass
    time = Time()
    assert len(list(follow_run(run_id, sleep=time.sleep, clock=time.clock))) == 1
    assert time.slept == []


def test_a_slow_count_is_asked_for_more_rarely(run_id: str, monkeypatch: pytest.MonkeyPatch) -> None:
    time = Time(end_next)

    def look_slowly(wanted: str) -> RunView:
        time.now += 2.0
        return look_at_run(wanted)

    monkeypatch.setattr(follow, "look_at_run", look_slowly)
    list(follow_run(run_id, sleep=time.sleep, clock=time.clock))
    assert time.slept == [10.0, 10.0, 10.0]


@pytest.mark.parametrize("error", [AutoReconnect(), DatabaseError()])
def test_an_outage_that_passes_does_not_end_it(
    run_id: str, error: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    error.__cause__ = AutoReconnect()
    errors = [error] * 5

    def look(wanted: str) -> RunView:
        if errors:
            raise errors.pop()
        return look_at_run(wanted)

    monkeypatch.setattr(follow, "look_at_run", look)
    time = Time(end_next)
    views = list(follow_run(run_id, sleep=time.sleep, clock=time.clock))
    assert views[:5] == [None] * 5
    assert views[-1] is not None
    assert views[-1].is_ended


def test_an_outage_that_lasts_ends_it(run_id: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def look(_wanted: str) -> RunView:
        raise AutoReconnect

    monkeypatch.setattr(follow, "look_at_run", look)
    time = Time()
    with pytest.raises(AutoReconnect):
        list(follow_run(run_id, outage_seconds=30, sleep=time.sleep, clock=time.clock))
    assert 30 < time.now < 32


def test_an_error_that_is_no_outage_ends_it_at_once(run_id: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def look(_wanted: str) -> RunView:
        raise OperationFailure("not allowed", 13)

    monkeypatch.setattr(follow, "look_at_run", look)
    time = Time()
    with pytest.raises(OperationFailure):
        list(follow_run(run_id, sleep=time.sleep, clock=time.clock))
    assert time.slept == []


def test_one_that_is_deleted_meanwhile_is_not_found(run_id: str) -> None:
    time = Time(lambda: collection_of(SyncTask).delete_many({}))
    with pytest.raises(NotFound):
        list(follow_run(run_id, sleep=time.sleep, clock=time.clock))
