"""`manage.py remove_duplicates`: counts or asks, says what it did, takes nothing else."""

from __future__ import annotations

import io
import json
import sys
from datetime import timedelta
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from apps.core.storage.mongo import named_collection
from tests.mengla.former.duplicate_support import BEGIN, LEGACY, changed_meanwhile, keys, put

pytestmark = [pytest.mark.django_db, pytest.mark.mongo, pytest.mark.redis]

# --- The command ---------------------------------------------------------------------------------------


def run(*arguments: str) -> tuple[int, str, str]:
    out, err = io.StringIO(), io.StringIO()
    try:
        call_command("remove_duplicates", *arguments, stdout=out, stderr=err)
    except SystemExit as ended:
        return int(ended.code or 0), out.getvalue(), err.getvalue()
    return 0, out.getvalue(), err.getvalue()


def test_a_dry_run_only_counts() -> None:
    put()
    put(updated_at=BEGIN + timedelta(days=1))
    code, out, err = run("--collection", LEGACY, "--dry-run")
    assert code == 0
    assert "Dry run, nothing deleted. legacy_data: 1 duplicates in 1 groups." in out
    assert "hot" in out
    assert "Duplicates: 1" in err
    assert len(keys()) == 2


@pytest.mark.parametrize(("reply", "code", "left"), [("yes\n", 0, 1), ("", 1, 2), ("y\n", 1, 2)])
def test_it_asks_before_it_deletes(reply: str, code: int, left: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO(reply))
    put()
    put(updated_at=BEGIN + timedelta(days=1))
    got, _, err = run("--collection", LEGACY)
    assert (got, len(keys())) == (code, left)
    assert "This deletes 1 duplicates in 1 groups of legacy_data. It cannot be undone." in err


def test_nothing_is_asked_when_there_is_nothing_to_delete() -> None:
    put()
    assert run("--collection", LEGACY)[0] == 0


@pytest.mark.parametrize("option", ["--yes", "--apply"])
def test_the_command_deletes_without_asking(option: str, written_log: Any) -> None:
    put()
    kept = put(updated_at=BEGIN + timedelta(days=1))
    code, out, err = run("--collection", LEGACY, option, "--json")
    assert code == 0
    assert ("--apply is now called --yes" in err) is (option == "--apply")
    told = json.loads(out)
    [example] = told.pop("examples")
    assert told == {
        "collection": LEGACY,
        "applied": True,
        "is_dry_run": False,
        "groups": 1,
        "duplicates": 1,
        "deleted": 1,
        "left_alone": 0,
    }
    assert (example["catId"], example["period"], example["kept"]) == ("1001", "202506", str(kept))
    assert keys() == {kept}
    [line] = [line for line in written_log() if line["event"] == "duplicates_removed"]
    assert (line["requested_by"], line["deleted"]) == ("manage.py", 1)


def test_the_command_says_when_something_changed_meanwhile(monkeypatch: pytest.MonkeyPatch) -> None:
    put()
    kept = put(updated_at=BEGIN + timedelta(days=1))
    changed_meanwhile(monkeypatch, lambda: named_collection(LEGACY).delete_one({"_id": kept}))
    code, out, _ = run("--collection", LEGACY, "--yes")
    assert code == 3
    assert "changed meanwhile and were not deleted. Run the command again." in out


def test_many_groups_are_not_all_listed() -> None:
    for number in range(25):
        for _ in range(2):
            put(cat_id=str(2000 + number))
    _, out, _ = run("--collection", LEGACY, "--dry-run")
    assert "... and 5 more groups." in out


@pytest.mark.parametrize("name", ["", "nothing", "system.views", "a\x00b", "$cmd", "x" * 500, "a\nb"])
def test_names_that_are_no_collection_are_bad_arguments(name: str) -> None:
    try:
        code, _, err = run("--collection", name)
    except CommandError as error:
        assert "--collection" in str(error)
    else:
        assert (code, bool(err)) == (2, True)
