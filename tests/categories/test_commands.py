from __future__ import annotations

import io
import json
import sys
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from pymongo.errors import ServerSelectionTimeoutError

from apps.categories import bulk, selectors, services
from tests.factories.categories import SAMPLE_PATH, load_sample, make_node, make_tree, store_tree

pytestmark = [pytest.mark.django_db, pytest.mark.mongo, pytest.mark.redis]


def run(*arguments: str) -> str:
    stdout = io.StringIO()
    call_command("import_categories", *arguments, stdout=stdout)
    return stdout.getvalue()


def failure_of(*arguments: str) -> str:
    """Run it, check that it exits with 1, return what it printed to stderr."""
    stderr = io.StringIO()
    with pytest.raises(SystemExit) as caught:
        call_command("import_categories", *arguments, stdout=io.StringIO(), stderr=stderr)
    assert caught.value.code == 1
    return stderr.getvalue()


def write(path: Path, tree: Any) -> str:
    path.write_text(json.dumps(tree), encoding="utf-8")
    return str(path)


def test_it_imports_and_says_what_it_did(tmp_path: Path) -> None:
    assert run(str(SAMPLE_PATH)) == "added 15, changed 0, removed 0, unchanged 0, total 15\n"
    tree = load_sample()
    tree[0]["monthGmv"] = 1.5
    tree.pop()
    assert run(write(tmp_path / "t.json", tree)) == "added 0, changed 1, removed 5, unchanged 9, total 10\n"
    assert selectors.build_tree() == tree


def test_a_dry_run_writes_nothing() -> None:
    assert run(str(SAMPLE_PATH), "--dry-run").startswith("Dry run, nothing written: added 15, ")
    assert selectors.list_all_ids() == []


@pytest.mark.parametrize("is_dry_run", [True, False])
def test_the_result_as_json(is_dry_run: bool) -> None:
    store_tree(make_tree(level1_count=1, child_count=1))
    arguments = [str(SAMPLE_PATH), "--json", *(["--dry-run"] if is_dry_run else [])]
    assert json.loads(run(*arguments)) == {
        "added": 15,
        "changed": 0,
        "removed": 2,
        "unchanged": 0,
        "total": 15,
        "is_dry_run": is_dry_run,
    }


def test_a_dash_reads_standard_input(monkeypatch: pytest.MonkeyPatch) -> None:
    content = b"\xef\xbb\xbf" + SAMPLE_PATH.read_bytes()
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(content)))
    assert run("-").startswith("added 15, ")
    assert selectors.build_tree() == load_sample()


def test_a_bad_file_prints_its_problems_and_fails(tmp_path: Path) -> None:
    tree = [*make_tree(level1_count=1, child_count=2), *({**make_node(n), "catId": "x"} for n in range(30))]
    path = write(tmp_path / "bad.json", tree)
    lines = failure_of(path).splitlines()
    assert lines[1] == "  file: [1].catId: must be a whole number, not a string"
    assert lines[-1] == "  file: and 10 more"
    assert len(lines) == 22
    assert selectors.list_all_ids() == []


def test_a_bad_file_as_json(tmp_path: Path) -> None:
    stdout = io.StringIO()
    with pytest.raises(SystemExit):
        call_command("import_categories", write(tmp_path / "bad.json", []), "--json", stdout=stdout)
    body = json.loads(stdout.getvalue())
    assert body["error"] == "VALIDATION_ERROR"
    assert body["fields"] == {"file": ["the file: has no categories"]}


@pytest.mark.parametrize("name", ["missing.json", ".", "x" * 5000, "a\0b"])
def test_a_missing_file_is_a_bad_argument(name: str, tmp_path: Path) -> None:
    with pytest.raises(CommandError) as caught:
        run(f"{tmp_path}/{name}")
    assert caught.value.returncode == 2


def test_no_argument_and_unknown_options_are_bad_arguments() -> None:
    for arguments in ([], [str(SAMPLE_PATH), "--dryrun"], [str(SAMPLE_PATH), "second"]):
        with pytest.raises(CommandError):
            run(*arguments)


def test_an_unreachable_database_is_told_in_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_args: Any, **_kwargs: Any) -> None:
        raise ServerSelectionTimeoutError("mongodb://user:secret@host")

    monkeypatch.setattr(bulk, "upsert_rows", fail)
    printed = failure_of(str(SAMPLE_PATH))
    assert "MongoDB" in printed
    assert "secret" not in printed


def test_caches_that_were_not_cleared_are_reported(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(services, "clear_all", lambda: False)
    assert run(str(SAMPLE_PATH), "--json").startswith("{")
    assert "Redis does not respond" in capsys.readouterr().err
