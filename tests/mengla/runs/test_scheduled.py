"""Schedules: the period comes from the planned instant; nothing starts twice; a pause is obeyed."""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest

from apps.core.periods import parse_period
from apps.core.scheduling.schedules import pause_schedule, sync_schedules
from apps.core.storage.flags import SCHEDULER_PAUSED, set_flag
from apps.core.storage.mongo import collection_of
from apps.mengla import tasks
from apps.mengla.choices import Action, Priority
from apps.mengla.queries.data_query import DataQuery
from apps.mengla.runs import collect
from apps.mengla.runs.collect import (
    Order,
    backfill_check_plan,
    backfill_plan,
    fill_plan,
    full_crawl_plan,
    granular_plan,
    period_plan,
    single_day_plan,
    start,
)
from apps.mengla.runs.warm_up import warm_up_plan
from apps.sync_tasks import services as runs
from apps.sync_tasks.errors import AlreadyRunning
from apps.sync_tasks.models import SyncTask
from tests.factories.categories import Node
from tests.mengla.runs.support import collections_of, identities_of, plan_now, run_document, store

pytestmark = [pytest.mark.django_db, pytest.mark.mongo, pytest.mark.redis]


@pytest.fixture(autouse=True)
def _tree(sample_tree: list[Node]) -> None:
    """Two level-1 categories: 1000 and 2000."""


@pytest.mark.parametrize(
    ("task", "intended_at", "period"),
    [
        # 02:00 in Shanghai is still the day before in UTC.
        (tasks.daily_collect, "2026-01-01T02:00:00+08:00", "20251231"),
        (tasks.daily_collect, "2025-12-31T18:00:00+00:00", "20251231"),
        (tasks.daily_collect, "2024-03-01T02:00:00+08:00", "20240229"),
        (tasks.daily_collect, "2025-03-01T02:00:00+08:00", "20250228"),
        (tasks.monthly_collect, "2026-01-01T03:00:00+08:00", "202512"),
        (tasks.monthly_collect, "2025-12-31T19:00:00+00:00", "202512"),
        (tasks.quarterly_collect, "2026-01-02T03:00:00+08:00", "2025Q4"),
        (tasks.quarterly_collect, "2025-04-02T03:00:00+08:00", "2025Q1"),
        (tasks.yearly_collect, "2026-01-03T03:00:00+08:00", "2025"),
    ],
)
def test_the_period_is_the_one_over_at_the_planned_instant(task, intended_at: str, period: str) -> None:
    run_id = task(intended_at=intended_at)
    run = run_document(run_id)
    assert run["period"] == run["slot"] == period
    assert run["trigger"] == "scheduled"
    plan_now(run_id)
    assert {one["priority"] for one in collections_of(run_id)} == {Priority.SCHEDULED}
    hot = [identity for identity in identities_of(run_id) if identity.startswith("hot:1000:")]
    assert hot == [f"hot:1000:{parse_period(period).granularity}:{period}"]


def test_a_schedule_that_fires_late_collects_the_period_it_was_planned_for() -> None:
    # Planned for New Year's night, run three days later.
    run_id = tasks.daily_collect(intended_at="2026-01-01T02:00:00+08:00")
    assert run_document(str(run_id))["period"] == "20251231"


def test_a_schedule_that_fires_twice_starts_one_run() -> None:
    first = tasks.monthly_collect(intended_at="2026-01-01T03:00:00+08:00")
    second = tasks.monthly_collect(intended_at="2026-01-01T03:00:00+08:00")
    assert first == second
    assert collection_of(SyncTask).count_documents({}) == 1


def test_a_run_that_has_not_ended_is_not_doubled_by_the_next_firing() -> None:
    assert tasks.daily_collect(intended_at="2026-01-01T02:00:00+08:00")
    assert tasks.daily_collect(intended_at="2026-01-02T02:00:00+08:00") is None
    assert collection_of(SyncTask).count_documents({}) == 1


def test_a_pause_is_obeyed_until_it_is_lifted() -> None:
    set_flag(SCHEDULER_PAUSED, is_set=True, changed_by="tests")
    assert tasks.daily_collect(intended_at="2026-01-01T02:00:00+08:00") is None
    assert tasks.backfill_check(intended_at="2026-01-01T04:00:00+08:00") is None
    set_flag(SCHEDULER_PAUSED, is_set=False, changed_by="tests")
    assert tasks.daily_collect(intended_at="2026-01-01T02:00:00+08:00")


