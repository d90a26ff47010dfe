"""`manage.py alerts|breaker|caches|scheduler`: what operators do on pages, at the command line."""

from __future__ import annotations

import io
import sys
from typing import Any

import pytest
from django.db.migrations.recorder import MigrationRecorder
from rest_framework.test import APIClient

from apps.admin.alerts import evaluation
from apps.admin.choices import AlertRule
from apps.core.caching.entry import Built, build_lasting_entry
from apps.core.caching.read_through import get_or_build
from apps.core.caching.tiers import EPOCH_KEY
from apps.core.scheduling.schedules import sync_schedules
from apps.core.storage.mongo import named_collection
from apps.core.storage.redis import get_redis
from apps.mengla.choices import CollectionError
from apps.mengla.upstream import breaker
from tests.mengla.commands.support import Ended, assert_nothing_started, run, stored_runs, the_run

pytestmark = [
    pytest.mark.django_db,
    pytest.mark.mongo,
    pytest.mark.redis,
    pytest.mark.usefixtures("sample_tree"),
]
CHANGES = [
    ("alerts", "silence", "breaker_open"),
    ("breaker", "reset"),
    ("caches", "clear"),
    ("caches", "clear", "--l1"),
    ("caches", "warm-up"),
    ("scheduler", "pause"),
    ("scheduler", "resume", "daily_collect"),
    ("scheduler", "run", "monthly_collect"),
]


@pytest.fixture(autouse=True)
def _schedules() -> None:
    sync_schedules()


def said(admin: APIClient, address: str) -> Any:
    return admin.get(f"/api/admin/{address}").json()["data"]


def open_breaker() -> None:
    breaker.record_refusal(CollectionError.UNAUTHORIZED)


# --- What all of them have in common ----------------------------------------------------------------


@pytest.mark.parametrize("command", CHANGES, ids=lambda command: " ".join(command[:2]))
def test_a_change_is_asked_for_and_logged(
    command: tuple[str, ...], written_log: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO(""))
    refused = run(*command)
    assert (refused.code, refused.out) == (1, "")
    assert "? " in refused.err.replace("\n", " ")
    assert "Nothing was changed." in refused.err
    assert [line for line in written_log() if line["logger"] == "collector.audit"] == []
    assert_nothing_started()
    if command[1] == "resume":
        run("scheduler", "pause", "daily_collect", "--yes")
    if command == ("breaker", "reset"):
        open_breaker()
    assert run(*command, "--yes", "--json").code == 0
    line = [line for line in written_log() if line["logger"] == "collector.audit"][-1]
    assert line["subcommand"] == command[1]
    assert line["os_user"]
    assert "manage.py" in line.values()


@pytest.mark.parametrize(
    "arguments",
    [
        ("alerts",),
        ("alerts", "silence"),
        ("alerts", "silence", "nonsense"),
        ("alerts", "silence", "empty_streak:nonsense"),
        ("alerts", "silence", "queue_stuck:hot"),
        ("alerts", "silence", "queue_stuck", "--reason", "a\x1bb"),
        ("alerts", "silence", "queue_stuck", "--reason", "x" * 201),
        ("alerts", "silence", "breaker_open", "--hours", "0"),
        ("alerts", "silence", "breaker_open", "--hours", "721"),
        ("alerts", "history", "--limit", "1001"),
        ("breaker", "open"),
        ("caches", "warm-up", "--limit", "10001"),
        ("caches", "warm-up", "--category", "nothing like it"),
        ("caches", "warm-up", "--cancel-on-exit"),
        ("scheduler", "pause", "tick"),
        ("scheduler", "run"),
        ("scheduler", "run", "all"),
        ("scheduler", "run", "\x00день"),
    ],
)
def test_bad_arguments_are_told_as_json(arguments: tuple[str, ...]) -> None:
    ended = run(*arguments, "--json")
    assert (ended.code, ended.err, ended.result["error"]) == (2, "", "VALIDATION_ERROR")


# --- alerts -----------------------------------------------------------------------------------------


def test_all_rules_are_listed_also_when_all_is_well(admin: APIClient) -> None:
    lines = run("alerts", "list").out.splitlines()
    keys = [line.split()[0] for line in lines[1 : lines.index("")]]
    assert list(dict.fromkeys(key.partition(":")[0] for key in keys)) == list(AlertRule.values)
    assert "empty_streak:hot" in keys
    assert lines[-2:] == ["Not evaluated yet.", "No channel is configured: notices are sent to nobody."]
    assert run("alerts", "list", "--json").result == said(admin, "alerts/rules")


