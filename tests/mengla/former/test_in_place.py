"""The data of the former program, carried over in its own database and served by the API."""

from __future__ import annotations

import io
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest
from django.core.management import call_command
from django.core.management.base import CommandError
from django.core.management.commands.migrate import Command as DjangosMigrate
from django.test import Client
from pymongo.collection import Collection as MongoCollection
from pymongo.errors import AutoReconnect, OperationFailure
from rest_framework.test import APIClient

from apps.auth import services as auth_services
from apps.auth.choices import TokenScope
from apps.core.management import database_state
from apps.mengla.former import in_place
from tests import former
from tests.conftest import bearer_client
from tests.integration.waiting import wait_until
from tests.mengla.commands.support import Ended, run
from tests.mengla.former.former_support import FormerDatabase, former_database
from tests.programs import ROOT, run_python

pytestmark = [pytest.mark.django_db, pytest.mark.mongo, pytest.mark.redis]


@pytest.fixture
def database(db: None, settings: Any) -> Iterator[FormerDatabase]:
    with former_database(settings) as opened:
        yield opened


@pytest.fixture
def empty_database(db: None, settings: Any) -> Iterator[FormerDatabase]:
    with former_database(settings, is_filled=False) as opened:
        yield opened


def move(*arguments: str) -> Ended:
    return run("import_reference_data", "--in-place", *arguments)


def contents(database: FormerDatabase) -> dict[str, Any]:
    """Every document and index of the database."""
    return {
        name: (list(database[name].find()), database[name].index_information())
        for name in sorted(database.list_collection_names(filter={"type": "collection"}))
    }


