"""What a process remembers is forgotten by the product itself, and the tests need to know none of it."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from tests.programs import ROOT

# What stays for as long as the process lives, each by its module and name, and why.
KEPT = {
    "apps.admin.alerts.words.MESSAGES": "a process that has just started registers the same",
    "apps.admin.alerts.words.PROBLEMS": "a process that has just started registers the same",
    "apps.admin.alerts.words.REASONS": "a process that has just started registers the same",
    "apps.core.admin_base.theme_lists._checkbox": "follows from its argument alone",
    "apps.core.admin_base.theme_lists.rendered": "follows from its arguments alone",
    "apps.core.api.openapi_views._document": "follows from the code alone",
    "apps.core.management.database_state._checks": "a process that has just started registers the same",
    "apps.core.storage.database.client._is_heavy": "is taken back where it is set",
    "apps.core.storage.mongo._inherited_clients": "keeps a parent's clients open, and is never read",
    "apps.core.storage.mongo._is_registered": "what is registered with the system cannot be taken back",
    "apps.core.periods._granularity_by_name": "a process that has just started registers the same",
    "apps.core.stored_messages.HISTORY": "a process that has just started registers the same",
    "apps.core.process_state._memories": "tells how the others are forgotten",
    "apps.mengla.upstream.client._trusted_certificates": "follows from the installed packages alone",
    "apps.mengla.simulator.market.segments_of": "follows from its argument alone",
    "apps.mengla.simulator.market.segment_markets": "follows from its arguments alone",
    "apps.mengla.words.ERRORS": "a process that has just started registers the same",
    "apps.sync_tasks.words.ERRORS": "a process that has just started registers the same",
    "apps.sync_tasks.responses._sections": "a process that has just started registers the same",
    "apps.sync_tasks.work._registered": "a process that has just started registers the same",
    "apps.sync_tasks.work._registered_for": "a process that has just started registers the same",
}
# Where a test reaches into such a memory all the same, and why.
REACHED_INTO = {
    "tests/core/caching/test_tiers.py: new._position": "where reading begins shows in no response",
    "tests/core/test_process_state.py: monkeypatch.setattr(process_state, '_memories', [])": "its subject",
}
# Classes of others whose objects remember something; our own ones are found by themselves.
MEMORIES = {
    *("TTLCache", "LRUCache", "LFUCache", "Cache", "WeakKeyDictionary", "WeakValueDictionary"),
    *("dict", "list", "set", "defaultdict", "OrderedDict", "Counter", "deque", "MemoryStorage"),
    *("local", "ContextVar", "Semaphore", "BoundedSemaphore", "Event", "Timer", "ThreadPoolExecutor"),
}
CACHES = {"cache", "lru_cache"}
CHANGES = {
    *("add", "append", "clear", "discard", "extend", "insert", "pop", "popleft", "remove", "setdefault"),
    "update",
}
CONTAINERS = ast.Dict | ast.List | ast.Set | ast.DictComp | ast.ListComp | ast.SetComp
REGISTER = "process_state.register"
HIDDEN = re.compile(r"_(?!_)\w+|__dict__|__kwdefaults__")
HIDDEN_PATH = re.compile(r"apps(\.\w+)*\._\w+(\.\w+)*")
PRIVATE = re.compile(r"\b_\w+")


# --- What the tests share -------------------------------------------------------------------------


def root_of(node: ast.expr) -> str:
    """The name at which an expression such as ``a.b(c)[d].e`` begins."""
    while isinstance(node, ast.Attribute | ast.Call | ast.Subscript):
        node = node.func if isinstance(node, ast.Call) else node.value
    return node.id if isinstance(node, ast.Name) else ""


def last_name(node: ast.expr) -> str:
    """The name of what is called or decorates, without its module and its arguments."""
    return ast.unparse(node).split("(")[0].split(".")[-1]


def hidden_names(source: str) -> Iterator[str]:
    """What a test file names that the product keeps to itself."""
    tree = ast.parse(source)
    others = {"self", "cls"}  # its own, and libraries, whose private names nobody can give a door
    for node in ast.walk(tree):
        if isinstance(node, ast.Import | ast.ImportFrom):
            is_ours = ast.unparse(node).split()[1].split(".")[0] == "apps"
            names = {alias.asname or alias.name.split(".")[0] for alias in node.names}
            others |= set() if is_ours else names
            yield from (name for name in names if is_ours and HIDDEN.fullmatch(name))
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and HIDDEN.fullmatch(node.attr):
            if root_of(node) not in others:
                yield ast.unparse(node)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            if HIDDEN_PATH.fullmatch(node.value):
                yield node.value
        elif isinstance(node, ast.Call) and ast.unparse(node.func).endswith("attr"):  # setattr and the like
            names = [one.value for one in node.args if isinstance(one, ast.Constant)]
            if any(HIDDEN.fullmatch(str(name)) for name in names) and root_of(node.args[0]) not in others:
                yield ast.unparse(node)


def test_what_the_tests_share_names_nothing_private_of_the_product() -> None:
    shared = sorted((ROOT / "tests").rglob("conftest.py"))
    assert len(shared) > 5
    found = {str(path.relative_to(ROOT)): list(hidden_names(path.read_text())) for path in shared}
    assert {path: names for path, names in found.items() if names} == {}


def test_no_test_reaches_into_what_a_process_remembers() -> None:
    sources = {path: path.read_text() for path in sorted((ROOT / "tests").rglob("*.py"))}
    del sources[Path(__file__)]
    # To parse all of them would take seconds.
    suspects = {
        path: text for path, text in sources.items() if remembered_names() & set(PRIVATE.findall(text))
    }
    found = {
        f"{path.relative_to(ROOT)}: {name}"
        for path, source in suspects.items()
        for name in hidden_names(source)
        for word in PRIVATE.findall(name)
        if word in remembered_names() and f"self.{word}" not in source  # that is the test's own
    }
    assert found == set(REACHED_INTO)


@pytest.mark.parametrize(
    "line",
    [
        "cache._tiers = None",
        "cache.get()._tiers.clear()",
        "cache.__dict__.pop('tiers')",
        "cache.read.__kwdefaults__['seconds'] = 1",
        "patch.setattr(cache, '_SECONDS', 1)",
        "setattr(cache, '_SECONDS', 1)",
        "for one in (cache,): patch.setattr(one, '_SECONDS', 1)",
        "patch.setattr('apps.core.caching.tiers._SECONDS', 1)",
        "for name in ('apps.core.caching.tiers._SECONDS',): patch.setattr(name, 1)",
        "from apps.core.caching.tiers import _tiers",
    ],
)
def test_each_way_of_naming_it_is_found(line: str) -> None:
    assert list(hidden_names(f"from apps.core import cache\n{line}"))


@pytest.mark.parametrize(
    "line",
    [
        "cache.clear()",
        "self._client = cache",
        "pymongo._csot.remaining()",
        "patch.setattr(pymongo, '_csot', None)",
        "patch.setattr('apps.core.caching.tiers.SECONDS', 1)",
        "cache.__doc__",
        "def _own(): return _own()",
    ],
)
def test_what_is_no_secret_is_not(line: str) -> None:
    assert list(hidden_names(f"import pymongo\nfrom apps.core import cache\n{line}")) == []


# --- The product ----------------------------------------------------------------------------------


@cache
def product_modules() -> list[tuple[str, ast.Module]]:
    """Every module of the product by its name, parsed."""
    paths = [path for path in sorted((ROOT / "apps").rglob("*.py")) if "migrations" not in path.parts]
    return [
        (".".join(path.relative_to(ROOT).with_suffix("").parts), ast.parse(path.read_text()))
        for path in paths
    ]


@cache
def changing_classes() -> set[str]:
    """The classes of the product whose objects change themselves after they were made."""
    return {
        node.name
        for _, tree in product_modules()
        for node in ast.walk(tree)
        if isinstance(node, ast.ClassDef)
        for method in node.body
        if isinstance(method, ast.FunctionDef) and method.name != "__init__" and changes_itself(method)
    }


def changes_itself(method: ast.FunctionDef) -> bool:
    """Whether a method sets or changes what its object holds."""
    if "cached_property" in map(ast.unparse, method.decorator_list):
        return True
    return any(
        root_of(one) == "self" and not isinstance(one, ast.Name)
        for node in ast.walk(method)
        for one in changed_in(node)
    )


def changed_in(node: ast.AST) -> Iterator[ast.expr]:
    """What a statement sets, or calls a method on that changes it."""
    if isinstance(node, ast.Assign):
        yield from node.targets
    elif isinstance(node, ast.AugAssign | ast.AnnAssign):
        yield node.target
    elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in CHANGES:
        yield node.func


def memories_in(tree: ast.Module) -> Iterator[str]:
    """The names a module gives to what it remembers."""
    classes = MEMORIES | changing_classes()
    functions = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)]
    changed_inside = {
        root_of(one)
        for function in functions
        for node in ast.walk(function)
        for one in changed_in(node)
        if not isinstance(one, ast.Name)  # that is the function's own
    }
    for function in functions:
        if CACHES & {last_name(one) for one in function.decorator_list}:
            yield function.name
        for node in ast.walk(function):
            if isinstance(node, ast.Global):
                yield from node.names
    for node in tree.body:
        if isinstance(node, ast.Assign | ast.AnnAssign):
            name = ast.unparse(node.targets[0] if isinstance(node, ast.Assign) else node.target)
            is_memory = isinstance(node.value, ast.Call) and last_name(node.value.func) in classes
            if is_memory or (isinstance(node.value, CONTAINERS) and name in changed_inside):
                yield name


@cache
def remembered_names() -> frozenset[str]:
    """The private names of memories, and of what objects change of themselves."""
    own = {name for _, tree in product_modules() for name in memories_in(tree)}
    held = {
        name
        for _, tree in product_modules()
        for method in ast.walk(tree)
        if isinstance(method, ast.FunctionDef) and method.name != "__init__"
        for node in ast.walk(method)
        for one in changed_in(node)
        for name in re.findall(r"^self\.(\w+)", ast.unparse(one))
    }
    return frozenset(name for name in own | held if HIDDEN.fullmatch(name))


def registered_in(tree: ast.Module) -> set[str]:
    """The names of which a module says how they are forgotten."""
    said = [
        node
        for node in ast.walk(tree)
        if (isinstance(node, ast.Call) and ast.unparse(node.func) == REGISTER)
        or (isinstance(node, ast.FunctionDef) and REGISTER in map(ast.unparse, node.decorator_list))
    ]
    return {one.id for node in said for one in ast.walk(node) if isinstance(one, ast.Name)}


def test_every_memory_of_a_process_is_registered_or_named_here() -> None:
    unregistered = {
        f"{module}.{name}"
        for module, tree in product_modules()
        for name in set(memories_in(tree)) - registered_in(tree)
    }
    assert unregistered == set(KEPT)


@pytest.mark.parametrize(
    "source",
    [
        "memory = TTLCache(10, 60)",
        "memory: dict[str, int] = defaultdict(int)",
        "memory = threading.local()",
        "memory = Outage()",
        "memory = {}\ndef note(): memory['a'] = 1",
        "memory = [1]\ndef note(): memory.append(1)",
        "memory = None\ndef note():\n    global memory\n    memory = 1",
        "@cache\ndef memory(): ...",
        "@functools.lru_cache(maxsize=1)\ndef memory(): ...",
    ],
)
def test_each_kind_of_memory_is_found_until_it_is_registered(source: str) -> None:
    assert set(memories_in(ast.parse(source))) == {"memory"}
    assert registered_in(ast.parse(source)) == set()
    assert "memory" in registered_in(ast.parse(f"{source}\nprocess_state.register(memory.clear)"))


@pytest.mark.parametrize("source", ["words = {'a': 1}", "lock = threading.Lock()", "day = timedelta(days=1)"])
def test_what_never_changes_is_no_memory(source: str) -> None:
    assert list(memories_in(ast.parse(source))) == []
