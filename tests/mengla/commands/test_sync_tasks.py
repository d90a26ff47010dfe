"""`manage.py sync_tasks`: runs listed, shown, cancelled and retried at the command line."""

from __future__ import annotations

import io
import os
import signal
import sys

import pytest
from rest_framework.test import APIClient

from apps.core.periods import parse_period
from apps.core.storage.mongo import collection_of
from apps.mengla.choices import Action
from apps.mengla.models import Collection
from apps.mengla.runs import collect, work
from apps.mengla.runs.collect import Order, Selection, fill_plan, period_plan
from apps.mengla.store.selectors import query_of
from apps.sync_tasks.choices import RunStatus
from tests.mengla.commands.support import Ended, run, stored_runs, working
from tests.mengla.runs.support import end_all, identities_of, plan_now, run_document, store

pytestmark = [pytest.mark.django_db, pytest.mark.mongo, pytest.mark.redis]
UNKNOWN_ID = "0123456789abcdef01234567"
BAD_IDS = ["", "1", "x" * 5000, "день", "\udcff", "../../today", "$ne", UNKNOWN_ID + "0"]


def sync_tasks(*arguments: str) -> Ended:
    return run("sync_tasks", *arguments)


def start(period: str = "202506", *cat_ids: str) -> str:
    """Start and plan the collection of the best sellers of a period; returns the run's id."""
    wanted = parse_period(period)
    selection = Selection(cat_ids=cat_ids or ("1000", "2000", "1001"), actions=(Action.HOT,))
    started = collect.start(period_plan(wanted, selection=selection), Order("tests"))
    plan_now(started.run_id)
    return started.run_id


def end(period: str = "202506", *, failing: int = 0) -> str:
    """Start a run and end it; returns its id."""
    run_id = start(period)
    end_all(failing=failing)
    assert run_document(run_id)["status"] != RunStatus.RUNNING
    return run_id


# --- list -----------------------------------------------------------------------------------------


def test_no_runs_are_told_as_such() -> None:
    assert sync_tasks("list") == Ended(0, "No sync tasks found.\n", "")
    assert sync_tasks("list", "--json").result == {"tasks": []}


def test_the_newest_comes_first_as_the_api_tells_it(admin: APIClient) -> None:
    end("202505", failing=1)
    end("202506")
    start("2025")
    ended = sync_tasks("list", "--json")
    assert (ended.code, ended.err) == (0, "")
    told = ended.result["tasks"]
    assert [one["period"] for one in told] == ["2025", "202506", "202505"]
    answer = admin.get("/api/sync-tasks").json()["data"]["tasks"]
    # The pace of a run that goes on changes with every look at it.
    for one in (*told, *answer):
        if one["status"] == "RUNNING":
            one["progress"].pop("per_minute")
    assert told == answer


def test_the_table_for_people() -> None:
    run_id = end(failing=1)
    titles, row = sync_tasks("list").out.splitlines()
    assert titles.split() == [
        *("id", "task", "period", "trigger", "outcome", "started", "ended/total", "failed", "error")
    ]
    cells = row.split()
    assert cells[:4] == [run_id, "monthly_collect", "2025-06", "manual"]
    assert cells[4:7] == ["Completed", "with", "failures"]
    assert cells[9:] == ["3/3", "1", "1", "of", "3", "collections", "failed."]


@pytest.mark.parametrize(
    ("filters", "periods"),
    [
        (("--status", "RUNNING"), ["2025Q2"]),
        (("--status", "COMPLETED"), ["202506"]),
        (("--status", "FAILED"), []),
        (("--task-id", "monthly_collect"), ["202506"]),
        (("--outcome", "running"), ["2025Q2"]),
        (("--outcome", "completed_with_failures"), []),
        (("--outcome", "completed", "--status", "COMPLETED"), ["202506"]),
        (("--task-id", "quarterly_collect", "--status", "COMPLETED"), []),
        (("--limit", "1"), ["2025Q2"]),
        (("--limit", "200"), ["2025Q2", "202506"]),
    ],
)
def test_filters_select(filters: tuple[str, ...], periods: list[str]) -> None:
    end("202506")
    start("2025Q2")
    assert [one["period"] for one in sync_tasks("list", *filters, "--json").result["tasks"]] == periods


# --- show -----------------------------------------------------------------------------------------


