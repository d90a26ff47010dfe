"""`manage.py collect`: what it starts, what it refuses, and what it says before anything is started."""

from __future__ import annotations

from datetime import datetime

import pytest
from rest_framework.test import APIClient

from apps.core.periods import Granularity, parse_period
from apps.mengla.choices import Action, Priority
from apps.mengla.queries.data_query import DataQuery
from tests.mengla.commands.support import assert_nothing_started, run, stored_runs, the_run
from tests.mengla.runs.support import collections_of, identities_of, plan_now, store

pytestmark = [pytest.mark.django_db, pytest.mark.mongo, pytest.mark.redis]
JUNE = ("month", "--date", "2025-06")


def store_june(action: Action = Action.HOT, cat_id: str = "1000") -> None:
    """Store fresh figures."""
    period = parse_period("202506")
    store(DataQuery(action, cat_id, period, period))


# --- What is started ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "task_id", "period"),
    [
        (("day", "--date", "2024-02-29"), "daily_collect", "20240229"),
        (("day", "--date", "20241231"), "daily_collect", "20241231"),
        (("month", "--date", "2025-06"), "monthly_collect", "202506"),
        (("MONTH", "--date", "202512"), "monthly_collect", "202512"),
        (("quarter", "--date", "2025-Q2"), "quarterly_collect", "2025Q2"),
        (("quarter", "--date", "2025q4"), "quarterly_collect", "2025Q4"),
        (("year", "--date", "2025"), "yearly_collect", "2025"),
    ],
)
def test_each_granularity_starts_its_own_task(arguments: tuple[str, ...], task_id: str, period: str) -> None:
    ended = run("collect", *arguments, "--json")
    assert (ended.code, ended.err) == (0, "")
    stored = the_run()
    assert ended.result["id"] == str(stored["_id"])
    assert (stored["task_id"], stored["period"], stored["trigger"]) == (task_id, period, "manual")
    assert (stored["requested_by"], stored["slot"]) == ("manage.py", None)


def test_the_result_is_told_as_the_api_tells_it(admin: APIClient) -> None:
    result = run("collect", *JUNE, "--json").result
    answer = admin.get(f"/api/sync-tasks/{result['id']}").json()["data"]
    assert result["progress"]["total"] == 10
    assert answer.pop("failures") == []
    assert answer == result


def test_people_are_told_how_to_go_on() -> None:
    ended = run("collect", *JUNE)
    run_id = str(the_run()["_id"])
    assert (ended.code, ended.err) == (0, "")
    assert ended.out.splitlines() == [
        f"Started sync task {run_id}, Monthly collection 2025-06: up to 10 collections.",
        f"Follow it: manage.py sync_tasks show {run_id} --wait. "
        f"Cancel it: manage.py sync_tasks cancel {run_id}.",
    ]


