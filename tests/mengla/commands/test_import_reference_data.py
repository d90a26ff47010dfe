"""`manage.py import_reference_data` at the command line; what is imported is tested beside the service."""

from __future__ import annotations

import io
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.conf import settings

from apps.core.storage.mongo import collection_of, named_collection, utc_now
from apps.mengla.models import Record
from tests.integration.waiting import wait_until
from tests.mengla.commands.support import Ended, run
from tests.mengla.former.reference_support import Documents, make, reference_source, stored
from tests.programs import ROOT

pytestmark = [pytest.mark.django_db, pytest.mark.mongo, pytest.mark.redis]


@pytest.fixture
def source(db: None) -> Iterator[Documents]:
    """The collection of the reference program, empty."""
    with reference_source() as documents:
        yield documents


def names(source: Documents) -> list[str]:
    return ["--uri", settings.MONGO_URI, "--database", source.database.name, "--collection", source.name]


def copy(source: Documents, *arguments: str, stderr: io.StringIO | None = None) -> Ended:
    return run("import_reference_data", *names(source), *arguments, stderr=stderr)


# --- Results --------------------------------------------------------------------------------------


def test_everything_imported_is_done(source: Documents) -> None:
    source.insert_many([make(number) for number in range(5)])
    ended = copy(source, "--json")
    assert ended.code == 0
    assert ended.result == {
        **{"read": 5, "imported": 5, "kept": 0, "skipped": {}, "unreadable": {}, "records": 5, "lost": 0},
        **{"unreadable_documents": [], "source_count": 5, "is_verified": True},
        **{"was_resumed": False, "is_dry_run": False},
    }
    assert len(stored()) == 5


def test_an_empty_source_is_done() -> None:
    with reference_source() as source:
        ended = copy(source, "--json")
    assert (ended.code, ended.result["read"]) == (0, 0)


def test_the_summary_for_people_and_the_progress_beside_it(source: Documents) -> None:
    source.insert_many([make(0), make(1, data=None), make(2, timest="2025-13\x1b[31m")])
    ended = copy(source)
    assert ended.code == 3  # one could not be read
    lines = ended.out.splitlines()
    assert lines[0] == "Read 3 documents: 1 imported, 0 kept, 1 skipped, 1 unreadable; 1 records written."
    assert lines[1:3] == ["  skipped, empty answer: 1", "  unreadable, unreadable period: 1"]
    assert lines[3].endswith("unreadable period: '2025-13\\x1b[31m'")
    assert ended.err == "Importing: 3/3  1 imported, 0 kept, 1 skipped, 1 unreadable\n"


def test_a_dry_run_writes_nothing_and_says_the_same(source: Documents) -> None:
    source.insert_many([make(number) for number in range(5)])
    copy(source)
    collection_of(Record).delete_one({"_id": "high:1000:month:202506"})
    collection_of(Record).update_one(
        {"_id": "high:1001:month:202506"}, {"$set": {"collected_at": utc_now() - timedelta(days=30)}}
    )
    before, journals = stored(), list(named_collection("mengla_imports").find())
    ended = copy(source, "--dry-run", "--json")
    foretold = ended.result
    assert (ended.code, foretold["is_dry_run"]) == (0, True)
    assert (foretold["read"], foretold["imported"], foretold["kept"]) == (5, 2, 3)
    assert copy(source, "--dry-run").out == (
        "Dry run, nothing written. Read 5 documents: 2 imported, 3 kept, 0 skipped, 0 unreadable; "
        "2 records to write.\n"
    )
    assert stored() == before
    assert list(named_collection("mengla_imports").find()) == journals
    assert copy(source, "--json").result["imported"] == foretold["imported"]


def test_restart_forgets_where_it_stopped(source: Documents) -> None:
    source.insert_many([make(number) for number in range(4)])
    copy(source, "--batch-size", "2")
    for arguments, was_resumed in (((), True), (("--restart",), False)):
        named_collection("mengla_imports").update_many({}, {"$set": {"is_done": False}})
        assert copy(source, *arguments, "--json").result["was_resumed"] is was_resumed


def test_the_address_may_come_from_standard_input(source: Documents, monkeypatch: pytest.MonkeyPatch) -> None:
    source.insert_one(make(0))
    monkeypatch.setattr("sys.stdin", io.StringIO(f"{settings.MONGO_URI}\n"))
    ended = run("import_reference_data", "--uri", "-", *names(source)[2:], "--json")
    assert (ended.code, ended.result["imported"]) == (0, 1)


# --- Failures and bad arguments -------------------------------------------------------------------


def test_a_source_that_does_not_answer_is_a_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("apps.mengla.former.reference_source._CONNECT_TIMEOUT_MS", 300)
    ended = run("import_reference_data", "--uri", "mongodb://user:secret-word@127.0.0.1:1/")
    assert (ended.code, ended.out) == (1, "")
    assert ended.err.startswith("The source 127.0.0.1:1/industry_monitor.mengla_data cannot be read")
    assert "secret-word" not in ended.err


@pytest.mark.parametrize(
    "arguments",
    [
        (),
        ("--uri",),
        ("--uri", ""),
        ("--uri", "secret-word"),
        ("--uri", "http://secret-word@127.0.0.1/"),
        ("--uri", "mongodb://user:secret-word@@host:27017"),
        ("--uri", "mongodb://secret-word\x00"),
        ("--uri", "mongodb://secret-word\udcff"),
        ("--uri", "mongodb://" + "h" * 10_000),
        ("--uri", "mongodb://127.0.0.1", "--database", ""),
        ("--uri", "mongodb://127.0.0.1", "--database", "база/$"),
        ("--uri", "mongodb://127.0.0.1", "--collection", "system\x00"),
        ("--uri", "mongodb://127.0.0.1", "--collection", "c" * 1000),
        ("--uri", "mongodb://127.0.0.1", "--batch-size", "0"),
        ("--uri", "mongodb://127.0.0.1", "--batch-size", "10001"),
        ("--uri", "mongodb://127.0.0.1", "--batch-size", "１０"),
        ("--uri", "mongodb://127.0.0.1", "--force"),
        ("--uri", "mongodb://127.0.0.1", "mengla_data"),
    ],
)
def test_bad_arguments_are_refused_without_the_secret(arguments: tuple[str, ...]) -> None:
    ended = run("import_reference_data", *arguments)
    assert (ended.code, ended.out) == (2, "")
    last_line = ended.err.splitlines()[-1]
    assert 0 < len(last_line) < 400
    assert "secret-word" not in ended.err


# --- Stopped --------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_stopped_import_is_gone_on_with(source: Documents, number: signal.Signals) -> None:
    source.insert_many([make(number) for number in range(3000)])
    journal = named_collection("mengla_imports")
    environment = {**os.environ, "MONGO_DB": collection_of(Record).database.name}
    command = [sys.executable, "manage.py", "import_reference_data", *names(source), "--batch-size", "1"]
    with subprocess.Popen(
        command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        wait_until(
            lambda: journal.find_one({"counts.read": {"$gte": 5}}), timeout_seconds=60, what="it has begun"
        )
        process.send_signal(number)
        out, err = process.communicate(timeout=60)
    assert (process.returncode, out) == (1, "")
    assert "Run the command again to continue from here." in err
    assert f"Stopped by {number.name}." in err
    assert "Traceback" not in err
    assert 0 < len(stored()) < 3000
    result: dict[str, Any] = copy(source, "--json").result
    assert (result["was_resumed"], result["read"], result["is_verified"]) == (True, 3000, True)
    assert len(stored()) == 3000
