"""A database that is not ours, not migrated or half migrated is refused with one message."""

from __future__ import annotations

import io
import os
from collections.abc import Iterator
from typing import Any

import pytest
from django.core.management import call_command
from django.core.management.base import CommandError, OutputWrapper
from django.db.migrations.recorder import MigrationRecorder
from pymongo.collection import Collection as MongoCollection
from pymongo.errors import AutoReconnect, OperationFailure

from apps.core.management import database_state, servers
from tests.integration.waiting import wait_until
from tests.mengla.former.former_support import FormerDatabase, former_database
from tests.programs import run_python

pytestmark = [pytest.mark.django_db, pytest.mark.mongo, pytest.mark.redis]


@pytest.fixture
def database(db: None, settings: Any) -> Iterator[FormerDatabase]:
    """An empty database."""
    with former_database(settings, is_filled=False) as opened:
        yield opened


def migrate() -> str:
    """Run `migrate`; returns its message if it fails."""
    try:
        call_command("migrate", verbosity=0)
    except CommandError as error:
        return str(error)
    return ""


@pytest.mark.slow
@pytest.mark.parametrize("command", [("serve", "--port", "1"), ("qcluster",)], ids=lambda one: one[0])
def test_a_half_migrated_database_is_refused(database: FormerDatabase, command: tuple[str, ...]) -> None:
    call_command("migrate", "auth", verbosity=0)
    ended = run_python("manage.py", *command, env=os.environ | {"MONGO_DB": database.name})
    assert (ended.returncode, ended.stdout) == (1, "")
    [line] = ended.stderr.splitlines()
    assert line.startswith("CommandError: ")
    assert line.endswith(" migrations are not applied. Run: python manage.py migrate")


def test_a_migrated_database_is_accepted(db: None) -> None:
    database_state.require_migrations()


def test_one_missing_migration_is_enough(db: None) -> None:
    [newest] = MigrationRecorder.Migration.objects.filter(app="mengla").order_by("-id")[:1]
    newest.delete()
    try:
        with pytest.raises(CommandError, match="1 migrations are not applied"):
            database_state.require_migrations()
    finally:
        newest.save(force_insert=True)


def test_documents_of_another_program_are_recognised_before_anything_is_changed(
    database: FormerDatabase,
) -> None:
    database.alerts.insert_one({"of": "another program"})
    database.unrelated.insert_one({"of": "another program"})
    message = migrate()
    assert message.startswith("These MongoDB collections exist already")
    assert "another program: alerts. Nothing was changed." in message
    assert sorted(database.list_collection_names()) == ["alerts", "unrelated"]


@pytest.mark.parametrize(
    ("error", "reported", "advice"),
    [
        (
            OperationFailure("no", 13, {"codeName": "Unauthorized", "errmsg": "not authorized on x"}),
            "Unauthorized: not authorized on x",
            "Give the user of MONGO_URI the role readWrite",
        ),
        (
            OperationFailure("no", 86, {"codeName": "IndexKeySpecsConflict", "errmsg": "index\n\x1b[31m y"}),
            "IndexKeySpecsConflict: index\\n\\x1b[31m y",
            "Drop the index",
        ),
        (AutoReconnect("secret-host"), "does not respond (AutoReconnect)", "Wait until MongoDB responds."),
        (OperationFailure("odd", 999), "OperationFailure: odd", "Fix the cause of the error."),
    ],
    ids=["no right", "a conflicting index", "an outage", "anything else"],
)
def test_a_failure_is_one_message_and_can_be_repeated(
    database: FormerDatabase, monkeypatch: pytest.MonkeyPatch, error: Exception, reported: str, advice: str
) -> None:
    real: Any = MongoCollection.create_indexes
    calls = iter(range(1000))

    def fail_once(self: Any, *arguments: Any, **options: Any) -> Any:
        if next(calls) == 12:
            raise error
        return real(self, *arguments, **options)

    monkeypatch.setattr(MongoCollection, "create_indexes", fail_once)
    failed, applied, next_step = migrate().splitlines()
    assert failed.startswith("The migration ")
    assert reported in failed
    assert "secret-host" not in failed
    assert applied.endswith(" migrations were applied before and remain applied.")
    assert int(applied.split()[0]) == database.django_migrations.count_documents({})
    assert next_step.startswith(advice)
    assert next_step.endswith("Then run again: python manage.py migrate")
    if isinstance(error, AutoReconnect):  # once is enough: each of them repeats the same
        assert migrate() == ""
        database_state.require_migrations()


def test_an_index_of_another_form_is_told(database: FormerDatabase) -> None:
    database.mengla_collections.create_index("other", name="collection_due")
    message = migrate()
    assert "The migration mengla.0001_initial failed: IndexKeySpecsConflict" in message
    assert "collection_due" in message
    database.mengla_collections.drop_index("collection_due")
    assert migrate() == ""


def test_a_removed_index_need_not_be_there(database: FormerDatabase) -> None:
    """A migration that was killed after it removed an index begins again."""
    call_command("migrate", "mengla", "0005", verbosity=0)
    database.mengla_data.drop_index("record_period")
    assert migrate() == ""


def test_the_web_server_does_not_start_with_a_wrong_password(
    db: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only while MongoDB does not respond it starts without the check."""

    def refuse() -> None:
        raise OperationFailure(
            "Authentication failed.", code=18, details={"codeName": "AuthenticationFailed"}
        )

    def be_silent() -> None:
        raise AutoReconnect("secret-host")

    monkeypatch.setattr("apps.core.storage.mongo.ping", refuse)
    with pytest.raises(CommandError, match=r"AuthenticationFailed.*the role readWrite"):
        database_state.require_migrations_if_responding()
    monkeypatch.setattr("apps.core.storage.mongo.ping", be_silent)
    database_state.require_migrations_if_responding()


def test_a_silent_server_is_told_while_a_command_waits_for_it(monkeypatch: pytest.MonkeyPatch) -> None:
    answers = [AutoReconnect("secret-host"), AutoReconnect("secret-host"), None, AutoReconnect("secret-host")]

    def ping() -> None:
        if answers and (error := answers.pop(0)):
            raise error

    monkeypatch.setattr("apps.core.storage.mongo.ping", ping)
    monkeypatch.setattr(servers, "_LOOK_SECONDS", 0.01)
    stderr = io.StringIO()
    with servers.telling_of_outages(OutputWrapper(stderr)):
        wait_until(lambda: not answers, timeout_seconds=10, what="it has looked")
    assert stderr.getvalue() == ("MongoDB does not respond. Waiting for it; Ctrl-C stops the command.\n" * 2)