@pytest.mark.parametrize(
    ("now", "expected"),
    [
        # It is New Year in Shanghai, and not yet in UTC.
        (
            "2025-01-01T00:30+08:00",
            ["20241231", "202412", "2024Q4", "2024"],
        ),
        (
            "2024-03-01T00:30+08:00",
            ["20240229", "202402", "2023Q4", "2023"],
        ),
        (
            "2025-02-28T23:30+08:00",
            ["20250227", "202501", "2024Q4", "2024"],
        ),
    ],
)
def test_without_a_date_it_is_the_last_closed_period(
    now: str, expected: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("apps.core.market_clock.timezone.now", lambda: datetime.fromisoformat(now))
    assert [run("collect", one, "--json").result["period"] for one in Granularity] == expected


@pytest.mark.parametrize(
    ("selection", "identities"),
    [
        (("--category", "1001", "--action", "hot"), ["hot:1001:month:202506"]),
        (
            ("--category", "1001", "--category", "2000", "1001", "--action", "hot"),
            ["hot:1001:month:202506", "hot:2000:month:202506"],
        ),
        (
            ("--category", "all", "--action", "hot", "chance", "--action", "hot"),
            ["chance:all:month:202506", "hot:all:month:202506"],
        ),
        (
            ("--category", "1000", "--action", "industryTrendRange"),
            ["industryTrendRange:1000:month:202501~202506"],
        ),
    ],
)
def test_categories_and_actions_select(selection: tuple[str, ...], identities: list[str]) -> None:
    assert run("collect", *JUNE, *selection).code == 0
    run_id = str(the_run()["_id"])
    plan_now(run_id)
    assert sorted(identities_of(run_id)) == identities
    assert {one["priority"] for one in collections_of(run_id)} == {Priority.MANUAL}


def test_categories_may_be_named() -> None:
    selection = ("--category", " 类目1001", "КАТЕГОРИЯ 2000", "1000", "--category", "ALL", "--action", "hot")
    ended = run("collect", *JUNE, *selection)
    assert ended.code == 0
    assert ended.err == "Categories: 类目1000 › 类目1001 (1001), 类目2000 (2000), 类目1000 (1000), all\n"
    run_id = str(the_run()["_id"])
    plan_now(run_id)
    assert sorted(identities_of(run_id)) == [
        f"hot:{cat_id}:month:202506" for cat_id in ("1000", "1001", "2000", "all")
    ]


def test_an_ambiguous_category_starts_nothing() -> None:
    ended = run("collect", *JUNE, "--category", "类目1", "--json")
    assert (ended.code, ended.err, ended.result["error"]) == (2, "", "VALIDATION_ERROR")
    assert "类目1000 (1000), 类目1001 (1001), 类目1002 (1002)" in ended.result["message"]
    assert_nothing_started()


def test_what_is_fresh_is_left_out_unless_forced() -> None:
    store_june()
    selection = ("--category", "1000", "--action", "hot", "chance")
    first = run("collect", *JUNE, *selection, "--json").result["id"]
    assert plan_now(first)["skipped"] == {"fresh": 1}
    assert identities_of(first) == ["chance:1000:month:202506"]
    assert run("sync_tasks", "cancel", first).code == 0
    forced = run("collect", *JUNE, *selection, "--force", "--json").result["id"]
    assert plan_now(forced)["skipped"] == {}
    assert len(identities_of(forced)) == 2


def test_a_second_start_names_the_run_in_the_way() -> None:
    run("collect", *JUNE)
    running = str(the_run()["_id"])
    ended = run("collect", "month", "--date", "2025-05")
    assert (ended.code, ended.out) == (1, "")
    assert running in ended.err
    told = run("collect", *JUNE, "--json")
    assert (told.code, told.err) == (1, "")
    assert (told.result["error"], told.result["detail"]) == ("CONFLICT", f"sync_task_id={running}")
    assert len(stored_runs()) == 1
    assert run("collect", "day", "--date", "2025-06-01").code == 0  # another task is not in the way


# --- Dry run --------------------------------------------------------------------------------------


def test_a_dry_run_says_what_would_be_done_and_does_nothing() -> None:
    store_june()
    ended = run("collect", *JUNE, "--dry-run", "--json")
    assert (ended.code, ended.err) == (0, "")
    assert ended.result == {"is_dry_run": True, "total": 10, "to_collect": 9, "skipped": {"fresh": 1}}
    text = run("collect", *JUNE, "--dry-run").out
    assert text == (
        "Dry run, nothing started: 9 of 10 collections would be planned; 1 skipped (up to date).\n"
    )
    assert run("collect", *JUNE, "--dry-run", "--force", "--json").result["to_collect"] == 10
    assert_nothing_started()


def test_a_dry_run_tells_what_the_run_then_does() -> None:
    store_june()
    store_june(Action.CHANCE, "2000")
    foretold = run("collect", *JUNE, "--dry-run", "--json").result
    started = run("collect", *JUNE, "--json").result["id"]
    assert plan_now(started)["skipped"] == foretold["skipped"]
    assert len(collections_of(started)) == foretold["to_collect"]


def test_a_dry_run_is_possible_while_the_task_runs() -> None:
    run("collect", *JUNE)
    assert run("collect", *JUNE, "--dry-run").code == 0


# --- Bad arguments --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "arguments",
    [
        (),
        ("week",),
        ("месяц",),
        ("month", "extra"),
        ("month", "--nonsense"),
        ("month", "--date"),
        ("month", "--date", ""),
        ("month", "--date", "2025"),
        ("month", "--date", "2025-06-01"),
        ("month", "--date", "2025-13"),
        ("month", "--date", "2025-6"),
        ("month", "--date", "06-2025"),
        ("month", "--date", " 2025-06"),
        ("month", "--date", "٢٠٢٥-٠٦"),
        ("month", "--date", "2025-06\n"),
        ("month", "--date", "1999-12"),
        ("month", "--date", "9" * 100_000),
        ("month", "--date", "\udcff"),
        ("day", "--date", "2025-02-29"),
        ("day", "--date", "20250230"),
        ("quarter", "--date", "2025-Q5"),
        ("year", "--date", "0000"),
        (*JUNE, "--category"),
        (*JUNE, "--category", "99999"),
        (*JUNE, "--category", "1000", "77777"),
        (*JUNE, "--category", "Шины"),
        (*JUNE, "--category", "1000,2000"),
        (*JUNE, "--category", "1" * 5000),
        (*JUNE, "--category", "１０００"),
        (*JUNE, "--category", "$ne"),
        (*JUNE, "--category", ""),
        (*JUNE, "--action"),
        (*JUNE, "--action", "HOT"),
        (*JUNE, "--action", "hot,chance"),
        (*JUNE, "--action", "潜力"),
        (*JUNE, "--cancel-on-exit"),
    ],
)
@pytest.mark.parametrize("is_dry_run", [False, True])
def test_bad_arguments_start_nothing(arguments: tuple[str, ...], is_dry_run: bool) -> None:
    ended = run("collect", *arguments, *(["--dry-run"] if is_dry_run else []))
    assert (ended.code, ended.out) == (2, "")
    last_line = ended.err.splitlines()[-1]
    assert 0 < len(last_line) < 400
    assert last_line.isprintable()
    assert_nothing_started()


def test_an_unknown_category_is_named() -> None:
    ended = run("collect", *JUNE, "--category", "1000", "77777", "--json")
    assert (ended.code, ended.err) == (2, "")
    assert ended.result["message"] == "There is no such category: 77777."
    assert ended.result["fields"] == {"category": ["There is no such category: 77777."]}
