"""What the pages name exists: files, functions, tests, and the rooms in their order."""

from __future__ import annotations

import ast
import re
import tomllib
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from tests.contract.test_imports import APPS
from tests.programs import ROOT

PAGES = [page for folder in ("*.md", "docs/**/*.md", "deploy/**/*.md") for page in sorted(ROOT.glob(folder))]
PATH = re.compile(r"(?<![\w./-])(?:apps|bin|config|deploy|docs|locale|tests|tools|\.ci)/[\w./-]*\w")
MODULE = re.compile(r"(?<![\w./-])apps(?:\.\w+)+")
LINK = re.compile(r"\]\((?!https?:)([^)#]+)")
FUNCTION = re.compile(r"`(apps/[\w/]+\.py):([\w.]+)`")
TEST = re.compile(r"`(test_\w+)`")
PICTURE = re.compile(r"^## The rooms$.*?^```$(.*?)^```$", re.MULTILINE | re.DOTALL)
# What is inside an app and no room: parts of every Django app, and the stand-in for the collection service.
NO_ROOMS = {"admin", "management", "migrations", "services", "simulator", "templatetags"}


@cache
def names_of(path: Path) -> set[str]:
    """The classes, functions and methods of a module; methods as ``Class.method``."""
    tree = ast.parse(path.read_text())
    kinds = (ast.ClassDef, ast.FunctionDef)
    defined = [node for node in tree.body if isinstance(node, kinds)]
    methods = ((owner, node) for owner in defined for node in owner.body if isinstance(node, kinds))
    return {node.name for node in defined} | {f"{owner.name}.{node.name}" for owner, node in methods}


def is_module(name: str) -> bool:
    """Whether there is a module of this name, or a class or function of one."""
    path = ROOT.joinpath(*name.split("."))
    if path.is_dir() or path.with_suffix(".py").exists():
        return True
    owner = path.parent.with_suffix(".py")
    return owner.exists() and path.name in names_of(owner)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_every_file_that_is_named_exists(page: Path) -> None:
    text = page.read_text()
    missing = [path for path in PATH.findall(text) if not (ROOT / path).exists()]
    missing += [name for name in MODULE.findall(text) if not is_module(name)]
    missing += [link for link in LINK.findall(text) if not (page.parent / link).exists()]
    assert missing == []


def test_every_function_that_is_named_exists() -> None:
    named = [found for page in PAGES for found in FUNCTION.findall(page.read_text())]
    assert len(named) > 50
    assert [f"{path}:{name}" for path, name in named if name not in names_of(ROOT / path)] == []


def test_every_test_that_is_named_exists() -> None:
    modules = (ROOT / "tests").rglob("test_*.py")
    tests = {name.rpartition(".")[2] for module in modules for name in names_of(module)}
    named = {name for page in PAGES for name in TEST.findall(page.read_text())}
    assert named - tests == {"test_collector_tests_gw0"}  # a database


# --- The picture of the rooms ---------------------------------------------------------------------


def shown_floors() -> Iterator[tuple[str, list[str]]]:
    """Each line of the picture: the app it is in (empty for the apps themselves), and the names it shows."""
    picture = PICTURE.search((ROOT / "docs/architecture.md").read_text())
    assert picture is not None
    app = ""
    for line in picture[1].strip().splitlines():
        names = re.split(r"\s{2,}", line.strip())[0].split()
        if not line.startswith(" "):
            app = names[0]
        yield app if line.startswith(" ") else "", names


def contract_floors() -> dict[str, dict[str, int]]:
    """The floors of import-linter's contracts by app (empty for the apps themselves): 0 is the top one."""
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    return {
        container.removeprefix("apps").removeprefix("."): {
            name: floor
            for floor, layer in enumerate(contract["layers"])
            for name in re.findall(r"\w+", layer)
        }
        for contract in contracts
        if contract["type"] == "layers"
        for container in contract["containers"]
    }


def test_the_picture_shows_the_rooms_in_the_order_of_their_imports() -> None:
    contracts = contract_floors()
    shown: dict[str, list[str]] = {}
    for app, names in shown_floors():
        floors = contracts.get(app, {})
        above = [floors.get(name, -1) for name in shown.get(app, [])]
        here = {floors.get(name, -1) for name in names}
        assert len(here) == 1, f"{names} are not on one floor"
        assert max(above, default=-1) <= min(here), f"{names} are shown too low"
        shown.setdefault(app, []).extend(names)
    packages = [path.parent.relative_to(APPS).parts for path in APPS.glob("*/__init__.py")]
    packages += [path.parent.relative_to(APPS).parts for path in APPS.glob("*/*/__init__.py")]
    missing = {parts for parts in packages if parts[-1] not in shown.get("/".join(parts[:-1]), [])}
    assert {parts for parts in missing if parts[-1] not in NO_ROOMS} == set()