def test_an_alert_is_listed_and_kept_in_the_history(admin: APIClient) -> None:
    open_breaker()
    evaluation.check_by_hand()
    [line] = [one for one in run("alerts", "list").out.splitlines() if one.startswith("breaker_open")]
    assert "Firing" in line
    assert "COLLECT_SERVICE_API_KEY" in line
    told = run("alerts", "history", "--json").result
    assert told == said(admin, "alerts/history")
    assert "breaker_open" in run("alerts", "history").out


def test_a_rule_is_silenced_before_it_fires_and_until_that_is_ended(admin: APIClient) -> None:
    given = ("queue_stuck", "--hours", "2", "--reason", " A long backfill ", "--yes")
    told = run("alerts", "silence", *given, "--json").result
    [rule] = [one for one in said(admin, "alerts")["alerts"] if one["rule"] == "queue_stuck"]
    assert (rule["status"], rule["silenced_until"]) == ("silenced", told["silenced_until"])
    assert (told["rule_name"], told["silenced_by"]) == ("queue_stuck", "manage.py")
    assert told["reason"] == "A long backfill"
    ended = run("alerts", "unsilence", "queue_stuck", "--yes")
    assert ended.out == "Ended the silence of queue_stuck.\n"
    assert run("alerts", "unsilence", "queue_stuck") == Ended(0, "queue_stuck is not silenced.\n", "")


def test_one_data_set_of_a_rule_is_silenced() -> None:
    ended = run("alerts", "silence", "empty_streak:hot", "--yes")
    assert ended.out.startswith("Silenced empty_streak (hot) until ")
    assert run("alerts", "unsilence", "empty_streak").out == "empty_streak is not silenced.\n"
    ended = run("alerts", "unsilence", "empty_streak:hot", "--yes", "--json")
    assert ended.result == {"rule_name": "empty_streak", "action": "hot", "was_silenced": True}


def test_a_test_notice_goes_to_every_channel(settings: Any) -> None:
    ended = run("alerts", "test", "--yes", "--json")
    assert (ended.code, ended.result["error"]) == (1, "CONFLICT")  # none is configured
    settings.ALERT_WEBHOOK_URL = "http://127.0.0.1:1/alerts"
    ended = run("alerts", "test", "--yes", "--json")
    [channel] = ended.result["channels"]
    assert (ended.code, channel["channel"], channel["is_delivered"]) == (1, "webhook", False)
    assert channel["reason"]
    assert "not delivered" in run("alerts", "test", "--yes").out
    [row] = [line for line in run("alerts", "list").out.splitlines() if line.startswith("webhook")]
    assert channel["reason"] in row


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("empty_streak:nope",), "is unknown: use one of empty_streak, empty_streak:high, "),
        (("breaker_open:hot",), "the rule has no data sets, use breaker_open"),
        (("nope:hot",), "is unknown: use one of low_success_rate, "),
        (("queue_stuck", "--reason", "x" * 201), "at most 200 printable characters"),
    ],
)
def test_a_refused_rule_or_reason_says_what_is_allowed(arguments: tuple[str, ...], told: str) -> None:
    assert told in run("alerts", "silence", *arguments).err


def test_an_alert_without_a_reading_says_so() -> None:
    open_breaker()
    evaluation.check_by_hand()
    named_collection("alert_checks").drop()  # as it is just after the upgrade
    [line] = [one for one in run("alerts", "list").out.splitlines() if one.startswith("breaker_open")]
    assert "Firing" in line
    assert line.endswith("The rule has not been evaluated yet.")


# --- breaker ----------------------------------------------------------------------------------------


def test_the_breaker_is_shown_and_reset(admin: APIClient) -> None:
    assert run("breaker", "show").out.startswith("Circuit breaker of the collection service: closed.\n")
    open_breaker()
    text = run("breaker", "show").out
    assert text.startswith("Circuit breaker of the collection service: open.\n")
    assert "Reason: unauthorized, since " in text
    assert "Next probe: " in text
    told, answer = run("breaker", "show", "--json").result["breakers"], said(admin, "circuit-breakers")
    assert told[0].keys() == answer["breakers"][0].keys()
    assert told[0]["reason"] == "unauthorized"
    told = run("breaker", "reset", "--yes", "--json").result
    assert told == said(admin, "circuit-breakers") | {"changed": True}
    assert breaker.read_snapshot().state == "closed"


# --- caches -----------------------------------------------------------------------------------------


def test_the_caches_are_counted_and_cleared(admin: APIClient) -> None:
    get_or_build("tests", "field", lambda: Built(build_lasting_entry(b"{}", fresh_seconds=60)))
    told, answer = run("caches", "show", "--json").result, said(admin, "cache/stats")
    assert told["l2"] == answer["l2"]
    assert told["l2"]["entries"] > 0
    assert run("caches", "show").out.startswith(f"Shared cache (Redis): {told['l2']['entries']} entries in ")
    epoch = get_redis().get(EPOCH_KEY)
    assert run("caches", "clear", "--l1", "--yes").code == 0
    assert get_redis().get(EPOCH_KEY) == epoch
    assert run("caches", "clear", "--yes").out == "The caches were cleared.\n"
    assert run("caches", "show", "--json").result["l2"]["entries"] == 0


