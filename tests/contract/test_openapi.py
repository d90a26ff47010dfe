"""The OpenAPI document: complete, without warnings, true, and never changed by accident.

``openapi.json`` beside this file is the accepted state. After an intended change renew it, and read what
``git diff`` says of it:

    python manage.py spectacular --format openapi-json --file tests/contract/openapi.json
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from io import StringIO
from typing import Any

import pytest
from django.core.management import call_command
from rest_framework.test import APIClient

from apps.core.api import openapi_views
from apps.core.errors import all_error_codes
from apps.mengla.export_api.response import MEDIA_TYPES
from tests.contract.routes import PAPERS, api_routes
from tests.described import SNAPSHOT, assert_described, resolved, validator_of
from tests.programs import ROOT

FILES = "/api/mengla/export"
MAX_SUMMARY = 40  # a name in the list of a documentation page
DOCUMENTED_METHODS = ("get", "post", "put", "patch", "delete")


@pytest.fixture(scope="module")
def document() -> dict[str, Any]:
    out = StringIO()
    call_command("spectacular", "--format", "openapi-json", "--fail-on-warn", "--validate", stdout=out)
    generated: dict[str, Any] = json.loads(out.getvalue())
    return generated


def operations(document: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            yield path, method, operation


def test_nothing_has_changed_since_it_was_accepted(document: dict[str, Any]) -> None:
    accepted = json.loads(SNAPSHOT.read_text())
    assert document == accepted, __doc__


def test_every_address_and_method_is_described(document: dict[str, Any]) -> None:
    described = {(path, method) for path, methods in document["paths"].items() for method in methods}
    client = APIClient()
    client.force_authenticate(_Anybody())
    there = set()
    for route in api_routes():
        if route.template in PAPERS:
            continue
        allowed = client.options(route.path()).headers["Allow"].lower().split(", ")
        path = "/" + re.sub(r"<(?:\w+:)?(\w+)>", r"{\1}", route.template)
        there |= {(path, method) for method in DOCUMENTED_METHODS if method in allowed}
    assert described == there


def test_every_operation_answers_in_the_envelope(document: dict[str, Any]) -> None:
    schemas = document["components"]["schemas"]
    assert schemas["ErrorCode"]["enum"] == list(all_error_codes())
    for path, method, operation in operations(document):
        successes = 0
        for status, reference in operation["responses"].items():
            reported = f"{method} {path} {status}"
            answer = resolved(reference)
            assert answer["description"] and answer["headers"]["X-Request-ID"], reported
            if status == "304":
                assert "content" not in answer, reported
                continue
            if path == FILES and status == "200":
                assert set(answer["content"]) == {one.partition(";")[0] for one in MEDIA_TYPES.values()}
                successes += 1
                continue
            schema = answer["content"]["application/json"]["schema"]
            is_success = status.startswith("2")
            successes += is_success
            if not is_success:
                assert schema == {"$ref": "#/components/schemas/ErrorResponse"}, reported
                continue
            envelope = resolved(schema)
            assert envelope["required"] == ["success", "data", "message"], reported
            assert envelope["properties"]["success"] == {"type": "boolean", "enum": [True]}, reported
            assert envelope["properties"]["data"], reported
        assert successes, f"{method} {path}"


def test_every_operation_has_a_name_a_section_and_says_who_may_call_it(document: dict[str, Any]) -> None:
    names = [operation["operationId"] for _, _, operation in operations(document)]
    assert len(names) == len(set(names))
    open_ones = set()
    for path, method, operation in operations(document):
        assert len(operation["tags"]) == 1
        if operation["security"] != [{"bearerAuth": []}]:
            assert operation["security"] == [{}]
            open_ones.add((method, path))
    webhook = "/api/webhook/mengla-notify"
    assert open_ones == {("get", "/api"), ("post", "/api/auth/login"), ("get", webhook), ("post", webhook)}


def test_a_get_with_304_takes_the_header_that_asks_for_it(document: dict[str, Any]) -> None:
    for path, method, operation in operations(document):
        names = [one["name"] for one in operation.get("parameters", ())]
        assert ("304" in operation["responses"]) == ("If-None-Match" in names), f"{method} {path}"


def test_texts_are_written_for_callers(document: dict[str, Any]) -> None:
    for path, method, operation in operations(document):
        assert len(operation["summary"]) <= MAX_SUMMARY, f"{method} {path}"
    # The words of docstrings: of methods, of Python, and of reStructuredText.
    wrong = re.compile(r"Returns? |.*\bNone when\b|.*``|.*:(class|func|meth):", re.DOTALL)
    assert [text for text in texts(document) if wrong.match(text)] == []


def texts(part: Any) -> Iterator[str]:
    """All descriptions in a part of the document."""
    if isinstance(part, list):
        for inner in part:
            yield from texts(inner)
    elif isinstance(part, dict):
        for name, inner in part.items():
            if name == "description" and isinstance(inner, str):
                yield inner
            elif name not in ("example", "examples"):
                yield from texts(inner)


def test_no_secret_is_in_the_document(document: dict[str, Any], settings: Any) -> None:
    text = json.dumps(document)
    for secret in (settings.SECRET_KEY, settings.WEBHOOK_SECRET, settings.MONGO_URI, settings.ADMIN_PASSWORD):
        assert secret not in text


@pytest.mark.parametrize("language", ["en", "zh-CN"])
def test_it_is_served_to_everybody(document: dict[str, Any], api: APIClient, language: str) -> None:
    vars(openapi_views)["_document"].cache_clear()  # whoever reads it first, it is in English
    response = api.get("/api/schema", HTTP_ACCEPT="text/html", HTTP_ACCEPT_LANGUAGE=language)
    assert response.status_code == 200
    assert response.headers["Content-Type"] == "application/json"
    assert response.headers["Content-Language"] == "en"
    assert response.json() == document
    again = api.get("/api/schema", HTTP_IF_NONE_MATCH=response.headers["ETag"])
    assert (again.status_code, again.content) == (304, b"")


@pytest.mark.django_db
@pytest.mark.mongo
def test_its_page_is_served_with_everything_it_needs(api: APIClient) -> None:
    response = api.get("/api/docs")
    page = response.content.decode()
    assert response.headers["Content-Type"] == "text/html; charset=utf-8"
    assert "/api/schema" in page
    files = re.findall(r'(?:src|href)="(/[^"]+)"', page)
    assert len(files) >= 3
    assert not re.search(r'(?:src|href)="https?:', page), "nothing comes from other hosts"
    for file in files:
        answer = api.get(file)
        assert (answer.status_code, bool(answer.getvalue())) == (200, True), file
        answer.close()


@pytest.mark.django_db
@pytest.mark.mongo
@pytest.mark.redis
@pytest.mark.usefixtures("sample_tree")
@pytest.mark.parametrize(
    "call",
    [
        ("get", "/api/auth/me", None),
        ("get", "/api/auth/tokens", None),
        ("post", "/api/auth/generate-token", {"label": "new one"}),
        ("get", "/api/categories", None),
        ("get", "/api/categories/1000", None),
        ("get", "/api/mengla?primaryCatId=1000&timest=2025", None),
        ("post", "/api/mengla/high", {"timest": "2025-06", "catId": "1000"}),
        ("get", "/api/mengla/records", None),
        ("get", "/api/sync-tasks", None),
        ("get", "/api/sync-tasks/today", None),
        ("get", "/api/panel-config", None),
        ("put", "/api/panel/config", {"layout": {"defaultPeriod": "day"}}),
        ("put", "/api/panel-config", {"layout": {"defaultPeriod": "era"}}),
        ("get", "/api/panel/tasks", None),
        ("post", "/api/panel/tasks/daily_collect/run", None),
        (
            "post",
            "/api/panel/data/fill",
            {"granularity": "year", "startDate": "2024", "endDate": "2024"},
        ),
        ("get", "/api/webhook/mengla-notify", None),
        ("get", "/api/admin/metrics?days=2", None),
        ("get", "/api/admin/metrics/latency", None),
        ("get", "/api/admin/alerts", None),
        ("post", "/api/admin/alerts/check", None),
        ("get", "/api/admin/alerts/history", None),
        (
            "post",
            "/api/admin/alerts/silence",
            {"rule_name": "queue_stuck", "duration_minutes": 5},
        ),
        ("get", "/api/categories/unknown", None),
        ("post", "/api/mengla/high", {"timest": "2025-13"}),
    ],
)
def test_real_answers_are_as_described(call: tuple[str, str, Any], admin: APIClient) -> None:
    method, path, body = call
    response = getattr(admin, method)(path, body)
    assert_described(method.upper(), path.partition("?")[0], response)
    instants = re.findall(r'"(\d{4}-\d\d-\d\dT[^"]*)"', response.content.decode())
    assert all(instant.endswith("Z") for instant in instants), "instants are written in UTC"


PAYLOADS = {path.stem: json.loads(path.read_text()) for path in (ROOT / "tests/payloads").glob("*.json")}
FIGURES = {
    name: (payload["action"], payload["expect"]["data"])
    for name, payload in sorted(PAYLOADS.items())
    if payload["expect"].get("data")
}
KINDS = {
    "high": "Ranking",
    "hot": "Ranking",
    "chance": "Ranking",
    "industryViewV2": "Distribution",
    "industryTrendRange": "Trend",
}


@pytest.mark.parametrize("name", FIGURES)
def test_what_the_collection_service_sends_is_of_the_described_types(name: str) -> None:
    action, data = FIGURES[name]
    for kind in (KINDS[action], "Figures"):
        validator = validator_of({"$ref": f"#/components/schemas/{kind}Response"})
        for found in (data, None):
            validator.validate({"success": True, "data": found, "message": "ok"})
        for wrong in ({}, "text", 5, [1], {"list": {}}):
            assert not validator.is_valid({"success": True, "data": wrong, "message": "ok"}), (kind, wrong)
        assert not validator.is_valid({"success": True, "message": "ok"}), "data is always there"


class _Anybody:
    """A caller who may ask every address what it takes."""

    is_authenticated = True
    is_staff = True

    def get_username(self) -> str:
        return "anybody"
