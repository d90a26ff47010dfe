"""Rules for the files of the project: sizes, papers, commands, migrations."""

from __future__ import annotations

import ast
import os
import re
from collections.abc import Iterator
from io import StringIO
from pathlib import Path

import pytest
from django.core.management import call_command

from apps.core.errors import all_error_codes
from tests.contract.routes import PAPERS, api_routes
from tests.programs import ROOT

MAX_MODULE_LINES = 400
MAX_VIEW_LINES = 200
_SKIPPED_FOLDERS = {
    ".git",
    ".venv",
    ".local",
    ".hypothesis",
    ".import_linter_cache",
    ".mypy_cache",
    ".pytest_cache",
    ".ruff_cache",
    "__pycache__",
    "htmlcov",
    "staticfiles",
}
# Folders of the machines this was written on. Put together here, so that this file does not name them.
_MACHINE_PATHS = re.compile(
    "(?<![A-Za-z0-9_.}/-])/(" + "|".join(("work", "root", "tmp/lab", "Users")) + ")(?![A-Za-z0-9_-])"
)


def files(*folders: str, suffix: str = "") -> Iterator[Path]:
    """Every file of the project below these folders (all, when none is named)."""
    for folder in folders or (".",):
        for parent, names, file_names in os.walk(ROOT / folder):
            names[:] = [name for name in names if name not in _SKIPPED_FOLDERS]
            yield from (Path(parent, name) for name in sorted(file_names) if name.endswith(suffix))


def line_count(path: Path) -> int:
    return len(path.read_text().splitlines())


def test_no_module_is_too_long_to_read_in_one_sitting() -> None:
    modules = [path for path in files("apps", "config", "bin", suffix=".py") if "migrations" not in str(path)]
    too_long = {str(path): line_count(path) for path in modules if line_count(path) > MAX_MODULE_LINES}
    assert modules
    assert too_long == {}


def test_view_modules_are_thin() -> None:
    views = [
        path
        for path in files("apps", suffix=".py")
        if path.stem.startswith(("views", "webhooks")) or path.parent.name in ("views", "webhooks")
    ]
    assert len(views) >= 4
    assert {str(path): line_count(path) for path in views if line_count(path) >= MAX_VIEW_LINES} == {}


def test_the_main_url_module_only_includes() -> None:
    path = ROOT / "config/urls.py"
    assert line_count(path) < MAX_VIEW_LINES
    tree = ast.parse(path.read_text())
    for node in tree.body:
        assert isinstance(node, ast.Import | ast.ImportFrom | ast.Assign | ast.Expr), ast.unparse(node)
    names = {ast.unparse(node.func) for node in ast.walk(tree) if isinstance(node, ast.Call)}
    assert {name for name in names if not name.endswith(".as_view")} == {"path", "re_path", "include"}


def test_no_file_names_folders_of_a_developers_machine() -> None:
    found = []
    for path in files():
        try:
            text = path.read_text()
        except UnicodeDecodeError:
            continue
        found += [f"{path.relative_to(ROOT)}: {match.group()}" for match in _MACHINE_PATHS.finditer(text)]
    assert found == []


def test_scripts_can_be_run() -> None:
    scripts = [path for path in files("bin", ".ci") if path.suffix != ".py"]
    assert {path.name for path in scripts} >= {"quickstart", "test", "run", "lint", "types", "imports"}
    for path in scripts:
        assert os.access(path, os.X_OK), f"{path} is not executable"
        assert path.read_bytes().startswith(b"#!"), f"{path} does not say what runs it"


def test_every_gate_is_run_by_the_integration() -> None:
    gates = {path.name for path in files(".ci")} - {"run"}
    text = (ROOT / ".ci/run").read_text()
    assert set(re.findall(r"^[^#\n]*\.ci/(\w+)", text, flags=re.MULTILINE)) == gates


def command_names() -> list[str]:
    paths = (ROOT / "apps").glob("*/management/commands/*.py")
    return sorted(path.stem for path in paths if path.stem != "__init__")


def test_every_command_is_in_the_operators_manual() -> None:
    manual = (ROOT / "docs/operations.md").read_text()
    reported = set(re.findall(r"manage\.py (\w+)|`(\w+)`", manual))
    assert [name for name in command_names() if not {(name, ""), ("", name)} & reported] == []


def test_every_command_has_a_test() -> None:
    commands = command_names()
    assert {"import_categories", "serve", "sync_schedules", "simulate_collector"} <= set(commands)
    tests = [
        path.read_text()
        for path in files("tests", suffix=".py")
        if path.name.startswith("test_") and path.parent.name not in ("contract", "config")
    ]
    untested = [
        name for name in commands if not any(re.search(rf"""["']{name}["' ]""", text) for text in tests)
    ]
    assert untested == []


@pytest.mark.django_db
@pytest.mark.mongo
def test_no_migration_is_missing() -> None:
    out = StringIO()
    try:
        call_command("makemigrations", "--check", "--dry-run", stdout=out)
    except SystemExit:
        pytest.fail(out.getvalue())
    assert "No changes detected" in out.getvalue()


@pytest.mark.django_db
@pytest.mark.mongo
def test_the_system_checks_have_nothing_to_say() -> None:
    out = StringIO()
    call_command("check", "--database", "default", "--fail-level", "WARNING", stdout=out)
    assert "no issues" in out.getvalue()


# --- docs/API.md ----------------------------------------------------------------------------------


def test_the_api_page_lists_every_error_code_with_its_status() -> None:
    page = (ROOT / "docs/API.md").read_text()
    rows = re.findall(r"^\| `([A-Z_]+)` \| (\d{3}) \|", page, flags=re.MULTILINE)
    assert {name: int(status) for name, status in rows} == {
        name: code.http_status for name, code in all_error_codes().items()
    }


@pytest.mark.parametrize("route", [route for route in api_routes() if route.template not in PAPERS], ids=str)
def test_the_api_page_names_every_address(route: object) -> None:
    page = re.sub(r"\{\w+\}", "{}", (ROOT / "docs/API.md").read_text())
    path = re.sub(r"<(?:\w+:)?\w+>", "{}", str(route)).removeprefix("api")
    short = f"`/{path.rpartition('/')[2]}`"
    assert re.search(rf"{re.escape(path)}(/?[`?])", page) or short in page, (
        f"docs/API.md does not name {path}"
    )
