"""Evaluates the queries of the page for Excel: as much of Power Query's language M as they use, and no more.

Microsoft's parser reads them. What the functions below do is what Microsoft's reference says of them; Excel
itself does not run on Linux. A function, an operator or a kind of expression that is not here is an error.
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

import httpx

from tests.clients.node import NodePackagesError, node_environment, node_packages
from tests.http import NO_CERTIFICATES
from tests.missing import leave_out

_PARSER = Path(__file__).parent / "parse_m.cjs"
_PARSER_SECONDS = 60
Node = dict[str, Any]
Names = Mapping[str, Any]


class QueryError(Exception):
    """What a query reports with ``error``."""


def parse(queries: list[str]) -> list[Node]:
    """Return the syntax trees of queries; one that Microsoft's parser refuses fails the test."""
    try:
        packages = node_packages()
    except NodePackagesError as error:
        leave_out(str(error))
    parsed = subprocess.run(
        ["node", _PARSER],
        env=node_environment(packages) | {"NODE_PATH": str(packages / "node_modules")},
        capture_output=True,
        text=True,
        input=json.dumps(queries),
        timeout=_PARSER_SECONDS,
        check=False,
    )
    assert parsed.returncode == 0, parsed.stderr
    trees: list[Node] = json.loads(parsed.stdout)
    return trees


def evaluate(tree: Node, names: Names) -> Any:
    """Return the value of a parsed query; ``names`` are the parameters and the other queries."""
    return _value(tree, {**_LIBRARY, **names})


def _value(node: Node, names: Names) -> Any:
    if node["kind"] not in _KINDS:
        raise NotImplementedError(node["kind"])
    return _KINDS[node["kind"]](node, names)


def _let(node: Node, names: Names) -> Any:
    inner = dict(names)
    for pair in _items(node["variableList"]):
        inner[pair["key"]["literal"]] = _value(pair["value"], inner)
    return _value(node["expression"], inner)


def _record(node: Node, names: Names) -> Any:
    return {pair["key"]["literal"]: _value(pair["value"], names) for pair in _items(node["content"])}


def _if(node: Node, names: Names) -> Any:
    is_true = _value(node["condition"], names)
    assert isinstance(is_true, bool)
    return _value(node["trueExpression" if is_true else "falseExpression"], names)


def _raise(node: Node, names: Names) -> Any:
    raise QueryError(_value(node["paired"], names))


def _operation(node: Node, names: Names) -> Any:
    operate = _OPERATORS[node["operatorConstant"]["constantKind"]]
    return operate(_value(node["left"], names), _value(node["right"], names))


def _steps(node: Node, names: Names) -> Any:
    value = _value(node["head"], names)
    for step in node["recursiveExpressions"]["elements"]:
        value = _step(value, step, names)
    return value


def _items(wrapper: Node) -> list[Node]:
    return [one["node"] for one in wrapper["elements"]]


def _literal(node: Node, _names: Names) -> Any:
    match node["literalKind"]:
        case "Text":
            return node["literal"][1:-1].replace('""', '"')
        case "Numeric":
            return int(node["literal"])
        case "Null":
            return None
    raise NotImplementedError(node["literalKind"])


def _step(value: Any, step: Node, names: Names) -> Any:
    match step["kind"]:
        case "InvokeExpression":
            return value(*(_value(one, names) for one in _items(step["content"])))
        case "FieldSelector":
            return value[step["content"]["literal"]]
    raise NotImplementedError(step["kind"])


def _divide(left: Any, right: Any) -> Any:
    return None if left is None or right is None else left / right


def _web_contents(address: str, options: Mapping[str, Any]) -> bytes:
    assert set(options) == {"RelativePath", "Query", "Headers", "Timeout"}
    response = httpx.get(
        f"{address.rstrip('/')}/{options['RelativePath']}",
        params=options["Query"],
        headers=options["Headers"],
        timeout=options["Timeout"],
        verify=NO_CERTIFICATES,
        trust_env=False,
    )
    if response.is_error:
        raise QueryError(response.text)
    return response.content


def _lines_from_binary(content: bytes, quote_style: None, has_ends: None, encoding: str) -> list[str]:
    assert (quote_style, has_ends) == (None, None)
    return content.decode(encoding).split("\n")  # the last one is empty


def _table_from_records(rows: list[Node], columns: list[str], missing_field: str = "error") -> list[Node]:
    for row in rows:
        assert missing_field == "null" or set(columns) <= set(row), "a record has not all columns"
    return [{name: row.get(name) for name in columns} for row in rows]


def _transform_columns(rows: list[Node], changes: list[list[Any]]) -> list[Node]:
    changed = [dict(row) for row in rows]
    for name, change in changes:
        for row in changed:
            row[name] = change(row[name])  # a column that is not there is an error
    return changed


def _transform_column_types(rows: list[Node], types: list[list[Any]], culture: str) -> list[Node]:
    assert culture == "en-US"
    return _transform_columns(rows, [[name, _unless_null(convert)] for name, convert in types])


def _unless_null(convert: Callable[[Any], Any]) -> Callable[[Any], Any]:
    return lambda value: None if value is None else convert(value)


def _is(kind: type | tuple[type, ...]) -> Callable[[Any], Any]:
    """A type of a column whose values have it already; Excel would convert others, and may guess."""

    def check(value: Any) -> Any:
        assert isinstance(value, kind) and (kind is bool or not isinstance(value, bool)), value
        return value

    return check


_KINDS: Mapping[str, Callable[[Node, Names], Any]] = {
    "ArithmeticExpression": _operation,
    "EachExpression": lambda node, names: lambda value: _value(node["paired"], {**names, "_": value}),
    "EqualityExpression": _operation,
    "ErrorRaisingExpression": _raise,
    "IdentifierExpression": lambda node, names: names[node["identifier"]["literal"]],
    "IfExpression": _if,
    "LetExpression": _let,
    "ListExpression": lambda node, names: [_value(one, names) for one in _items(node["content"])],
    "LiteralExpression": _literal,
    "RecordExpression": _record,
    "RecursivePrimaryExpression": _steps,
    "TypePrimaryType": lambda node, _names: _LIBRARY[f"type {node['paired']['primitiveTypeKind']}"],
}
_OPERATORS: Mapping[str, Callable[[Any, Any], Any]] = {
    "&": lambda left, right: left + right,
    "/": _divide,
    "<>": lambda left, right: left != right,
}
_LIBRARY: Names = {
    "#duration": lambda days, hours, minutes, seconds: ((days * 24 + hours) * 60 + minutes) * 60 + seconds,
    "Web.Contents": _web_contents,
    "Lines.FromBinary": _lines_from_binary,
    "TextEncoding.Utf8": "utf-8",
    "Json.Document": json.loads,
    "List.Buffer": list,
    "List.Last": lambda values: values[-1],
    "List.RemoveLastN": lambda values, count: values[:-count],
    "List.Select": lambda values, is_wanted: [one for one in values if is_wanted(one)],
    "List.Transform": lambda values, change: [change(one) for one in values],
    "MissingField.UseNull": "null",
    "Record.HasFields": lambda record, name: name in record,
    "Table.FromRecords": _table_from_records,
    "Table.TransformColumns": _transform_columns,
    "Table.TransformColumnTypes": _transform_column_types,
    "Text.Combine": lambda values, separator: separator.join(values),
    "type text": _is(str),
    "type logical": _is(bool),
    "type number": _is((int, float)),
    "type datetimezone": datetime.fromisoformat,
    "Int64.Type": _is(int),
    "Percentage.Type": _is((int, float)),
}