# --- Recognised -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "arguments",
    [
        ("migrate",),
        ("serve", "--port", "1"),
        ("qcluster",),
        ("sync_schedules",),
        ("ensure_admin",),
        ("coverage", "--from", "2025-06-01", "--to", "2025-06-02"),
        ("clear_storage", "--yes"),
        ("collect", "day"),
        ("import_reference_data", "--uri", "mongodb://127.0.0.1:1"),
    ],
    ids=lambda arguments: arguments[0],
)
def test_every_command_recognises_it_and_changes_nothing(
    database: FormerDatabase, arguments: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    before = contents(database)
    monkeypatch.setattr("os.execve", lambda *_: pytest.fail("the web server was started"))
    try:
        ended = run(*arguments)
    except CommandError as error:
        ended = Ended(1, "", str(error))
    assert (ended.code, ended.out) == (1, "")
    assert "holds the data of the former program (about 44 documents" in ended.err
    assert "python manage.py import_reference_data --in-place" in ended.err
    assert "Traceback" not in ended.err
    assert contents(database) == before


def test_diagnose_says_so_too(database: FormerDatabase) -> None:
    assert "import_reference_data --in-place" in run("diagnose").out


def test_an_empty_collection_with_its_indexes_is_recognised(database: FormerDatabase) -> None:
    database.mengla_data.delete_many({})
    with pytest.raises(CommandError, match="--in-place"):
        call_command("migrate")
    assert move().code == 0
    assert database.mengla_data.index_information().keys().isdisjoint({"idx_main_query"})


def test_a_database_without_it_is_told(empty_database: FormerDatabase) -> None:
    for arguments in ((), ("--dry-run",)):
        ended = move(*arguments)
        assert (ended.code, ended.out) == (1, "")
        assert ended.err == "This database holds no data of the former program.\n"
    assert empty_database.list_collection_names() == []


def test_other_collections_under_our_names_are_told_and_renamed(database: FormerDatabase) -> None:
    database.categories_category.insert_one({"name": "theirs"})
    database.mengla_data_former.insert_one({"of": "an earlier try"})
    database.auth_user_groups.insert_one({"of": "a table between two others"})
    assert move("--dry-run", "--json").result["kept"] == [
        {"name": "auth_user_groups", "kept_as": "auth_user_groups_former"},
        {"name": "categories_category", "kept_as": "categories_category_former"},
        {"name": "mengla_data", "kept_as": "mengla_data_former_2"},
    ]
    assert move().code == 0
    assert database.categories_category_former.count_documents({}) == 1
    assert database.mengla_data_former_2.count_documents({}) == 44


# --- Carried over ---------------------------------------------------------------------------------


def test_a_dry_run_changes_nothing_and_foretells_the_counts(database: FormerDatabase) -> None:
    before = contents(database)
    foretold = move("--dry-run", "--json")
    assert contents(database) == before
    result = foretold.result
    assert (result["migrations"] > 30, result["is_finished"], result["problem"]) == (True, False, None)
    assert result["kept"] == [{"name": "mengla_data", "kept_as": "mengla_data_former"}]
    done = move("--json").result
    for name in ("read", "imported", "records", "skipped", "unreadable"):
        assert result["figures"]["mengla_data"][name] == done["figures"]["mengla_data_former"][name]
    assert result["run_logs"] == done["run_logs"]
    text = move("--dry-run").out
    assert text.startswith("The data of the former program was carried over at ")


def test_all_figures_are_served_equal(database: FormerDatabase) -> None:
    documents = list(database.mengla_data.find())
    ended = move("--json")
    assert (ended.code, ended.result["is_finished"]) == (0, True)
    assert ended.result["figures"]["mengla_data_former"]["is_verified"]
    client = _reader()
    served = 0
    for document in documents:
        figures = former.figures_of(document)
        if figures is None:
            continue
        first, last = _bounds(document["period_key"])
        query = {
            "action": document["action"],
            "primaryCatId": document["cat_id"],
            "dateType": document["granularity"],
            "timest": last,
            **({} if first == last else {"starRange": first, "endRange": last}),
        }
        response = client.get("/api/mengla", query)
        assert response.status_code == 200, (query, response.json())
        assert _without_wrapping(document["action"], response.json()["data"]) == figures
        served += 1
    assert served == 38
    # The old collection is kept, and nothing in it expires.
    assert list(database.mengla_data_former.find()) == documents
    indexes = database.mengla_data_former.index_information().values()
    assert not [index for index in indexes if "expireAfterSeconds" in index]


def test_the_logs_become_sync_tasks(database: FormerDatabase, settings: Any) -> None:
    [known] = database.sync_task_logs.find()
    odd = {"task_id": "their_task", "task_name": "名称\x1b[31m", "status": "RUNNING", "trigger": "startup"}
    started = known["started_at"]
    database.sync_task_logs.insert_many(
        [
            odd | {"_id": "a text", "started_at": started, "updated_at": started, "progress": None},
            odd | {"status": "COMPLETED", "started_at": started, "progress": {"total": 2, "completed": 2}},
            odd | {"status": "COMPLETED", "started_at": started.replace(year=2020)},
            odd | {"status": "PAUSED"},
            {"status": "FAILED", "started_at": started},
        ]
    )
    logs = move("--json").result["run_logs"]
    assert logs == {
        "read": 6,
        "imported": 3,
        "known": 0,
        "unended": 1,
        "left_out": {"past retention": 1, "unknown status": 1, "no task": 1},
    }
    client = _reader(TokenScope.ADMIN)
    run_id = str(known["_id"])
    shown = client.get(f"/api/sync-tasks/{run_id}").json()["data"]
    assert (shown["task_id"], shown["status"], shown["trigger"]) == ("mengla_single_day", "FAILED", "manual")
    assert {name: shown["progress"][name] for name in ("total", "completed", "failed", "active")} == {
        **{"total": 600, "completed": 3, "failed": 0, "active": 0}
    }
    assert shown["error_message"] == known["error_message"]
    listed = client.get("/api/sync-tasks").json()["data"]["tasks"]
    assert sorted((one["task_id"], one["status"]) for one in listed) == [
        ("mengla_single_day", "FAILED"),
        ("their_task", "COMPLETED"),
        ("their_task", "FAILED"),
    ]
    unended = next(one for one in listed if "It was running" in (one["error_message"] or ""))
    assert (unended["task_name"], unended["finished_at"] is not None) == ("名称\\x1b[31m", True)
    assert client.post(f"/api/sync-tasks/{run_id}/retry").status_code == 409
    browser = _superuser()
    for path in ("/admin/sync_tasks/synctask/", f"/admin/sync_tasks/synctask/{run_id}/change/"):
        page = browser.get(path)
        assert page.status_code == 200
        assert run_id in page.content.decode()


def test_what_stays_behind_is_told(database: FormerDatabase) -> None:
    statuses = ("pending", "PENDING", "RUNNING", "COMPLETED", "FAILED", None)
    database.crawl_jobs.insert_many([{"status": status} for status in statuses])
    database.crawl_subtasks.insert_one({"status": "SUCCESS"})
    database.panel_config.insert_one({"modules": [], "layout": {}})
    database.issued_tokens.insert_one({"label": "dash\x1bboard", "token": "secret-word", "expires_at": None})
    ended = move()
    assert "crawl_jobs: 4 open jobs are not moved (PENDING 2, - 1, RUNNING 1)." in ended.out
    assert "python manage.py fill" in ended.out
    assert "import_panel_config --collection panel_config" in ended.out
    assert "dash\\x1bboard  never" in ended.out
    assert "secret-word" not in ended.out + ended.err
    assert "crawl_subtasks" not in ended.out
    assert database.mengla_collections.count_documents({}) == 0


# --- Killed and gone on with ----------------------------------------------------------------------


class Killed(BaseException):
    """Stands in for SIGKILL: the product's code does not catch it."""


def _kill_at(monkeypatch: pytest.MonkeyPatch, name: str, call: int) -> None:
    """Raise instead of the given call of a method of PyMongo's collections."""
    real: Any = getattr(MongoCollection, name)
    calls = 0

    def counted(self: Any, *arguments: Any, **options: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls == call:
            raise Killed
        return real(self, *arguments, **options)

    monkeypatch.setattr(MongoCollection, name, counted)


@pytest.mark.parametrize(
    ("name", "call"),
    [
        ("rename", 1),
        ("create_indexes", 30),
        ("bulk_write", 4),
    ],
)
def test_a_killed_move_goes_on(
    database: FormerDatabase, monkeypatch: pytest.MonkeyPatch, name: str, call: int
) -> None:
    monkeypatch.setattr("apps.mengla.former.import_lease._LOOK_SECONDS", 0.05)
    with monkeypatch.context() as patch, pytest.raises(Killed):
        _kill_at(patch, name, call)
        move("--batch-size", "10")
    for again in (
        lambda: call_command("migrate"),
        database_state.require_migrations,
    ):
        with pytest.raises(CommandError, match=r"not completely carried over yet.*--in-place"):
            again()
    ended = move("--json")
    assert (ended.code, ended.result["is_finished"]) == (0, True)
    assert database.mengla_data_former.count_documents({}) == 44
    assert database.mengla_data.count_documents({}) == 28
    assert database.sync_tasks.count_documents({}) == 1
    database_state.require_migrations()


def test_what_the_former_program_wrote_meanwhile_comes_too(
    database: FormerDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    late = database.mengla_data.find_one({"action": "high", "granularity": "month"}) or {}
    with monkeypatch.context() as patch, pytest.raises(Killed):
        _kill_at(patch, "drop_index", 1)
        move()
    late.pop("_id")
    database.mengla_data.insert_one(late | {"cat_id": "4200"})
    assert move().code == 0
    assert database.mengla_data_former_2.count_documents({}) == 1
    assert database.mengla_data.count_documents({"cat_id": "4200"}) == 1


def test_one_move_at_a_time(database: FormerDatabase, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("apps.mengla.former.import_lease._RENEWAL_SECONDS", 0.1)
    with in_place.moving():
        ended = move()
    assert (ended.code, ended.err) == (1, "The data is being carried over by another process.\n")
    assert database.mengla_data.count_documents({}) == 44


def test_a_failed_migration_is_one_message_that_names_the_command(
    database: FormerDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(MongoCollection, "create_indexes", _raise_outage)
        ended = move()
    assert (ended.code, ended.out) == (1, "")
    lines = ended.err.splitlines()
    assert lines[0].startswith("The migration ")
    assert lines[-1] == (
        "Wait until MongoDB responds. Then run again: python manage.py import_reference_data --in-place"
    )
    assert "secret-host" not in ended.err
    assert move().code == 0


def _raise_outage(*_arguments: Any, **_options: Any) -> None:
    raise AutoReconnect("secret-host")


def test_a_database_that_an_earlier_version_has_half_migrated(database: FormerDatabase) -> None:
    call_command(DjangosMigrate(), "auth", verbosity=0)
    database.create_collection("mengla_collections")
    with pytest.raises(CommandError, match="holds the data of the former program"):
        call_command("migrate")
    assert move("--json").result["kept"] == [{"name": "mengla_data", "kept_as": "mengla_data_former"}]
    database_state.require_migrations()


@pytest.mark.slow
def test_processes_killed_by_sigkill_go_on(database: FormerDatabase) -> None:
    environment = os.environ | {"MONGO_DB": database.name}
    command = ["manage.py", "import_reference_data", "--in-place"]
    with subprocess.Popen(
        [sys.executable, *command, "--batch-size", "1"],
        cwd=ROOT,
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    ) as process:
        # Texts as ids are ours.
        wait_until(
            lambda: database.mengla_data.count_documents({"_id": {"$type": "string"}}) > 3,
            timeout_seconds=60,
            what="the import has begun",
        )
        process.kill()
    refused = run_python("manage.py", "qcluster", env=environment)
    assert (refused.returncode, refused.stdout) == (1, "")
    assert "is not completely carried over yet" in refused.stderr
    ended = run_python(*command, "--json", env=environment, timeout_seconds=120)
    result = json.loads(ended.stdout)
    assert (ended.returncode, result["is_finished"]) == (0, True)
    assert result["figures"]["mengla_data_former"]["was_resumed"]
    assert database.mengla_data.count_documents({}) == 28
    migrated = run_python("manage.py", "migrate", env=environment)
    assert (migrated.returncode, "No migrations to apply" in migrated.stdout) == (0, True)


# --- Gone back, and come again --------------------------------------------------------------------


def mongosh(database: FormerDatabase, script: str) -> None:
    """Do what docs/moving.md tells to do in mongosh."""
    for name, method, argument in re.findall(r"^db\.(\w+)\.(\w+)\((.*)\)$", script, re.MULTILINE):
        if method == "renameCollection":
            database[name].rename(json.loads(argument))
        elif method == "dropIndex":
            database[name].drop_index(json.loads(argument))
        else:
            assert method == "createIndex", method
            database[name].create_index("expired_at", name="idx_ttl_expired", expireAfterSeconds=0)


def test_going_back_and_coming_again(database: FormerDatabase) -> None:
    page = (ROOT / "docs" / "moving.md").read_text("utf-8").partition("## Going back")[2]
    back, again = re.findall(r"```\n(db\..*?)```", page, re.DOTALL)
    documents = list(database.mengla_data.find())
    assert move().code == 0
    records = list(database.mengla_data.find())
    mongosh(database, back)
    assert list(database.mengla_data.find()) == documents
    before = contents(database)
    for arguments in (("coverage", "--from", "2025-06-01", "--to", "2025-06-02"), ("clear_storage", "--yes")):
        ended = run(*arguments)
        assert (ended.code, ended.out) == (1, "")
        assert "belongs to the former program or is in use by it" in ended.err
    for arguments in (("--in-place",), ("--in-place", "--dry-run"), ("--drop-former", "--yes")):
        assert run("import_reference_data", *arguments).code == 1
    with pytest.raises(CommandError, match="Going back"):
        database_state.require_migrations()
    assert contents(database) == before
    mongosh(database, again)
    database_state.require_migrations()
    assert list(database.mengla_data.find()) == records


def test_a_former_program_that_runs_again_beside_us_is_recognised(database: FormerDatabase) -> None:
    assert move().code == 0
    keys = [(name, 1) for name in ("action", "cat_id", "granularity", "period_key")]
    database.mengla_data.create_index(keys, name="idx_main_query", unique=True)
    with pytest.raises(CommandError, match="or is in use by it"):
        database_state.require_migrations()


@pytest.mark.slow
@pytest.mark.parametrize(
    "command",
    [("flush", "--noinput"), ("createsuperuser", "--noinput", "--username", "x", "--email", "x@example.com")],
    ids=lambda command: command[0],
)
def test_commands_of_django_recognise_it_too(database: FormerDatabase, command: tuple[str, ...]) -> None:
    before = contents(database)
    environment = os.environ | {"MONGO_DB": database.name}
    ended = run_python("manage.py", *command, env=environment)
    assert (ended.returncode, ended.stdout) == (1, "")
    assert "holds the data of the former program" in ended.stderr
    assert "Traceback" not in ended.stderr
    assert contents(database) == before
    assert run_python("manage.py", command[0], "--help", env=environment).returncode == 0


def test_a_view_under_our_name_is_told_before_anything_is_changed(database: FormerDatabase) -> None:
    database.create_collection("sync_tasks", viewOn="sync_task_logs")
    before = database.list_collection_names()
    for arguments in ((), ("--dry-run",)):
        ended = move(*arguments)
        assert ended.code == 1
        assert "These views have names that MongoDB collections need: sync_tasks." in ended.out + ended.err
    assert sorted(database.list_collection_names()) == sorted(before)


def test_a_user_without_rights_is_told_before_anything_is_changed(
    database: FormerDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_arguments: Any, **_options: Any) -> None:
        raise OperationFailure("not authorized on db", code=13, details={"codeName": "Unauthorized"})

    before = contents(database)
    with monkeypatch.context() as patch:
        patch.setattr(MongoCollection, "update_one", refuse)
        for arguments in ((), ("--dry-run",)):
            ended = move(*arguments)
            assert ended.code == 1
            assert "the role readWrite" in ended.out + ended.err
    assert contents(database) == before


# --- Dropped --------------------------------------------------------------------------------------


def test_nothing_is_dropped_before_the_move(database: FormerDatabase) -> None:
    before = contents(database)
    ended = run("import_reference_data", "--drop-former", "--yes")
    assert ended.code == 1
    assert "Nothing is deleted before" in ended.err
    assert contents(database) == before


def test_the_old_collections_are_dropped_when_confirmed(
    database: FormerDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    move()
    drop = ("import_reference_data", "--drop-former")
    assert run(*drop, "--dry-run", "--json").result["found"] == {
        "mengla_data_former": 44,
        "sync_task_logs": 1,
    }
    monkeypatch.setattr("sys.stdin", io.StringIO("no\n"))
    assert run(*drop).code == 1
    assert database.mengla_data_former.count_documents({}) == 44
    monkeypatch.setattr("sys.stdin", io.StringIO("yes\n"))
    ended = run(*drop)
    assert (ended.code, ended.out) == (0, "Deleted: mengla_data_former (44), sync_task_logs (1).\n")
    assert not {"mengla_data_former", "sync_task_logs"} & set(database.list_collection_names())
    assert database.mengla_data.count_documents({}) == 28
    assert move().code == 0
    assert run(*drop, "--json").result["found"] == {}


# --- Helpers --------------------------------------------------------------------------------------


def _reader(scope: TokenScope = TokenScope.READER) -> APIClient:
    issued = auth_services.create_token(label="tests", expires_hours=1, scope=scope, created_by="tests")
    return bearer_client(issued.token)


def _superuser() -> Client:
    from django.contrib.auth.models import User

    browser = Client()
    browser.force_login(User.objects.create_superuser("root", password="not a real one"))
    return browser


def _bounds(key: str) -> tuple[str, str]:
    first, _, last = key.partition(":")
    return first, last or first


def _without_wrapping(action: str, data: Any) -> Any:
    if action == "industryViewV2":
        return {name: part for name, part in data.items() if name != "secondaryCategories"}
    return data["list"] if isinstance(data, dict) else data