def test_the_backfill_check_looks_back_over_closed_periods_only(settings) -> None:
    settings.BACKFILL_DAYS, settings.BACKFILL_MONTHS = 2, 1
    settings.BACKFILL_QUARTERS, settings.BACKFILL_YEARS = 1, 0
    run_id = tasks.backfill_check(intended_at="2026-01-01T04:00:00+08:00")
    plan_now(str(run_id))
    periods = {
        identity.split(":", 2)[2]
        for identity in identities_of(str(run_id))
        if identity.startswith("hot:1000")
    }
    assert periods == {"day:20251231", "day:20251230", "month:202512", "quarter:2025Q4"}


def test_the_backfill_check_leaves_the_newest_period_to_its_own_schedule_until_that_is_due(settings) -> None:
    settings.BACKFILL_DAYS, settings.BACKFILL_MONTHS = 1, 1
    settings.BACKFILL_QUARTERS, settings.BACKFILL_YEARS = 1, 1
    sync_schedules()
    expected = {
        "2026-01-01T00:00+08:00": {"day:20251230", "month:202511", "quarter:2025Q3", "year:2024"},
        "2026-01-01T02:00+08:00": {"day:20251231", "month:202511", "quarter:2025Q3", "year:2024"},
        "2026-01-02T04:00+08:00": {"day:20260101", "month:202512", "quarter:2025Q4", "year:2024"},
        "2026-01-03T04:00+08:00": {"day:20260102", "month:202512", "quarter:2025Q4", "year:2025"},
    }
    for intended_at, periods in expected.items():
        run_id = str(tasks.backfill_check(intended_at=intended_at))
        assert spans_of(run_id) == periods, intended_at
        runs.cancel_run(run_id=run_id, cancelled_by="tests")
    pause_schedule("yearly_collect", paused_by="tests")  # then no other run collects the year
    assert "year:2025" in spans_of(str(tasks.backfill_check(intended_at="2026-01-01T00:04+08:00")))


def spans_of(run_id: str) -> set[str]:
    spans = run_document(run_id)["parameters"]["spans"]
    return {f"{granularity}:{start}" for granularity, start, *_ in spans}


def test_after_downtime_the_check_closes_exactly_the_gaps(settings) -> None:
    settings.BACKFILL_MONTHS = settings.BACKFILL_QUARTERS = settings.BACKFILL_YEARS = 0
    today = date(2026, 3, 3)
    week = [parse_period("20260302").shift(-n) for n in range(7)]
    for day in week[:2] + week[5:]:  # three days of downtime in between
        for action in list(Action)[:4]:
            for cat_id in ("1000", "2000"):
                store(DataQuery(action, cat_id, day, day))
    started = start(backfill_check_plan(today), Order("tests"))
    plan_now(started.run_id)
    singles = [one for one in collections_of(started.run_id) if one["action"] != Action.INDUSTRY_TREND]
    assert {one["start_key"] for one in singles} == {day.key for day in week[2:5]}
    assert len(singles) == 3 * 4 * 2


def test_every_kind_of_run_has_a_name() -> None:
    assert set(collect.PERIOD_TASK_IDS.values()) < set(collect.TASK_NAMES)


@pytest.mark.parametrize(
    ("make", "task_id", "period"),
    [
        (lambda today: period_plan(parse_period("2025Q4")), "quarterly_collect", "2025Q4"),
        (lambda today: single_day_plan(today), "mengla_single_day", "20260302"),
        (lambda today: granular_plan(today), "mengla_granular", ""),
        (lambda today: granular_plan(today, is_forced=True), "mengla_granular_force", ""),
        (lambda today: full_crawl_plan(today), "full_crawl", ""),
        (lambda today: backfill_check_plan(today), "backfill_check", ""),
        (lambda today: backfill_plan(*[parse_period("2025")] * 2), "backfill", "2025~2025"),
        (lambda today: fill_plan(parse_period("202501"), parse_period("202502")), "fill", "202501~202502"),
        (lambda today: warm_up_plan(collect.Selection(), limit=7), "cache_warmup", ""),
    ],
)
def test_a_plan_says_all_about_its_run(make: Any, task_id: str, period: str) -> None:
    plan = make(date(2026, 3, 3))
    started = start(plan, Order("tests"))
    run = run_document(started.run_id)
    assert (run["task_id"], run["name"], run["period"]) == (task_id, collect.TASK_NAMES[task_id], period)
    assert run["parameters"] == plan.to_json()
    assert run["expected_total"] == plan.count() > 0
    with pytest.raises(AlreadyRunning) as caught:
        start(plan, Order("tests"))
    assert caught.value.run_id == started.run_id
