"""The house: no circles, small rooms, a kernel without the product, one writer for each document."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Set
from graphlib import CycleError, TopologicalSorter

import pytest

from tests.contract.test_imports import APPS, imported_by, sources
from tests.programs import ROOT

MOST_MODULES = 15  # of one folder, besides its __init__
# Only these may change what they keep; both keep the rules that make their documents right.
WRITERS_OF_COLLECTIONS = "apps/mengla/queue/"
WRITERS_OF_RECORDS = "apps/mengla/ingest/records.py"
OTHER_WRITERS = {"apps/mengla/former/import_lease.py": "writes mengla_imports, and nothing else"}
WRITES = frozenset(
    {
        *("insert_one", "insert_many", "update_one", "update_many", "replace_one", "bulk_write"),
        *("delete_one", "delete_many", "find_one_and_update", "find_one_and_replace", "find_one_and_delete"),
        *("delete_matching", "save", "bulk_create", "bulk_update", "get_or_create", "update_or_create"),
    }
)
# Each server has one place that notes that it does not respond, and that it answers again.
NOTES_OUTAGES = {
    "apps/core/storage/database/client.py": {"mongo_outage.note", "mongo_outage.forget"},
    "apps/core/storage/redis.py": {"memory.note", "redis_outage.forget"},
}
OUTAGES = "apps/core/storage/outages.py"
# Entries are looked up, built and kept in one place; those who write only invalidate.
READ_THROUGH = "apps/core/caching/read_through.py"
# The kernel's own words are those of any such product: periods, processes, caches, schedules.
PRODUCT_WORDS = re.compile(
    r"""mengla | \bozon\b | \bcollect_(?!sql\b) | collection\ service | webhook | quarterly_for_year
    | \bcat_?id\b
    | (?<!unicodedata\.)\bcategor(?:y|ies)\b | \bsync[_ ]tasks?\b | \bpanels?\b | \bfigures?\b | \bhot\b
    | \balerts?\b | \brankings?\b | \btrends?\b""",
    re.IGNORECASE | re.VERBOSE,
)
# The title of a page is the product's name wherever the page is kept.
PRODUCT_NAME = re.compile(r"MengLa Collector")
# How often the import rules are gone around: models by their names, permissions of other apps by theirs.
# These numbers may only fall.
MOST_MODELS_BY_NAME = 3
MOST_FOREIGN_PERMISSIONS = 13
APP_LABELS = {"admin": "collector_admin", "auth": "collector_auth"}


def test_no_file_imports_itself_over_others() -> None:
    graph = {}
    modules = {module_of(path) for path, _tree in sources(APPS)}
    for path, tree in sources(APPS):
        graph[module_of(path)] = {
            name if name in modules else name.rpartition(".")[0] for name in imported_by(tree)
        } & modules - {module_of(path)}
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        pytest.fail(f"a circle of imports: {' imports '.join(reversed(error.args[1]))}")


def test_a_folder_is_small_enough_to_be_looked_through() -> None:
    # Migrations are a log: one more for each change, and none is ever taken away.
    folders = [one for one in (APPS, *APPS.rglob("*")) if one.is_dir() and one.name != "migrations"]
    large = {
        folder.relative_to(ROOT).as_posix(): count
        for folder in folders
        if (count := sum(path.name != "__init__.py" for path in folder.glob("*.py"))) > MOST_MODULES
    }
    assert large == {}


def test_a_package_says_what_it_owns() -> None:
    for path, tree in sources(APPS):
        if path.endswith("__init__.py") and "/migrations/" not in path:
            assert ast.get_docstring(tree), path


def test_each_system_check_has_an_id_of_its_own() -> None:
    ids = re.findall(r'id="(collector\.[EW]\d{3})"', "".join(path.read_text() for path in APPS.rglob("*.py")))
    assert len(ids) > 10
    assert sorted(ids) == sorted(set(ids))


def test_the_kernel_knows_no_word_of_the_product() -> None:
    found = []
    for path in sorted((APPS / "core").rglob("*")):
        if path.suffix not in (".py", ".html", ".js", ".css", ".txt"):
            continue
        for number, line in enumerate(path.read_text().splitlines(), start=1):
            if PRODUCT_WORDS.search(PRODUCT_NAME.sub("", line)):
                found.append(f"{path.relative_to(ROOT)}:{number}: {line.strip()}")
    assert found == []


def test_each_document_of_the_market_has_one_writer() -> None:
    trespasses = [
        f"{path}:{line} calls {name}"
        for path, tree in sources(APPS / "mengla")
        if not path.startswith((WRITERS_OF_COLLECTIONS, WRITERS_OF_RECORDS, "apps/mengla/migrations/"))
        and path not in OTHER_WRITERS
        for line, name in writes_of(tree)
    ]
    assert trespasses == []
    for path in OTHER_WRITERS:
        assert "collection_of(" not in (ROOT / path).read_text(), f"{path} writes documents of models"


def test_the_queue_writes_no_records_and_the_store_of_records_no_collections() -> None:
    for path, tree in sources(APPS / "mengla"):
        names = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
        if path.startswith(WRITERS_OF_COLLECTIONS):
            assert "Record" not in names, path
        if path == WRITERS_OF_RECORDS:
            assert "Collection" not in names, path


def test_an_outage_of_a_server_is_noted_and_forgotten_in_one_place() -> None:
    noting = {
        path: found
        for path, tree in sources(APPS)
        if path != OUTAGES
        and (found := calls_of(tree, {"note", "forget"}, of={"outage", "memory", "refusal"}))
    }
    assert noting == NOTES_OUTAGES


def test_there_is_one_read_through() -> None:
    reading = {
        path
        for path, tree in sources(APPS)
        if calls_of(tree, {"lookup", "fill", "last_known"}, of={"cache", "tiers", "get_cache()"})
    }
    assert reading == {READ_THROUGH}
    # And one place decides between the database and what was known before.
    assert {path for path, tree in sources(APPS) if calls_of(tree, {"admit"}, of={"outage"})} == {
        READ_THROUGH
    }


def test_the_ways_around_the_import_rules_only_become_fewer() -> None:
    models, permissions = [], []
    for path, tree in sources(APPS):
        _, app, *_ = path.split("/")
        if "/migrations/" in path:  # has no other way: models and permissions are those of its time
            continue
        for node in ast.walk(tree):
            if isinstance(node, ast.Call) and ast.unparse(node.func).endswith("get_model"):
                models.append(f"{path}:{node.lineno}")
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                label = re.fullmatch(r"(\w+)\.(?:view|add|change|delete)_\w+", node.value)
                if label and label[1] not in (app, APP_LABELS.get(app)):
                    permissions.append(f"{path}:{node.lineno}")
    assert len(models) == MOST_MODELS_BY_NAME, models
    assert len(permissions) == MOST_FOREIGN_PERMISSIONS, permissions


def module_of(path: str) -> str:
    """The name under which a file is imported."""
    return path.removesuffix(".py").removesuffix("/__init__").replace("/", ".")


def writes_of(tree: ast.Module) -> Iterator[tuple[int, str]]:
    """Each call that changes documents, with its line."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            name = ast.unparse(node.func).rpartition(".")[2]
            if name in WRITES:
                yield node.lineno, name


def calls_of(tree: ast.Module, names: Set[str], *, of: Set[str]) -> set[str]:
    """The calls of these methods, of objects whose own names end with one of ``of``."""
    called = (ast.unparse(node.func) for node in ast.walk(tree) if isinstance(node, ast.Call))
    return {
        one
        for one in called
        if one.rpartition(".")[2] in names and one.rpartition(".")[0].endswith(tuple(of))
    }
