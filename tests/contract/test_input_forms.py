"""Each value has one form: nothing is trimmed, rounded or guessed before it is checked."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import quote

import pytest
from django.contrib.auth.models import User
from rest_framework.test import APIClient

from apps.auth.models import ApiToken
from tests.contract.routes import api_routes
from tests.contract.test_inputs import DOCUMENT, LISTS, RANGE, WEBHOOK, methods_of, refused

pytestmark = [
    pytest.mark.django_db,
    pytest.mark.mongo,
    pytest.mark.redis,
    pytest.mark.usefixtures("sample_tree"),
]

PASSWORD = "correct horse battery staple"
ODD_TEXTS = (" ", "\n", "\x1f", "\u3000", "\u00a0", "\u2029", "\t", "\ufeff")
FIGURES = {"catId": "1001", "timest": "2025-06"}


# --- Texts --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("odd", ODD_TEXTS, ids=ascii)
@pytest.mark.parametrize(
    "path",
    [
        "/api/panel/data/fill",
        "/api/admin/backfill",
        "/api/admin/mengla/status",
        "/api/admin/mengla/enqueue-full-crawl",
        "/api/mengla/hot",
    ],
)
def test_a_category_is_not_trimmed(admin: APIClient, path: str, odd: str) -> None:
    needed = FIGURES if "hot" in path else {} if "crawl" in path else RANGE
    for text in (odd, f"1001{odd}", f"{odd}1001", f"all{odd}"):
        assert list(refused(admin.post(path, needed | {"catId": text}), of=ascii(text))) == ["catId"]


@pytest.mark.parametrize("odd", ODD_TEXTS, ids=ascii)
def test_categories_of_a_warm_up_are_not_trimmed(admin: APIClient, odd: str) -> None:
    for text in (odd, f"1001{odd}", f"all{odd}"):
        fields = refused(admin.post("/api/admin/cache/warmup", {"catIds": [text]}), of=ascii(text))
        assert {name.partition(".")[0] for name in fields} == {"catIds"}


@pytest.mark.parametrize("odd", ODD_TEXTS, ids=ascii)
def test_a_product_is_not_trimmed(reader: APIClient, odd: str) -> None:
    for text in (odd, f"P{odd}", f"{odd}P"):
        query = {"primaryCatId": "1001", "timest": "2025-06", "product_id": text}
        assert list(refused(reader.get("/api/mengla", query), of=ascii(text))) == ["product_id"]
        body = FIGURES | {"product_id": text}
        assert list(refused(reader.post("/api/mengla/hot", body), of=ascii(text))) == ["product_id"]


@pytest.mark.parametrize("label", ["ab\n", "\x1fab", "\u2029ab", "ab\ufeff", "\t ab"], ids=ascii)
def test_unprintable_characters_of_a_label_are_not_trimmed(admin: APIClient, label: str) -> None:
    count = ApiToken.objects.count()
    assert list(refused(admin.post("/api/auth/generate-token", {"label": label}), of=ascii(label))) == [
        "label"
    ]
    assert ApiToken.objects.count() == count


@pytest.mark.parametrize("name", ["名\n", "\x1f名", "名\u2028", "\t名"], ids=ascii)
def test_unprintable_characters_of_a_module_are_not_trimmed(admin: APIClient, name: str) -> None:
    change = {"modules": [{"id": "hot", "name": name}]}
    assert list(refused(admin.put("/api/panel-config", change), of=ascii(name))) == ["modules.0.name"]


@pytest.mark.parametrize("odd", ODD_TEXTS, ids=ascii)
def test_a_trimmed_name_does_not_log_in(api: APIClient, odd: str) -> None:
    User.objects.create_user("ana", password=PASSWORD)
    for name in (f"{odd}ana", f"ana{odd}"):
        response = api.post("/api/auth/login", {"username": name, "password": PASSWORD})
        assert list(refused(response, of=ascii(name))) == ["username"]


def test_a_password_may_have_any_characters(api: APIClient) -> None:
    User.objects.create_user("ana", password=" \u200d\t" + PASSWORD)
    for password, status in ((" \u200d\t" + PASSWORD, 200), (PASSWORD, 401)):
        response = api.post("/api/auth/login", {"username": "ana", "password": password})
        assert response.status_code == status


@pytest.mark.parametrize("odd", ODD_TEXTS, ids=ascii)
def test_a_task_id_is_not_trimmed(admin: APIClient, odd: str) -> None:
    for text in (odd, f"fill{odd}", f"{odd}fill"):
        assert list(refused(admin.get("/api/sync-tasks", {"task_id": text}), of=ascii(text))) == ["task_id"]


# --- Numbers ------------------------------------------------------------------------------------------

LARGE_NUMBERS = (
    *("9223372036854775808", "18446744073709551616", "18446744073709551617", "-9223372036854775808"),
    *("-9223372036854775809", "9223372036854775808.0", "-9.3e18", "1e300"),
)


@pytest.mark.parametrize("number", LARGE_NUMBERS)
@pytest.mark.parametrize("shape", ['{{"n": {}}}', '{{"n": [{{"m": {}}}]}}'])
def test_numbers_that_would_be_rounded_are_refused(
    admin: APIClient, reader: APIClient, shape: str, number: str
) -> None:
    text = shape.format(number)
    body = f'{{"catId": "1001", "timest": "2025-06", "extra": {text}}}'
    response = reader.generic("POST", "/api/mengla/hot", body, content_type="application/json")
    assert list(refused(response, of=body)) == ["extra"]
    query = {"primaryCatId": "1001", "timest": "2025-06", "extra": text}
    assert list(refused(reader.get("/api/mengla", query), of=text)) == ["extra"]
    body = f'{{"modules": [{{"id": "hot", "props": {text}}}]}}'
    response = admin.generic("PUT", "/api/panel-config", body, content_type="application/json")
    assert list(refused(response, of=body)) == ["modules.0.props"]


def test_the_largest_numbers_are_kept(admin: APIClient) -> None:
    props = {"n": [2**63 - 1, -(2**63) + 1, 9.2e18, -0.5]}
    response = admin.put("/api/panel-config", {"modules": [{"id": "hot", "props": props}]})
    [found] = [one["props"] for one in response.json()["data"]["modules"] if one["id"] == "hot"]
    assert found == props


NUMBERS = ("1_0", "１０", "١", " 1", "1 ", "+1", "-1", "1.0", "1e1", "0x1", "1\n", "²", "true", "null")
BOOLEANS = ("yes", "no", "on", "off", "t", "f", "1", "0", "TRUE", "fALSE", "null", " true", "true\n", "ｔrue")
FORMS = {
    ("/api/mengla?primaryCatId=1001&timest=2025-06", "wait"): (*NUMBERS, "0.0"),
    ("/api/mengla?primaryCatId=1001&timest=2025-06", "refresh"): BOOLEANS,
    ("/api/mengla/records?", "limit"): NUMBERS,
    ("/api/mengla/records?", "empty"): BOOLEANS,
    ("/api/sync-tasks?", "limit"): NUMBERS,
    ("/api/auth/tokens?", "limit"): NUMBERS,
    ("/api/admin/metrics?", "days"): NUMBERS,
    ("/api/admin/metrics/latency?", "days"): NUMBERS,
    ("/api/admin/alerts/history?", "limit"): NUMBERS,
}


@pytest.mark.parametrize(("path", "name"), FORMS)
def test_a_value_in_the_url_has_one_form(admin: APIClient, path: str, name: str) -> None:
    for value in FORMS[path, name]:
        assert list(refused(admin.get(f"{path}&{name}={quote(value)}"), of=ascii(value))) == [name]
    for value in ("true", "false", "True", "False") if FORMS[path, name] is BOOLEANS else ("1", "01"):
        assert admin.get(f"{path}&{name}={value}").status_code in (200, 202), value


def test_every_number_and_boolean_in_the_url_is_tested() -> None:
    found = {
        (path, one["name"])
        for path, methods in DOCUMENT["paths"].items()
        for operation in methods.values()
        for one in operation.get("parameters", [])
        if one["in"] == "query" and one["schema"].get("type") in ("integer", "boolean")
    }
    assert found == {(path.partition("?")[0].rstrip("/"), name) for path, name in FORMS}


# --- Bodies -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("route", [one for one in api_routes() if one.template != WEBHOOK], ids=str)
def test_null_is_no_body(route: Any, admin: APIClient) -> None:
    for method in methods_of(admin, route):
        response = admin.generic(method, route.path(), "null", content_type="application/json")
        assert list(refused(response, of=f"{method} {route}")) == ["non_field_errors"]


def test_the_document_says_that_no_list_is_empty() -> None:
    for method, path, name in LISTS:
        content = DOCUMENT["paths"][path][method]["requestBody"]["content"]["application/json"]
        schema = DOCUMENT["components"]["schemas"][content["schema"]["$ref"].rpartition("/")[2]]
        assert schema["properties"][name]["minItems"] == 1, (path, name)
    assert "minItems" not in json.dumps(DOCUMENT["components"]["schemas"]["PanelModule"])