def test_a_run_is_shown_with_each_failure_and_its_reason(admin: APIClient) -> None:
    run_id = end(failing=2)
    ended = sync_tasks("show", run_id, "--json")
    assert (ended.code, ended.err) == (0, "")  # it was shown: how it ended is no failure of the command
    told = admin.get(f"/api/sync-tasks/{run_id}").json()["data"]
    assert len(told["failures"]) == 2
    for failure in told["failures"]:
        failure["category_name"] = f"类目{failure['catId']}"
    assert ended.result == told
    text = sync_tasks("show", run_id).out
    assert text.count("made to fail") == 2
    assert all(f"{one['category_name']} ({one['catId']})  2025-06" in text for one in told["failures"])
    assert "done 1, empty 0, failed 2 of 3" in text


def test_of_many_failures_the_first_are_listed_and_the_rest_counted() -> None:
    selection = Selection(cat_ids=("1000",), actions=(Action.HOT,))
    plan = fill_plan(parse_period("20250501"), parse_period("20250525"), selection=selection)
    fill = collect.start(plan, Order("tests"))
    plan_now(fill.run_id)
    end_all(failing=25)
    lines = sync_tasks("show", fill.run_id).out.splitlines()
    assert sum("made to fail" in line for line in lines) == 20
    assert lines[-1] == "... and 5 more."


def test_what_a_service_says_cannot_command_the_terminal() -> None:
    run_id = end(failing=1)
    collection_of(Collection).update_many(
        {"status": "FAILED"}, {"$set": {"error_message": "\x1b[2Jgone\n\u202e行"}}
    )
    text = sync_tasks("show", run_id).out
    assert "\\x1b[2Jgone\\n\\u202e行" in text
    assert "\x1b" not in text


def test_a_running_run_is_shown_as_it_stands() -> None:
    run_id = start()
    ended = sync_tasks("show", run_id, "--json")
    assert (ended.code, ended.result["status"], ended.result["progress"]["total"]) == (0, "RUNNING", 3)


@pytest.mark.parametrize(("failing", "code"), [(0, 0), (1, 3), (3, 1)])
def test_show_can_wait_and_then_exits_as_the_run_ended(failing: int, code: int) -> None:
    run_id = start()
    with working(failing=failing):
        ended = sync_tasks("show", run_id, "--wait", "--no-progress", "--json")
    assert (ended.code, ended.result["progress"]["failed"]) == (code, failing)
    assert "Collecting: 3/3" in ended.err
    assert sync_tasks("show", run_id, "--wait").code == code  # the same when it had ended before


# --- cancel ---------------------------------------------------------------------------------------


def test_cancel_stops_a_run_and_takes_back_what_waits() -> None:
    run_id = start()
    ended = sync_tasks("cancel", run_id, "--json")
    assert (ended.code, ended.err) == (0, "")
    assert (ended.result["status"], ended.result["progress"]["cancelled"]) == ("CANCELLED", 3)
    assert ended.result["error_message"] == "Cancelled by manage.py."
    assert collection_of(Collection).find_one({"active_key": {"$ne": None}}) is None


def test_an_ended_run_cannot_be_cancelled() -> None:
    run_id = end()
    ended = sync_tasks("cancel", run_id)
    assert (ended.code, ended.out, ended.err) == (1, "", "This sync task has ended.\n")
    assert run_document(run_id)["status"] == "COMPLETED"


def test_a_dry_cancel_changes_nothing() -> None:
    run_id = start()
    ended = sync_tasks("cancel", run_id, "--dry-run", "--json")
    assert (ended.code, ended.result["is_dry_run"]) == (0, True)
    assert run_document(run_id)["status"] == "RUNNING"


def test_everything_is_cancelled_after_a_question(monkeypatch: pytest.MonkeyPatch) -> None:
    run_id = start()
    found = {"runs": 1, "collections": 3, "in_flight": 0}
    assert sync_tasks("cancel", "--all", "--dry-run", "--json").result == found | {"is_dry_run": True}
    assert "1 running sync tasks and 3 queued" in sync_tasks("cancel", "--all", "--dry-run").out
    monkeypatch.setattr(sys, "stdin", io.StringIO("no\n"))
    assert sync_tasks("cancel", "--all").code == 1
    assert run_document(run_id)["status"] == "RUNNING"
    monkeypatch.setattr(sys, "stdin", io.StringIO("yes\n"))
    ended = sync_tasks("cancel", "--all", "--json")
    assert (ended.code, ended.result) == (0, found | {"is_complete": True, "is_dry_run": False})
    assert run_document(run_id)["status"] == "CANCELLED"


# --- retry ----------------------------------------------------------------------------------------


