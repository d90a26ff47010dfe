"""Compares responses with the OpenAPI document: the statuses, headers and bodies that it declares.

``tests/conftest.py`` compares every response of the API that a test's client receives.
"""

from __future__ import annotations

import gzip
import json
import re
from collections import Counter
from functools import cache
from typing import Any

import jsonschema_rs

from apps.core.errors import ErrorCode, all_error_codes
from tests.programs import ROOT

SNAPSHOT = ROOT / "tests/contract/openapi.json"
JSON = "application/json"
_GZIP = b"\x1f\x8b"
# Headers that belong to HTTP, to browsers or to the server: they may be anywhere, and are not declared.
UNDECLARED = frozenset(
    {
        *{"allow", "connection", "content-encoding", "content-language", "content-length", "content-type"},
        *{"cross-origin-opener-policy", "date", "referrer-policy", "server", "transfer-encoding", "vary"},
        *{"x-content-type-options", "x-frame-options", "access-control-allow-origin"},
        *{"access-control-expose-headers", "access-control-allow-credentials"},
    }
)
# To check more, or more of each answer, would take longer than the tests.
_LARGE_BYTES, _MOST_CHECKED = 64 * 1024, 100
_checked: Counter[tuple[str, str, int]] = Counter()


@cache
def document() -> dict[str, Any]:
    """The accepted document."""
    found: dict[str, Any] = json.loads(SNAPSHOT.read_text())
    return found


def resolved(part: dict[str, Any]) -> dict[str, Any]:
    """A part of the document, or what it refers to."""
    if "$ref" not in part:
        return part
    found: Any = document()
    for name in part["$ref"].removeprefix("#/").split("/"):
        found = found[name]
    return dict(found)


def as_json_schema(value: Any) -> Any:
    """Translate what OpenAPI says in its own way: where the schemas are."""
    if isinstance(value, list):
        return [as_json_schema(item) for item in value]
    if not isinstance(value, dict):
        return value
    if value.get("$ref", "").startswith("#/components/schemas/"):
        return {"$ref": value["$ref"].replace("#/components/schemas/", "#/$defs/")}
    return {name: as_json_schema(inner) for name, inner in value.items() if name != "example"}


@cache
def _definitions() -> dict[str, Any]:
    found: dict[str, Any] = as_json_schema(document()["components"]["schemas"])
    return found


def validator_of(schema: dict[str, Any]) -> jsonschema_rs.Draft202012Validator:
    """A validator of a schema of the document."""
    whole = {**as_json_schema(schema), "$defs": _definitions()}
    return jsonschema_rs.Draft202012Validator(whole, validate_formats=True)


@cache
def _templates() -> list[tuple[re.Pattern[str], str]]:
    """The addresses, the ones without parameters first."""
    paths = sorted(document()["paths"], key=lambda path: path.count("{"))
    return [(re.compile(re.sub(r"\\\{\w+\\\}", "[^/]+", re.escape(path))), path) for path in paths]


def template_of(path: str) -> str | None:
    """The address in the document that a path is of, None if it is none of them."""
    plain = path[:-1] if path.endswith("/") else path
    return next((template for pattern, template in _templates() if pattern.fullmatch(plain)), None)


@cache
def _answer_of(method: str, template: str, status: int) -> dict[str, Any] | None:
    operation = document()["paths"][template].get(method.lower())
    if operation is None:
        return None
    answer = operation["responses"].get(str(status))
    if answer is None:
        raise AssertionError(f"{method} {template} does not declare {status}")
    return resolved(answer)


@cache
def _headers_of(
    method: str, template: str, status: int
) -> dict[str, tuple[bool, bool, jsonschema_rs.Draft202012Validator]]:
    """The declared headers by name in small letters.

    Of each, whether it is always there, whether it is a number, and its validator.
    """
    headers = (_answer_of(method, template, status) or {}).get("headers", {})
    found = {name.lower(): resolved(header) for name, header in headers.items()}
    return {
        name: (
            header.get("required", False),
            header["schema"]["type"] == "integer",
            jsonschema_rs.Draft202012Validator(header["schema"]),
        )
        for name, header in found.items()
    }


@cache
def _validator(method: str, template: str, status: int) -> jsonschema_rs.Draft202012Validator | None:
    media = (_answer_of(method, template, status) or {}).get("content", {}).get(JSON)
    return None if media is None else validator_of(media["schema"])


def assert_described(method: str, path: str, response: Any, *, has_body: bool = False) -> None:
    """The response is as the document says, if it is one of an address and a method that are in it.

    ``has_body``: the request had one. OpenAPI has no place for what a body of a GET may cause.
    """
    template = template_of(path)
    if template is None or (has_body and method == "GET" and response.status_code >= 400):
        return
    answer = _answer_of(method, template, response.status_code)
    if answer is None:
        return
    reported = f"{method} {path} -> {response.status_code}"
    declared = _headers_of(method, template, response.status_code)
    sent = {name.lower(): value for name, value in response.headers.items()}
    undeclared = sent.keys() - declared.keys() - UNDECLARED
    assert undeclared == set(), f"{reported} has {undeclared}"
    for name, (is_required, is_number, validator) in declared.items():
        value = sent.get(name)
        assert value is not None or not is_required, f"{reported} lacks {name}"
        if value is not None:
            parsed = int(value) if is_number and value.isdigit() else value
            assert validator.is_valid(parsed), f"{reported} {name}: {value}"
    if "content" not in answer:
        assert response.content == b"", reported
    elif sent.get("content-type") == JSON:
        _assert_body(method, template, response, reported=reported)
    else:
        assert sent["content-type"].split(";")[0] in answer["content"], reported


def _assert_body(method: str, template: str, response: Any, *, reported: str) -> None:
    content: bytes = response.content
    if content.startswith(_GZIP):  # a client of a test leaves it as it came
        content = gzip.decompress(content)
    if response.status_code >= 400:
        _assert_error(json.loads(content), status=response.status_code, reported=reported)
        return
    validator = _validator(method, template, response.status_code)
    checked = _checked[method, template, response.status_code]
    if validator is not None and len(content) <= _LARGE_BYTES and checked < _MOST_CHECKED:
        _checked[method, template, response.status_code] += 1
        error = next(iter(validator.iter_errors(json.loads(content))), None)
        assert error is None, f"{reported}: {error.message} at {error.instance_path}" if error else ""


def _assert_error(body: dict[str, Any], *, status: int, reported: str) -> None:
    """The body is an ``ErrorResponse`` and nothing else; much faster than by its schema."""
    fields = body.pop("fields", None)
    assert body.keys() == {"success", "error", "message", "detail"}, reported
    code = all_error_codes()[body["error"]]
    assert (body["success"], code.http_status) == (False, status), reported
    assert isinstance(body["message"], str) and body["message"], reported
    assert body["detail"] is None or isinstance(body["detail"], str), reported
    if fields is not None:
        assert code is ErrorCode.VALIDATION_ERROR, reported
        assert all(messages and {type(one) for one in messages} == {str} for messages in fields.values()), (
            f"{reported} {fields}"
        )