def test_a_warm_up_is_a_sync_task() -> None:
    given = ("--limit", "10", "--granularity", "month", "--category", "类目1001", "--action", "hot")
    told = run("caches", "warm-up", *given, "--yes", "--json").result
    stored = the_run()
    assert told["id"] == str(stored["_id"])
    assert (stored["task_id"], stored["requested_by"]) == ("cache_warmup", "manage.py")
    assert (stored["parameters"]["cat_ids"], stored["parameters"]["limit"]) == (["1001"], 10)
    cancelled = run("sync_tasks", "cancel", told["id"], "--json").result
    assert cancelled["progress"]["total"] == 0  # the limit is no number of records


# --- scheduler --------------------------------------------------------------------------------------


def test_the_schedules_are_listed_with_their_runs(admin: APIClient) -> None:
    run("scheduler", "run", "monthly_collect", "--yes")
    titles, *rows = run("scheduler", "list").out.splitlines()
    assert titles.split() == ["name", "when", "state", "last", "run", "outcome", "next", "run"]
    assert len(rows) == 7
    [monthly] = [row for row in rows if row.startswith("monthly_collect")]
    assert "Running" in monthly
    told, answer = run("scheduler", "list", "--json").result, said(admin, "scheduler/status")
    assert told["schedules"] == answer["schedules"]
    assert told["pause"] == answer["pause"]


def test_all_schedules_are_paused_and_resumed(admin: APIClient) -> None:
    told = run("scheduler", "pause", "--yes", "--json").result
    assert told == {"name": "all", "changed": True, **said(admin, "scheduler/status")["pause"]}
    assert told["paused"]
    assert "All schedules are paused, by manage.py at " in run("scheduler", "list").out
    assert run("scheduler", "resume", "all", "--yes").out == "The schedules run again.\n"
    assert not said(admin, "scheduler/status")["pause"]["paused"]


def test_one_schedule_is_paused_and_resumed(admin: APIClient) -> None:
    def paused() -> list[str]:
        return [one["name"] for one in said(admin, "scheduler/status")["schedules"] if one["paused"]]

    told = run("scheduler", "pause", "daily_collect", "--yes", "--json").result
    assert told == {"name": "daily_collect", "paused": True, "changed": True}
    assert paused() == ["daily_collect"]
    assert run("scheduler", "resume", "daily_collect", "--yes").out == "Resumed daily_collect.\n"
    assert paused() == []


def test_what_is_still_paused_after_a_resume_is_said() -> None:
    run("scheduler", "pause", "daily_collect", "--yes")
    told = run("scheduler", "resume", "--yes")
    assert told.out.endswith("\nStill paused by name: daily_collect.\n")
    run("scheduler", "pause", "--yes")
    told = run("scheduler", "resume", "daily_collect", "--yes")
    assert "\nIt does not run yet. All schedules are paused, by manage.py at " in told.out
    assert run("scheduler", "resume", "daily_collect", "--yes", "--json").result["still_paused"] == [
        "daily_collect"
    ]
    [daily] = [row for row in run("scheduler", "list").out.splitlines() if row.startswith("daily_collect")]
    assert daily.split()[-1] == "-"  # no next run
    assert run("scheduler", "resume", "--yes", "--json").result["still_paused"] == []


def test_nothing_starts_while_migrations_are_missing() -> None:
    [newest] = MigrationRecorder.Migration.objects.filter(app="mengla").order_by("-id")[:1]
    newest.delete()
    try:
        ended = run("scheduler", "run", "daily_collect", "--yes")
    finally:
        newest.save()
    assert (ended.code, ended.out) == (1, "")
    assert "python manage.py migrate" in ended.err
    assert_nothing_started()


def test_a_schedule_runs_now_also_while_it_is_paused() -> None:
    assert run("scheduler", "run", "yearly_collect", "--dry-run", "--json").result["to_collect"] == 10
    assert stored_runs() == []
    run("scheduler", "pause", "--yes")
    ended = run("scheduler", "run", "yearly_collect", "--yes", "--json")
    assert (ended.code, ended.result["task_id"], ended.result["trigger"]) == (0, "yearly_collect", "manual")
    again = run("scheduler", "run", "yearly_collect", "--yes", "--json")
    assert (again.code, again.result["error"]) == (1, "CONFLICT")
