"""`manage.py backfill`, `fill` and `backfill_check`: ranges, gaps and look-back windows."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import pytest
from django.utils.translation import override

from apps.core.periods import parse_period
from apps.mengla.choices import Action, Priority
from apps.mengla.queries.data_query import DataQuery
from tests.mengla.commands.support import assert_nothing_started, run, stored_runs, the_run
from tests.mengla.runs.support import collections_of, identities_of, plan_now
from tests.mengla.runs.support import store as store_figures
from tests.mengla.support import make_stale

pytestmark = [pytest.mark.django_db, pytest.mark.mongo, pytest.mark.redis]
RANGES = ["backfill", "fill"]
MAY_JUNE = ("--from", "2025-05", "--to", "2025-06")
HOT = ("--category", "1000", "--action", "hot")


def hot(period: str) -> DataQuery:
    wanted = parse_period(period)
    return DataQuery(Action.HOT, "1000", wanted, wanted)


def store(*periods: str) -> None:
    """Store fresh figures of the best sellers of 1000."""
    for period in periods:
        store_figures(hot(period))


def planned(run_id: str) -> list[str]:
    """Plan the run; returns the periods it collects, the first one to be sent first."""
    plan_now(run_id)
    return [identity.rsplit(":", 1)[1] for identity in identities_of(run_id)]


def stand_at(now: str, monkeypatch: pytest.MonkeyPatch) -> None:
    instant = datetime.fromisoformat(now)
    monkeypatch.setattr("apps.core.market_clock.timezone.now", lambda: instant)


# --- backfill and fill ----------------------------------------------------------------------------


@pytest.mark.parametrize("name", RANGES)
def test_a_range_is_started_behind_everything_else(name: str) -> None:
    ended = run(name, *MAY_JUNE, "--json")
    assert (ended.code, ended.err) == (0, "")
    result = ended.result
    assert (result["task_id"], result["period"], result["trigger"]) == (name, "202505~202506", "manual")
    assert result["progress"]["total"] == 2 * 2 * 4 + 2  # categories, months, actions; and their trends
    assert the_run()["requested_by"] == "manage.py"
    plan_now(result["id"])
    assert {one["priority"] for one in collections_of(result["id"])} == {Priority.BACKFILL}


@pytest.mark.parametrize(
    ("given", "periods"),
    [
        (("--from", "2024-02-28", "--to", "2024-03-01"), ["20240301", "20240229", "20240228"]),
        (("--from", "2024-12-31", "--to", "20250101"), ["20250101", "20241231"]),
        (("--from", "2024-12", "--to", "2025-01"), ["202501", "202412"]),
        (("--from", "2024-Q4", "--to", "2025Q1"), ["2025Q1", "2024Q4"]),
        (("--from", "2023", "--to", "2024"), ["2024", "2023"]),
        (("--from", "2025-05-01", "--to", "2025-06-30", "--granularity", "month"), ["202506", "202505"]),
        (("--from", "2025-06", "--to", "2025-06"), ["202506"]),
    ],
)
@pytest.mark.parametrize("name", RANGES)
def test_the_newest_period_goes_first(name: str, given: tuple[str, ...], periods: list[str]) -> None:
    assert planned(run(name, *given, *HOT, "--json").result["id"]) == periods


def test_a_backfill_renews_what_is_stale_and_leaves_out_what_is_fresh() -> None:
    store("202504", "202505")
    make_stale(hot("202504"))
    given = ("--from", "2025-04", "--to", "2025-06", *HOT)
    assert run("backfill", *given, "--dry-run", "--json").result == {
        "is_dry_run": True,
        "total": 3,
        "to_collect": 2,
        "skipped": {"fresh": 1},
    }
    assert planned(run("backfill", *given, "--json").result["id"]) == ["202506", "202504"]


def test_a_forced_backfill_leaves_nothing_out() -> None:
    store("202505", "202506")
    assert run("backfill", *MAY_JUNE, *HOT, "--force", "--dry-run", "--json").result["to_collect"] == 2
    assert planned(run("backfill", *MAY_JUNE, *HOT, "--force", "--json").result["id"]) == ["202506", "202505"]


def test_a_fill_leaves_figures_alone_however_old() -> None:
    store("202505")
    make_stale(hot("202505"))
    foretold = run("fill", *MAY_JUNE, *HOT, "--dry-run").out
    assert foretold == (
        "Dry run, nothing started: 1 of 2 collections would be planned; 1 skipped (already stored).\n"
    )
    run_id = run("fill", *MAY_JUNE, *HOT, "--json").result["id"]
    assert planned(run_id) == ["202506"]
    assert the_run()["skipped"] == {"present": 1}


@pytest.mark.parametrize("name", RANGES)
def test_a_range_is_not_started_twice(name: str) -> None:
    run_id = run(name, *MAY_JUNE, "--json").result["id"]
    ended = run(name, *MAY_JUNE)
    assert (ended.code, ended.out) == (1, "")
    assert run_id in ended.err
    assert len(stored_runs()) == 1


@pytest.mark.parametrize("name", RANGES)
def test_the_largest_range_is_taken_and_one_more_is_refused(name: str) -> None:
    largest = ("--from", "2022-01-01", "--to", "2025-01-04", *HOT)
    assert run(name, *largest, "--dry-run", "--json").result["total"] == 1100
    ended = run(name, "--from", "2022-01-01", "--to", "2025-01-05", *HOT)
    assert (ended.code, ended.out) == (2, "")
    assert ended.err.splitlines()[0] == "The range has more than 1100 periods."
    assert_nothing_started()


@pytest.mark.parametrize(
    "given",
    [
        (),
        ("--from", "2025-05"),
        ("--to", "2025-05"),
        ("--from", "2025-06", "--to", "2025-05"),
        ("--from", "2025-05", "--to", "2025-Q3"),
        ("--from", "2025", "--to", "2025-06"),
        ("--from", "2025-05", "--to", "2025-06-30"),
        ("--from", "2025-05-02", "--to", "2025-06-30", "--granularity", "month"),
        ("--from", "2025-05", "--to", "2025-06", "--granularity", "day"),
        ("--from", "2025-05", "--to", "2025-06", "--granularity", "fortnight"),
        ("--from", "2025-13", "--to", "2025-14"),
        ("--from", "20250230", "--to", "20250301"),
        ("--from", "1900-01", "--to", "2100-01"),
        ("--from", "2000-01-01", "--to", "2099-12-31"),
        ("--from", "май", "--to", "июнь"),
        ("--from", "２０２５", "--to", "２０２５"),
        ("--from", "2025\u200b", "--to", "2025"),
        ("--from", "\udcff", "--to", "2025-06"),
        ("--from", "9" * 100_000, "--to", "2025-06"),
        ("--from", "", "--to", ""),
        (*MAY_JUNE, "--category", "77777"),
        (*MAY_JUNE, "--category", "${jndi}"),
        (*MAY_JUNE, "--action", "industryView"),
        (*MAY_JUNE, "--cancel-on-exit"),
        (*MAY_JUNE, "more"),
    ],
)
@pytest.mark.parametrize("name", RANGES)
@pytest.mark.parametrize("is_dry_run", [False, True])
def test_bad_arguments_start_nothing(name: str, given: tuple[str, ...], is_dry_run: bool) -> None:
    ended = run(name, *given, *(["--dry-run"] if is_dry_run else []))
    assert (ended.code, ended.out) == (2, "")
    assert 0 < len(ended.err.splitlines()[-1]) < 400
    assert_nothing_started()


def test_a_fill_cannot_be_forced() -> None:
    assert run("fill", *MAY_JUNE, "--force").code == 2
    assert_nothing_started()


# --- the last periods, and the full crawl ---------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "periods"),
    [
        (("--days", "2"), ["20241231", "20241230"]),
        (("--months", "3"), ["202412", "202411", "202410"]),
        (("--quarters", "1"), ["2024Q4"]),
        (("--years", "2"), ["2024", "2023"]),
        (
            ("--days", "2", "--years", "1", "--months", "1", "--quarters", "1"),
            ["2024", "2024Q4", "202412", "20241231", "20241230"],
        ),
    ],
)
def test_the_last_closed_periods(
    given: tuple[str, ...], periods: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    stand_at("2025-01-01T01:00+08:00", monkeypatch)
    result = run("backfill", *given, *HOT, "--json").result
    assert result["task_id"] == "backfill"
    assert planned(result["id"]) == periods


def test_the_last_periods_are_planned_as_a_range_is(monkeypatch: pytest.MonkeyPatch) -> None:
    stand_at("2025-01-01T01:00+08:00", monkeypatch)
    store("202412", "202411")
    make_stale(hot("202411"))
    given = ("--months", "3", *HOT)
    assert run("backfill", *given, "--dry-run", "--json").result["skipped"] == {"fresh": 1}
    assert run("backfill", *given, "--force", "--dry-run", "--json").result["to_collect"] == 3
    result = run("backfill", *given, "--json").result
    assert result["period"] == "202410~202412"
    plan_now(result["id"])
    assert {one["priority"] for one in collections_of(result["id"])} == {Priority.BACKFILL}
    assert run("backfill", "--days", "1").code == 1  # one backfill at a time, in either form


def test_a_number_that_goes_back_too_far_is_named() -> None:
    ended = run("backfill", "--days", "2", "--years", "30")
    assert ended.code == 2
    assert "--years 30 goes back beyond 2000." in ended.err
    with override("zh-hans"):
        told = run("backfill", "--years", "30").err
    assert "--years 30 早于 2000 年。" in told
    assert_nothing_started()


@pytest.mark.parametrize(
    "given",
    [
        ("--days", "0"),
        ("--days", "-1"),
        ("--days", "1101"),
        ("--months", "1.5"),
        ("--months", ""),
        ("--years", "all"),
        ("--years", "1100"),  # before the year 2000
        ("--quarters", "\u0663"),
        ("--days", "9" * 100_000),
        ("--days", "1", *MAY_JUNE),
        ("--days", "1", "--from", "2025-05"),
        ("--days", "1", "--granularity", "day"),
        ("--days", "1", "--category", "77777"),
    ],
)
def test_bad_numbers_start_nothing(given: tuple[str, ...]) -> None:
    ended = run("backfill", *given)
    assert (ended.code, ended.out) == (2, "")
    assert 0 < len(ended.err.splitlines()[-1]) < 400
    assert_nothing_started()


def test_a_full_crawl_collects_the_last_closed_periods(monkeypatch: pytest.MonkeyPatch) -> None:
    stand_at("2025-01-01T01:00+08:00", monkeypatch)
    result = run("full_crawl", "--action", "hot", "--json").result
    assert (result["task_id"], result["trigger"]) == ("full_crawl", "manual")
    assert set(planned(result["id"])) == {"20241231", "202412", "2024Q4", "2024"}
    assert {one["cat_id"] for one in collections_of(result["id"])} >= {"1000", "1001"}
    ended = run("full_crawl")
    assert (ended.code, ended.out) == (1, "")
    assert result["id"] in ended.err


@pytest.mark.parametrize(
    ("given", "periods"),
    [
        (("--from", "2025-01-31", "--to", "2025-02-01", "--granularity", "day"), ["20250201", "20250131"]),
        (("--from", "2025-01-31", "--to", "2025-02-01", "--granularity", "month"), ["202502", "202501"]),
        (
            ("--from", "2024-12", "--to", "2025Q1", "--granularity", "year", "quarter"),
            ["2025", "2024", "2025Q1", "2024Q4"],
        ),
    ],
)
def test_a_full_crawl_of_a_range(given: tuple[str, ...], periods: list[str]) -> None:
    assert planned(run("full_crawl", *given, *HOT, "--json").result["id"]) == periods


@pytest.mark.parametrize(
    "given",
    [
        ("--from", "2025-01-01"),
        ("--to", "2025-01-01"),
        ("--from", "2025-02-01", "--to", "2025-01-31"),
        ("--from", "2025-01-20", "--to", "2025-01-05", "--granularity", "month"),
        ("--from", "2025-01-01", "--to", "2098-01-01"),
        ("--from", "2020-01-01", "--to", "2024-01-01"),
        ("--from", "2025-01-01", "--to", "2025-01-32"),
        ("--granularity", "week"),
        ("--force",),
        ("--category", "77777"),
        ("2025",),
    ],
)
def test_a_bad_full_crawl_starts_nothing(given: tuple[str, ...]) -> None:
    ended = run("full_crawl", *given)
    assert (ended.code, ended.out) == (2, "")
    assert 0 < len(ended.err.splitlines()[-1]) < 400
    assert_nothing_started()


# --- backfill_check -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("now", "periods"),
    [
        (
            "2025-01-01T01:00+08:00",
            {"20241231", "20241230", "202412", "202411", "2024Q4", "2024Q3", "2024", "2023"},
        ),
        (
            "2024-03-01T01:00+08:00",
            {"20240229", "20240228", "202402", "202401", "2023Q4", "2023Q3", "2023", "2022"},
        ),
    ],
)
def test_the_check_looks_back_over_the_windows(
    now: str, periods: set[str], settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.BACKFILL_DAYS = settings.BACKFILL_MONTHS = 2
    settings.BACKFILL_QUARTERS = settings.BACKFILL_YEARS = 2
    stand_at(now, monkeypatch)
    ended = run("backfill_check", "--json")
    assert (ended.code, ended.result["task_id"]) == (0, "backfill_check")
    plan_now(ended.result["id"])
    identities = [one for one in identities_of(ended.result["id"]) if one.startswith("hot:1000:")]
    assert {one.rsplit(":", 1)[1] for one in identities} == periods


def test_the_default_windows(monkeypatch: pytest.MonkeyPatch) -> None:
    stand_at("2025-06-15T12:00+08:00", monkeypatch)
    run_id = run("backfill_check", "--json").result["id"]
    plan_now(run_id)
    counted = [
        identity.split(":")[2] for identity in identities_of(run_id) if identity.startswith("hot:1000:")
    ]
    assert {name: counted.count(name) for name in counted} == {"day": 7, "month": 3, "quarter": 4, "year": 2}


def test_a_dry_check_tells_the_gaps(settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    settings.BACKFILL_DAYS = settings.BACKFILL_QUARTERS = settings.BACKFILL_YEARS = 0
    stand_at("2025-07-01T12:00+08:00", monkeypatch)
    store("202506", "202505")
    make_stale(hot("202505"))
    assert run("backfill_check", "--dry-run", "--json").result == {
        "is_dry_run": True,
        "total": 2 * (3 * 4 + 1),
        "to_collect": 2 * (3 * 4 + 1) - 2,
        "skipped": {"present": 2},
    }
    assert_nothing_started()


@pytest.mark.parametrize(
    "given", [("2025",), ("--from", "2025-05"), ("--category", "1000"), ("--force",), ("--cancel-on-exit",)]
)
def test_the_check_takes_no_selection(given: tuple[str, ...]) -> None:
    ended = run("backfill_check", *given)
    assert (ended.code, ended.out) == (2, "")
    assert_nothing_started()
