"""docs/API.md and the OpenAPI document are one contract: each names what the other names.

A chapter of the page is what is under one ``##`` heading. A name of an address is looked for in its chapter.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from rest_framework.test import APIClient

from apps.core.errors import all_error_codes
from apps.mengla.choices import CollectionError
from apps.mengla.dispatch.waiting import WaitingCode
from apps.panels.panel_tasks import TASKS
from apps.sync_tasks.serializers import DeletionSerializer
from config.variables import variables
from tests.programs import ROOT

PAGE = (ROOT / "docs/API.md").read_text()
DOCUMENT = json.loads(Path(__file__).with_name("openapi.json").read_text())
METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")
CODE = re.compile(r"```json\n(.*?)```|`([^`\n]+(?:\n[^`\n]+)?)`", re.DOTALL)
ADDRESS = re.compile(rf"({'|'.join(METHODS)}) (/[\w/{{}}-]*)|(/[a-z][\w/{{}}-]*)")
NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
RULES, OUTSIDE = "Rules for every address", "Outside `/api`"
# The page describes these by other means: "as imported", or as what another program sends.
UNNAMED_SCHEMAS = {"Category", "CategoryChild"}
EVERYWHERE = {"true", "false", "null", "data", "message", "detail", "success", "error"}
# Names on the page that are no fields: headers, names of other programs, values without an enumeration, the
# fields of the parts of health; and DELETE has no body in OpenAPI 3.0.
ELSEWHERE: dict[str, set[str]] = {
    "Alerts": {"source", "url", "evidence_url", "webhook"},
    "Figures": {
        *WaitingCode,
        *CollectionError.values,
        *{"QUARTERLY_FOR_YEAR", "all", "secondaryCategories", "Age", "ETag", "l2", "l3", "fresh", "stale"},
        # Of exports, whose answers are files.
        *{"rank", "view", "more", "category", "end", "rows", "missing", "periods", "brandCatId", "mengla"},
        *{"sales", "turnover", "prices", "brands", "record_damaged"},
    },
    "Metrics": {"wait"},
    "Operations": {
        *{"all", "extra", "wait", "tick", "collection_service"},
        *{
            "latency_ms",
            "pending",
            "by_priority",
            "oldest_pending_seconds",
            "cancelled",
        },  # of the parts of health
    },
    "Panels": {"ETag", "PUT", "all", "overview", *TASKS},
    "Sync tasks": {"fresh", "gone", *DeletionSerializer().fields},
}


# --- The page ---------------------------------------------------------------------------------------


@cache
def chapters() -> dict[str, str]:
    parts = re.split(r"^## (.+)$", PAGE, flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


def with_links(title: str) -> str:
    """A chapter, and the sections of other chapters that it points to."""
    text = chapters()[title]
    anchors = set(re.findall(r"\]\(#([\w-]+)\)", text))
    sections = re.findall(r"^### (.+)\n((?:(?!#).*\n)*)", PAGE, flags=re.MULTILINE)
    return text + "".join(body for name, body in sections if name.lower().replace(" ", "-") in anchors)


def names_given_in(text: str) -> Iterator[str]:
    """The names that a chapter gives: a name alone as code, or quoted in an object."""
    for code in code_in(text):
        if NAME.fullmatch(code):
            yield code
        elif code.startswith("{"):
            # Not a text that is the value of a name.
            yield from re.findall(r'(?<!: )"([A-Za-z_]\w*)"', code)


def code_in(text: str) -> list[str]:
    return [block or inline for block, inline in CODE.findall(text)]


def plain(address: str) -> str:
    """An address without the names of its parameters, a slash at its end, and its base."""
    return re.sub(r"\{\w+\}", "{}", address.rstrip("/").removeprefix("/api"))


def addresses_in(text: str) -> Iterator[tuple[str, str]]:
    """What a chapter says it describes: in the first column of a table, or at the beginning of an item.

    ``POST /a/b``, `/c` is another address, ``/a/c``, with the method of the one before it.
    """
    row = r"\| (`[A-Z].*?) \|"
    item = r"- (`[A-Z][^:\n]*?)[:(]"
    sentence = r"(`[A-Z]+ /\S+`) (?:returns|takes|lists|closes)"
    places = re.findall(rf"^{row}|^{item}|{sentence}", text, re.MULTILINE)
    for place in places:
        method = before = ""
        for found in ADDRESS.findall(" ".join(code_in(next(filter(None, place))))):
            method, address = (found[0], found[1]) if found[0] else (method, found[2])
            if not found[0] and before and address.count("/") == 1:
                address = f"{before.rpartition('/')[0]}{address}"
            before = address
            yield method, plain(address)


@cache
def described() -> dict[tuple[str, str], str]:
    """The chapter of each address and method."""
    return {
        operation: title
        for title, text in chapters().items()
        if title not in (RULES, OUTSIDE)
        for operation in addresses_in(text)
    }


# --- The document -----------------------------------------------------------------------------------


def operations() -> Iterator[tuple[tuple[str, str], dict[str, Any]]]:
    for path, methods in DOCUMENT["paths"].items():
        for method, operation in methods.items():
            yield (method.upper(), plain(path)), operation


def names_in(schema: Any, *, without: Collection[str]) -> Iterator[str]:
    """The fields of a schema, also the inner ones, but not those of the schemas named ``without``."""
    if isinstance(schema, list):
        for one in schema:
            yield from names_in(one, without=without)
    if not isinstance(schema, dict):
        return
    name = schema.get("$ref", "").rpartition("/")[2]
    if name and name not in without:
        yield from names_in(DOCUMENT["components"]["schemas"][name], without=without)
    yield from schema.get("properties", {})
    for key in ("allOf", "oneOf", "anyOf", "items", "additionalProperties"):
        yield from names_in(schema.get(key), without=without)
    for inner in schema.get("properties", {}).values():
        yield from names_in(inner, without=without)


def fields_of(operation: tuple[str, str], *, without: Collection[str] = ()) -> set[str]:
    """The parameters and fields of a request and its answers, but not those of the envelope."""
    content = OPERATIONS[operation]
    bodies = [content.get("requestBody", {}), *content["responses"].values()]
    schemas = [media["schema"] for body in bodies for media in body.get("content", {}).values()]
    names = set(names_in(schemas, without={"ErrorResponse", *without}))
    asked = {one["name"] for one in content.get("parameters", []) if one["in"] == "query"}
    return (names | asked) - {"success", "data", "message"}


def access_of(operation: tuple[str, str]) -> str:
    """Open, reader or admin: in the row of the address, or said of its whole chapter."""
    text = chapters()[described()[operation]]
    for line in text.splitlines():
        if line.startswith("| `") and operation in addresses_in(line):
            cells = {cell.strip() for cell in line.split("|")}
            if found := cells & {"open", "reader", "admin"}:
                return found.pop()
    (said,) = set(re.findall(r"(?:[Aa]ll|Both)(?: addresses)? are for \*\*(\w+)\*\*", text))
    return str(said)


def values_in(schema: Any) -> set[str]:
    """The values that the enumerations of a schema list."""
    if isinstance(schema, dict):
        inner = [values_in(one) for one in schema.values()]
        return set().union(map(str, schema.get("enum", ())), *inner)
    return set().union(*map(values_in, schema)) if isinstance(schema, list) else set()


# --- Both -------------------------------------------------------------------------------------------

OPERATIONS = dict(operations())
each_operation = pytest.mark.parametrize("operation", OPERATIONS, ids=" ".join)
each_chapter = pytest.mark.parametrize("title", sorted(set(described().values()) - {"Webhook"}))


def test_both_have_the_same_addresses_and_methods() -> None:
    assert set(described()) == set(OPERATIONS)


@each_operation
def test_the_page_names_every_field(operation: tuple[str, str]) -> None:
    text = with_links(described()[operation])
    named = {name for code in code_in(text) for name in NAME.findall(code)}
    assert fields_of(operation, without=UNNAMED_SCHEMAS) - named == set()


@each_operation
def test_the_page_names_every_status_of_success_but_200(operation: tuple[str, str]) -> None:
    statuses = {one for one in OPERATIONS[operation]["responses"] if one.startswith("2")} - {"200"}
    assert statuses <= set(re.findall(r"\b2\d\d\b", chapters()[described()[operation]]))


@each_chapter
def test_what_the_page_names_is_there(title: str) -> None:
    fields = {
        name
        for operation, chapter in described().items()
        if chapter == title
        for name in fields_of(operation)
    }
    known = fields | values_in(DOCUMENT) | set(all_error_codes()) | ELSEWHERE.get(title, set()) | EVERYWHERE
    assert set(names_given_in(chapters()[title])) - known - set(variables()) == set()


@each_operation
def test_the_access_is_as_the_page_says(
    operation: tuple[str, str], api: APIClient, reader: APIClient, admin: APIClient
) -> None:
    """Asked in a way that every address refuses after the caller: with a name that none knows."""
    method, address = operation
    path = f"/api{address.replace('{}', 'nothing')}?no_such_name=1"
    statuses = [client.generic(method, path).status_code for client in (api, reader, admin)]
    expected = {"open": [400, 400, 400], "reader": [401, 400, 400], "admin": [401, 403, 400]}
    if described()[operation] != "Webhook":
        assert statuses == expected[access_of(operation)]
