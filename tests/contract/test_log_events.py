"""``docs/logs.md`` and its Chinese page list every event that the product logs, with its level and fields."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache

from tests.programs import ROOT

LEVELS = {"debug": "DEBUG", "info": "INFO", "warning": "WARNING", "error": "ERROR", "exception": "ERROR"}
PAGE = ROOT / "docs" / "logs.md"
CHINESE_PAGE = ROOT / "docs" / "logs.zh-CN.md"
CHINESE_PROCESSES = {"web": "Web", "worker": "工作进程", "command": "命令", "any": "任意"}
# A program of its own for development, which logs sentences.
WITHOUT_EVENTS = ROOT / "apps" / "mengla" / "simulator"
ROW = re.compile(r"^\| (`[a-z0-9_`, ]+`) \| ([A-Z]+) \| (web|worker|command|any) \| (.*?) ?\| (.+) \|$")
NAME = re.compile(r"`(\w+)`")
# Not from a call of a logger: the access line.
ACCESS_FIELDS = {"method", "path", "status", "milliseconds", "bytes", "address", "tier", "freshness"}


@dataclass
class Event:
    """What the calls that log an event say together."""

    levels: set[str] = field(default_factory=set)
    fields: set[str] = field(default_factory=set)
    has_more_fields: bool = False  # a call has `**`


def modules() -> Iterator[ast.Module]:
    for folder in ("apps", "config"):
        for path in sorted((ROOT / folder).rglob("*.py")):
            if WITHOUT_EVENTS not in path.parents:
                yield ast.parse(path.read_text())


def is_logger(node: ast.expr) -> bool:
    return isinstance(node, ast.Call) and ast.unparse(node.func).endswith(("get_logger", "getLogger"))


def loggers_of(module: ast.Module) -> set[str]:
    return {
        target.id
        for node in ast.walk(module)
        if isinstance(node, ast.Assign) and is_logger(node.value)
        for target in node.targets
        if isinstance(target, ast.Name)
    }


def methods_in(node: ast.expr, loggers: set[str]) -> set[str]:
    """The methods of loggers that an expression names."""
    return {
        one.attr
        for one in ast.walk(node)
        if isinstance(one, ast.Attribute)
        and isinstance(one.value, ast.Name)
        and one.value.id in loggers
        and one.attr in LEVELS
    }


def texts_of(node: ast.expr) -> set[str]:
    """The texts that an expression may be; none for a variable."""
    if isinstance(node, ast.IfExp):
        return texts_of(node.body) | texts_of(node.orelse)
    return {node.value} if isinstance(node, ast.Constant) and isinstance(node.value, str) else set()


def note(events: dict[str, Event], names: set[str], methods: set[str], call: ast.Call) -> None:
    for name in names:
        event = events.setdefault(name, Event())
        event.levels |= {LEVELS[method] for method in methods}
        event.fields |= {"exception"} if "exception" in methods else set()
        for keyword in call.keywords:
            if keyword.arg is None:
                event.has_more_fields = True
            elif keyword.arg == "extra" and isinstance(keyword.value, ast.Dict):
                event.fields |= {text for key in keyword.value.keys if key for text in texts_of(key)}
            else:
                event.fields.add({"exc_info": "exception"}.get(keyword.arg, keyword.arg))


@cache
def logged() -> dict[str, Event]:
    """The events in the source; a call whose event is a variable has those of the calls with `event=`."""
    events: dict[str, Event] = {}
    passed: set[str] = set()
    open_calls: list[tuple[set[str], ast.Call]] = []
    for module in modules():
        loggers = loggers_of(module)
        aliases = {
            target.id: methods
            for node in ast.walk(module)
            if isinstance(node, ast.Assign) and (methods := methods_in(node.value, loggers))
            for target in node.targets
            if isinstance(target, ast.Name)
        }
        for call in (node for node in ast.walk(module) if isinstance(node, ast.Call)):
            for keyword in call.keywords:
                passed |= texts_of(keyword.value) if keyword.arg == "event" else set()
            is_alias = isinstance(call.func, ast.Name) and call.func.id in aliases
            methods = aliases[call.func.id] if is_alias else methods_in(call.func, loggers)
            if not methods or not call.args:
                continue
            names = texts_of(call.args[0])
            if names:
                note(events, names, methods, call)
            else:
                open_calls.append((methods, call))
    for methods, call in open_calls:
        note(events, passed, methods, call)
    return events


@cache
def described() -> dict[str, tuple[str, set[str], str]]:
    """The rows of the page by event: level, fields, meaning."""
    rows = [found for line in PAGE.read_text().splitlines() if (found := ROW.match(line))]
    return {
        name: (level, set(NAME.findall(fields)), meaning)
        for names, level, _process, fields, meaning in (row.groups() for row in rows)
        for name in NAME.findall(names)
    }


def test_every_event_is_described_and_no_other() -> None:
    names = {*logged(), "request"}
    assert len(names) > 80
    rows = [found for line in PAGE.read_text().splitlines() if (found := ROW.match(line))]
    listed = [name for row in rows for name in NAME.findall(row[1])]
    assert len(listed) == len(set(listed))
    assert names == set(described())
    assert all(re.fullmatch(r"[a-z][a-z0-9]*(_[a-z0-9]+)*", name) for name in names)


def test_levels_and_fields_are_those_of_the_code() -> None:
    rows = described()
    assert rows["request"][:2] == ("INFO", ACCESS_FIELDS)
    wrong = {}
    for name, event in logged().items():
        if name not in rows:
            continue  # the test above tells
        level, fields, _ = rows[name]
        row = [one for other, one in logged().items() if rows.get(other) == rows[name]]  # one or two
        known = set().union(*(one.fields for one in row))
        unknown = set() if any(one.has_more_fields for one in row) else fields - known
        if level not in event.levels or not event.fields <= fields or unknown:
            wrong[name] = (event.levels, event.fields - fields, unknown)
    assert wrong == {}


def test_the_chinese_page_has_the_same_rows() -> None:
    """The same events, levels, processes and fields; ``test_translated_docs`` compares the meanings."""
    english = [found for line in PAGE.read_text().splitlines() if (found := ROW.match(line))]
    lines = [line for line in CHINESE_PAGE.read_text("utf-8").splitlines() if line.startswith("| `")]
    chinese = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    assert [
        (NAME.findall(names), level, process, NAME.findall(fields))
        for names, level, process, fields, _meaning in chinese
    ] == [(NAME.findall(row[1]), row[2], CHINESE_PROCESSES[row[3]], NAME.findall(row[4])) for row in english]


def test_each_page_is_linked() -> None:
    for page, linked in (("operations.md", PAGE), ("operations.zh-CN.md", CHINESE_PAGE)):
        assert f"({linked.name})" in (ROOT / "docs" / page).read_text()
