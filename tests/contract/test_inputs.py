"""What a client sends means what it says, at every address: no name is ignored, and none is given twice."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from rest_framework.test import APIClient

from apps.core.api import parsers
from tests.contract.routes import Route, api_routes, assert_contract

pytestmark = [pytest.mark.django_db, pytest.mark.mongo, pytest.mark.redis]

WEBHOOK = "api/webhook/mengla-notify"  # the collection service's: it may send what it likes
ROUTES = [route for route in api_routes() if route.template != WEBHOOK]
DOCUMENT = json.loads(Path(__file__).with_name("openapi.json").read_text())
STRANGE = "no_such_name"
LONG = "n" * 100
# Each has a name twice; beside it, the place that the error names.
TWICE: dict[str, str] = {
    '{"a": 1, "a": 1}': "a",
    '{"a": "x:y", "b": 2, "a": null}': "a",
    r'{"catId": "4200", "cat\u0049d": ""}': "catId",
    r'{"\u0061": 1, "\u0061": 2}': "a",
    '{"a": {"b": 1, "b": 2}}': "a.b",
    '{"a": [1, {"b": [[{"c": 1, "c": 2}]]}]}': "a[1].b[0][0].c",
    '{"a": {"b": {"c": 1, "c": 1}}, "a": 2}': "a a.b.c",
    '{"": 1, "": 2}': "",
    '{"类目": 1, "\\u7c7b目": 2}': "类目",
    # Its colon is escaped, so there are as many colons as names.
    r'{"a": "\u003a", "a": "\u003a", "b": 1}': "a",
    '[{"a": 1, "a": 2}]': "[0].a",
    f'{{"a": 9e99, "b": {"9" * 30}, "a": 1}}': "a",
    f'{{"{LONG}": 1, "{LONG}": 2}}': f"{LONG[:40]}...",
}


def methods_of(client: APIClient, route: Route) -> list[str]:
    allowed: str = client.options(route.path()).headers["Allow"]
    return [method for method in allowed.split(", ") if method not in ("OPTIONS", "HEAD")]


def refused(response: Any, *, of: str) -> dict[str, list[str]]:
    """The errors by name."""
    assert_contract(response, of=of)
    body = response.json()
    assert (response.status_code, body["error"]) == (400, "VALIDATION_ERROR"), (of, body)
    fields: dict[str, list[str]] = body["fields"]
    return fields


# --- Unused names -----------------------------------------------------------------------------------


@pytest.mark.parametrize("route", ROUTES, ids=str)
def test_an_unknown_parameter_is_refused_by_every_address(route: Route, admin: APIClient) -> None:
    for method in methods_of(admin, route):
        for query in (f"{STRANGE}=1", f"{STRANGE}=", STRANGE, f"{STRANGE}=1&{STRANGE}=2"):
            response = admin.generic(method, f"{route.path()}?{query}")
            assert STRANGE in refused(response, of=f"{method} {route} ?{query}")


@pytest.mark.parametrize("route", ROUTES, ids=str)
def test_an_unknown_name_in_a_body_is_refused_by_every_address(route: Route, admin: APIClient) -> None:
    for method in methods_of(admin, route):
        for value in ("1", "null", "[]", '{"deep": 1}'):
            body = f'{{"{STRANGE}": {value}}}'
            response = admin.generic(method, route.path(), body, content_type="application/json")
            assert STRANGE in refused(response, of=f"{method} {route} {body}")


@pytest.mark.parametrize("route", ROUTES, ids=str)
def test_a_name_of_the_body_is_no_parameter(route: Route, admin: APIClient) -> None:
    for method in set(methods_of(admin, route)) - {"GET"}:
        response = admin.generic(method, f"{route.path()}?confirm=true&catId=1001&timest=2025-06")
        fields = refused(response, of=f"{method} {route}")
        assert set(fields) == {"confirm", "catId", "timest"}


@pytest.mark.parametrize("route", ROUTES, ids=str)
def test_an_address_without_a_body_takes_an_empty_object(route: Route, admin: APIClient) -> None:
    for method in methods_of(admin, route):
        plain, empty = (
            admin.generic(method, route.path(), body, content_type="application/json") for body in ("", "{}")
        )
        # What has been started, or tried too often, is refused the second time.
        if not {plain.status_code, empty.status_code} & {409, 429}:
            assert plain.status_code == empty.status_code, (method, empty.content)


def test_a_body_of_an_address_without_one_is_no_list(admin: APIClient) -> None:
    for body in ("[]", "[1]", '"text"', "5", "true", "false", "0", '""'):
        response = admin.generic("POST", "/api/admin/cache/clear-l1", body, content_type="application/json")
        assert list(refused(response, of=body)) == ["non_field_errors"]


@pytest.mark.parametrize(
    ("method", "path", "sent", "meant"),
    [
        ("POST", "/api/mengla/hot", {"primaryCatId": "4200", "timest": "2026-10"}, "catId"),
        ("POST", "/api/mengla/hot", {"cat_id": "4200", "timest": "2026-10"}, "catId"),
        ("POST", "/api/mengla/hot", {"CATID": "4200", "timest": "2026-10"}, "catId"),
        ("POST", "/api/mengla/hot", {"timestamp": "2026-10"}, "timest"),
        ("POST", "/api/mengla/hot", {"date_type": "month", "timest": "2026-10"}, "dateType"),
        ("POST", "/api/mengla/hot", {"granularity": "month", "timest": "2026-10"}, "dateType"),
        ("POST", "/api/mengla/industry-trend", {"startRange": "2025-01"}, "starRange"),
        ("POST", "/api/mengla/industry-trend", {"start_date": "2025-01"}, "starRange"),
        ("POST", "/api/mengla/industry-trend", {"end_range": "2025-01"}, "endRange"),
        ("POST", "/api/mengla/query", {"productId": "x"}, "product_id"),
        ("GET", "/api/mengla", {"catId": "1001", "timest": "2025-06"}, "primaryCatId"),
        ("GET", "/api/mengla", {"cat_id": "1001", "timest": "2025-06"}, "primaryCatId"),
        ("GET", "/api/mengla", {"waitt": "1", "timest": "2025-06"}, "wait"),
        ("GET", "/api/mengla/records", {"primaryCatId": "1001"}, "catId"),
        ("GET", "/api/mengla/records", {"granularity": "day"}, "dateType"),
        ("GET", "/api/mengla/records", {"start_date": "2025-06"}, "from"),
        ("GET", "/api/mengla/export", {"catId": "1001"}, "catIds"),
        ("GET", "/api/mengla/export", {"granularity": "day"}, "dateType"),
        ("GET", "/api/sync-tasks", {"taskId": "daily_collect"}, "task_id"),
        ("GET", "/api/sync-tasks", {"page_size": "5"}, "limit"),
        ("POST", "/api/panel/data/fill", {"start_date": "2025-06"}, "startDate"),
        ("POST", "/api/panel/data/fill", {"dateType": "month"}, "granularity"),
        ("POST", "/api/admin/backfill", {"interfaces": ["hot"]}, "actions"),
        ("POST", "/api/admin/backfill", {"end_date": "2025-06"}, "endDate"),
        ("POST", "/api/admin/mengla/enqueue-full-crawl", {"cat_id": "1001"}, "catId"),
        ("POST", "/api/admin/cache/warmup", {"cat_ids": ["1001"]}, "catIds"),
        ("POST", "/api/admin/cache/warmup", {"catId": "1001"}, "catIds"),
        ("POST", "/api/admin/alerts/silence", {"rule": "x", "duration": 5}, "rule_name"),
        ("POST", "/api/auth/generate-token", {"expiresHours": 5}, "expires_hours"),
        ("POST", "/api/auth/login", {"user": "x", "password": "y"}, "username"),
        ("PUT", "/api/panel-config", {"moduls": []}, "modules"),
    ],
)
def test_the_error_suggests_the_name_that_was_meant(
    admin: APIClient, method: str, path: str, sent: dict[str, Any], meant: str
) -> None:
    response = admin.get(path, sent) if method == "GET" else getattr(admin, method.lower())(path, sent)
    unknown = next(iter(sent))
    assert refused(response, of=path)[unknown] == [f"Unknown name. Did you mean {meant}?"]


def test_the_error_is_in_the_callers_language(admin: APIClient) -> None:
    for path in ("/api/mengla/hot", "/api/admin/backfill"):
        response = admin.post(path, {"cat_id": "1"}, HTTP_ACCEPT_LANGUAGE="zh-CN")
        assert refused(response, of=path)["cat_id"] == ["未知参数，是否应为 catId？"]


def test_hostile_names_are_shown_in_part(admin: APIClient) -> None:
    names = {f"{number}{'x' * 100_000}": 1 for number in range(8)}
    response = admin.post("/api/mengla/hot", names)
    assert len(refused(response, of="long names")) == 5
    assert len(response.content) < 2000


# --- Names that are given twice -----------------------------------------------------------------------


@pytest.mark.parametrize("route", ROUTES, ids=str)
def test_a_name_given_twice_in_a_body_is_refused_by_every_address(route: Route, admin: APIClient) -> None:
    for method in methods_of(admin, route):
        for body, place in TWICE.items():
            response = admin.generic(method, route.path(), body.encode(), content_type="application/json")
            fields = refused(response, of=f"{method} {route} {body[:80]}")
            assert sorted(fields) == (place.split() or [""])
            assert set(map(tuple, fields.values())) == {("Must not be given more than once.",)}


@pytest.mark.parametrize(
    ("path", "query", "name"),
    [
        ("/api/mengla", "primaryCatId=1001&timest=2025-06&primaryCatId=", "primaryCatId"),
        ("/api/mengla", "primaryCatId=1001&timest=2025-06&wait=0&wait=0", "wait"),
        ("/api/mengla/records", "catId=1001&catId=1002", "catId"),
        ("/api/mengla/records", "from=2025-06&from=2025-06", "from"),
        ("/api/mengla/records", "limit=5&l%69mit=6", "limit"),
        ("/api/sync-tasks", "status=FAILED&status=RUNNING", "status"),
        ("/api/auth/tokens", "limit=1&limit=2", "limit"),
        ("/api/admin/metrics", "days=1&days=2", "days"),
        ("/api/admin/collect-health", "date=2025-06-01&date=2025-06-02", "date"),
        ("/api/admin/alerts/history", "limit=1&limit=2", "limit"),
    ],
)
def test_a_parameter_given_twice_is_refused(admin: APIClient, path: str, query: str, name: str) -> None:
    assert refused(admin.get(f"{path}?{query}"), of=query) == {name: ["Must not be given more than once."]}


def test_a_name_given_twice_in_the_text_of_a_parameter_is_refused(admin: APIClient) -> None:
    parameters = {"primaryCatId": "1001", "timest": "2025-06", "extra": '{"a": {"b": 1, "b": 2}}'}
    fields = refused(admin.get("/api/mengla", parameters), of="extra")
    assert fields == {"extra.a.b": ["Must not be given more than once."]}


@pytest.mark.parametrize(
    "body",
    [
        '{"a": "b:c:d", "b": [{"a": 1}, {"a": 1}], "c": {"a": {"a": {"a": ":"}}}}',
        r'{"a": "\"a\": 1", "b": "{\"a\": 1, \"a\": 2}"}',
        '[{"a": 1}, {"a": 2}]',
        '":::"',
        "{}",
    ],
)
def test_what_is_no_repetition(body: str) -> None:
    assert parsers.loads_shallow(body.encode()) == json.loads(body)


def test_what_is_hidden_behind_a_repeated_name_may_be_deep(admin: APIClient) -> None:
    body = f'{{"a": {"[" * 900}{"]" * 900}, "a": 1}}'
    response = admin.generic("POST", "/api/mengla/hot", body, content_type="application/json")
    assert response.status_code == 400


# --- What counts as absent ----------------------------------------------------------------------------


def parameters_of(operation: dict[str, Any]) -> list[dict[str, Any]]:
    return [one for one in operation.get("parameters", []) if one["in"] == "query"]


@pytest.mark.parametrize(
    ("path", "name"),
    [
        (path, one["name"])
        for path, methods in DOCUMENT["paths"].items()
        for operation in methods.values()
        for one in parameters_of(operation)
        if not one.get("required") and one["name"] != "catId"
    ],
)
def test_an_empty_parameter_counts_as_absent(path: str, name: str, admin: APIClient) -> None:
    needed = {"primaryCatId": "", "timest": "2025-06"} if path == "/api/mengla" else {}
    if path == "/api/mengla/export":  # its answers are files
        needed = {"action": "hot", "from": "2025-06", "to": "2025-06", "catIds": "all"}
        statuses = {admin.head(path, given).status_code for given in (needed, needed | {name: ""})}
        assert statuses <= ({200} if name != "catIds" else {200, 400})  # there is no category here
        return
    absent, empty = admin.get(path, needed), admin.get(path, needed | {name: ""})
    assert (absent.status_code, empty.status_code) in ((200, 200), (202, 202)), empty.content
    assert set(absent.json()["data"]) == set(empty.json()["data"])


def lists_of(operation: dict[str, Any]) -> list[str]:
    content = operation.get("requestBody", {}).get("content", {}).get("application/json", {})
    name = content.get("schema", {}).get("$ref", "").rpartition("/")[2]
    fields = DOCUMENT["components"]["schemas"].get(name, {}).get("properties", {})
    return [one for one, schema in fields.items() if "array" in schema.get("type", ())]


LISTS = [
    (method, path, name)
    for path, methods in DOCUMENT["paths"].items()
    for method, operation in methods.items()
    for name in lists_of(operation)
]


def test_there_are_lists() -> None:
    assert {name for _, _, name in LISTS} == {"actions", "catIds", "granularities", "targets", "modules"}


RANGE = {"granularity": "month", "startDate": "2025-06", "endDate": "2025-06"}
GOOD: dict[str, dict[str, Any]] = {
    "/api/panel/data/fill": RANGE,
    "/api/admin/backfill": RANGE,
    "/api/admin/mengla/status": RANGE,
    "/api/admin/data/purge": {"confirm": True, "targets": ["l1"]},
    "/api/mengla/hot": {"timest": "2025-06"},
    "/api/auth/generate-token": {"label": "fine"},
    "/api/admin/alerts/silence": {"rule_name": "queue_stuck", "duration_minutes": 5},
    "/api/panel-config": {"layout": {}},
}


@pytest.mark.parametrize(("method", "path", "name"), LISTS)
def test_a_list_is_a_list_and_not_empty(method: str, path: str, name: str, admin: APIClient) -> None:
    for odd in ([], "", "hot", {}, 5, True):
        response = getattr(admin, method)(path, GOOD.get(path, {}) | {name: odd})
        fields = refused(response, of=f"{path} {odd!r}")
        assert {one.partition(".")[0] for one in fields} == {name}, (fields, odd)


@pytest.mark.parametrize(
    ("method", "path", "wrong"),
    [
        ("post", "/api/mengla/hot", {"wait": ("5", True, 5.5, [5], {}), "refresh": (1, 0, "true", [])}),
        ("post", "/api/mengla/hot", {"catId": (True, [], {}, 1.5), "product_id": ([], True)}),
        ("post", "/api/auth/generate-token", {"expires_hours": ("5", True, 5.5), "scope": (["admin"], 1)}),
        ("post", "/api/auth/generate-token", {"label": (12, True, ["ab"], None)}),
        ("post", "/api/admin/backfill", {"force": (1, "true", None), "catId": (1000.5, True, ["1000"])}),
        ("delete", "/api/sync-tasks/nothing", {"delete_data": ("true", 1, 0, [], None)}),
        (
            "post",
            "/api/admin/cache/warmup",
            {"limit": ("5", True, 5.5, None), "catIds": ([5.5], [True], [[]], "1", 1)},
        ),
        ("post", "/api/admin/alerts/silence", {"duration_minutes": ("5", True, 1.5, []), "rule_name": (1,)}),
        ("post", "/api/admin/data/purge", {"confirm": ("true", 1, None, [True])}),
        ("post", "/api/admin/duplicates/remove", {"apply": ("true", 1, 0, None)}),
        ("put", "/api/panel-config", {"version": ("1", True, 1.5, None), "layout": ([], "x", None)}),
    ],
)
def test_no_type_is_converted(method: str, path: str, wrong: dict[str, Any], admin: APIClient) -> None:
    for name, values in wrong.items():
        for value in values:
            response = getattr(admin, method)(path, GOOD.get(path, {}) | {name: value})
            fields = refused(response, of=f"{path} {name}={value!r}")
            assert {one.partition(".")[0].partition("[")[0] for one in fields} == {name}, (value, fields)