def test_retry_collects_exactly_what_failed() -> None:
    run_id = end(failing=2)
    with working():
        ended = sync_tasks("retry", run_id, "--wait", "--json")
    result = ended.result
    assert (ended.code, result["retry_of"], result["requested_by"]) == (0, run_id, "manage.py")
    assert (result["status"], result["progress"]["completed"], result["failures"]) == ("COMPLETED", 2, [])
    assert len(set(identities_of(result["id"]))) == 2


def test_retry_starts_and_says_how_to_follow() -> None:
    run_id = end(failing=2)
    ended = sync_tasks("retry", run_id)
    retried = str(stored_runs()[-1]["_id"])
    assert ended.code == 0
    assert ended.out.splitlines()[0] == (
        f"Started sync task {retried}, Monthly collection 2025-06: up to 2 collections."
    )


def test_a_dry_retry_says_what_would_be_collected_and_starts_nothing() -> None:
    run_id = end(failing=2)
    mended = collection_of(Collection).find_one({"status": "FAILED"})
    assert mended is not None
    store(query_of(mended))
    ended = sync_tasks("retry", run_id, "--dry-run", "--json")
    assert (ended.code, ended.err) == (0, "")
    assert ended.result == {"is_dry_run": True, "total": 2, "to_collect": 1, "skipped": {"fresh": 1}}
    assert sync_tasks("retry", run_id, "--dry-run").out == (
        "Dry run, nothing started: 1 of 2 collections would be planned; 1 skipped (up to date).\n"
    )
    assert len(stored_runs()) == 1
    retried = sync_tasks("retry", run_id, "--json").result["id"]
    assert plan_now(retried)["skipped"] == {"fresh": 1}
    assert len(identities_of(retried)) == 1


@pytest.mark.parametrize("option", ["--json", "--dry-run"])
@pytest.mark.parametrize("is_running", [True, False])
def test_retry_of_what_runs_or_has_no_failure_is_refused(is_running: bool, option: str) -> None:
    run_id = start() if is_running else end()
    ended = sync_tasks("retry", run_id, "--json", option)
    assert (ended.code, ended.err, ended.result["error"]) == (1, "", "CONFLICT")
    assert len(stored_runs()) == 1


@pytest.mark.parametrize(("option", "status"), [("--json", "RUNNING"), ("--cancel-on-exit", "CANCELLED")])
def test_a_signal_while_a_retry_starts_leaves_no_run_unspoken(
    option: str, status: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_id = end(failing=1)

    def request_planning(_run_id: str) -> None:
        os.kill(os.getpid(), signal.SIGINT)

    monkeypatch.setattr(work, "request_planning", request_planning)
    ended = sync_tasks("retry", run_id, "--wait", option)
    retried = stored_runs()[-1]
    assert ended.code == 1
    assert (retried["retry_of"], retried["status"]) == (run_id, status)
    assert str(retried["_id"]) in ended.out


# --- Bad arguments --------------------------------------------------------------------------------


@pytest.mark.parametrize("subcommand", ["show", "cancel", "retry"])
@pytest.mark.parametrize("run_id", [*BAD_IDS, UNKNOWN_ID])
def test_an_unknown_run_is_a_bad_argument(subcommand: str, run_id: str) -> None:
    ended = sync_tasks(subcommand, run_id)
    assert (ended.code, ended.out, ended.err) == (2, "", "There is no such sync task.\n")
    assert sync_tasks(subcommand, run_id, "--json").result["error"] == "NOT_FOUND"


@pytest.mark.parametrize(
    "arguments",
    [
        (),
        ("delete", UNKNOWN_ID),
        ("show",),
        ("cancel",),
        ("cancel", UNKNOWN_ID, UNKNOWN_ID),
        ("cancel", UNKNOWN_ID, "--all"),
        ("cancel", UNKNOWN_ID, "--wait"),
        ("retry", UNKNOWN_ID, "--cancel-on-exit"),
        ("list", "--status", "running"),
        ("list", "--outcome", "COMPLETED"),
        ("list", "--status", "ВЫПОЛНЕН"),
        ("list", "--task-id", "nonsense\x00"),
        ("list", "--limit", "0"),
        ("list", "--limit", "201"),
        ("list", "--limit", "٣"),
        ("list", "--limit", "9" * 5000),
        ("list", "--dry-run"),
    ],
)
def test_bad_arguments_are_refused(arguments: tuple[str, ...]) -> None:
    ended = sync_tasks(*arguments)
    assert (ended.code, ended.out) == (2, "")
    assert 0 < len(ended.err.splitlines()[-1]) < 400
