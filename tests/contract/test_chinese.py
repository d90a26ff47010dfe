"""Every answer to a bad request reads like Chinese of this product: complete, with its terms and signs."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest
from django.conf import settings
from django.utils import translation
from rest_framework.test import APIClient

from tests.contract.routes import HOSTILE_VALUES, UNKNOWN_PATHS, api_routes
from tests.contract.test_inputs import DOCUMENT, GOOD, TWICE, WEBHOOK, methods_of
from tests.contract.test_translations import CHINESE_FAULTS, RETIRED_TERMS

pytestmark = [
    pytest.mark.django_db,
    pytest.mark.mongo,
    pytest.mark.redis,
    pytest.mark.usefixtures("sample_tree"),
]

CHINESE = {"HTTP_ACCEPT_LANGUAGE": "zh-CN,zh;q=0.9,en;q=0.8"}
# Words of a literal translation: nobody writes them who writes Chinese.
LITERAL = (
    *(
        "请确保",
        "期望",
        "得到的是",
        "物件",
        "字典",
        "被允许",
        "不得",
        "合法",
        "这个字段",
        "该字段",
        "不是一个",
    ),
    *("无效的输入", "未知的名称", "没有提供", "是必填项", "身份认证信息未", "必须是", "进行操作", "空字符串"),
)
_HAN = re.compile("[\u4e00-\u9fff]")
# What a message repeats of the request, and the names of the product, may be in any language.
_QUOTED = re.compile("“[^”]*”(?:\\.\\.\\.)?")
_ENGLISH = re.compile(r"[A-Za-z]{2,}[ ,.;:]+[A-Za-z]{2,}")
_NAMES = re.compile(r"JSON|URL|Unicode|`[^`]*`")
_PYTHON = re.compile(r"(?<![A-Za-z_])(?:str|dict|list|bool|int|float|NoneType|None)(?![A-Za-z_])")
_BODIES = (
    *TWICE,
    "{",
    "[]",
    "null",
    "5",
    '"text"',
    '{"a": NaN}',
    "[" * 2000 + "]" * 2000,
    '{"no_such_name": 1}',
)
_VALUES: tuple[Any, ...] = (None, True, -1, 10**30, "", " x", "x\x00", "x" * 6000, [], [None], {}, "2025-13")
_ERROR_STATUS = 400
FEWEST_TEXTS = 40  # that a walk finds


def texts_of(response: Any) -> Iterator[str]:
    """The texts for people in an error."""
    if response.status_code >= _ERROR_STATUS and response.content:
        body = json.loads(response.content)
        yield body["message"]
        for messages in body.get("fields", {}).values():
            yield from messages


def faults_of(text: str) -> list[str]:
    """What is wrong with the Chinese of a message."""
    own = _QUOTED.sub("“…”", text)
    found = [] if _HAN.search(own) else ["no Chinese"]
    if _ENGLISH.search(_NAMES.sub("", own)):
        found.append("English")
    if not own.endswith(("。", "？")):
        found.append("no sign at its end")
    if _PYTHON.search(_NAMES.sub("", own)):
        found.append("a type of Python")
    found += [f"literal: {one}" for one in LITERAL if one in own]
    found += [f"retired: {one}" for one in RETIRED_TERMS if one in own]
    found += [name for name, rule in CHINESE_FAULTS.items() if re.search(rule, own)]
    return found


def check(response: Any, seen: dict[str, list[str]]) -> None:
    for text in texts_of(response):
        if text not in seen:
            seen[text] = faults_of(text)


def assert_native(seen: dict[str, list[str]]) -> None:
    assert len(seen) > FEWEST_TEXTS
    assert {text: found for text, found in seen.items() if found} == {}


@pytest.fixture(autouse=True)
def _language_of_the_process() -> Iterator[None]:
    """Leave the language of this thread as it was: a request changes it."""
    with translation.override(settings.LANGUAGE_CODE):
        yield


@pytest.fixture
def chinese(admin: APIClient) -> APIClient:
    """The client of an admin who reads Chinese."""
    admin.defaults.update(CHINESE)
    return admin


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("须为列表。", []),
        ("须为列表，而不是 bool。", ["a type of Python"]),
        ("“this is the input”不是可选值。", []),
        ("未知参数，可用的参数：from、to。", []),
        ("No data provided", ["no Chinese", "English", "no sign at its end"]),
        ("期望为一个列表。", ["literal: 期望"]),
        ("须为列表", ["no sign at its end"]),
        ("未知参数：no data。", ["English"]),
        ("类型错误:列表。", ["a half-width sign in Chinese"]),
        ("不能为null。", ["no space between Chinese and Latin letters or digits"]),
    ],
)
def test_what_is_a_fault(text: str, fault: list[str]) -> None:
    assert faults_of(text) == fault


def test_every_address_refuses_in_chinese(chinese: APIClient, api: APIClient) -> None:
    seen: dict[str, list[str]] = {}
    for route in (one for one in api_routes() if one.template != WEBHOOK):
        check(api.get(route.path(), **CHINESE), seen)
        for method in ("GET", "POST", "PUT", "PATCH", "DELETE"):
            check(chinese.generic(method, f"{route.path()}?no_such_name=1&no_such_name=2"), seen)
        for method in methods_of(chinese, route):
            for body in _BODIES:
                check(chinese.generic(method, route.path(), body.encode(), "application/json"), seen)
            check(chinese.generic(method, route.path(), "a=1", "text/plain"), seen)
        if route.has_parameters:
            for value in HOSTILE_VALUES:
                check(chinese.get(route.path(value)), seen)
    for path in UNKNOWN_PATHS:
        check(chinese.get(path), seen)
    for header in ("Bearer", "Bearer x y", "Basic eA==", "Bearer mlc_unknown", "x" * 3000):
        check(api.get("/api/auth/me", HTTP_AUTHORIZATION=header, **CHINESE), seen)
    assert_native(seen)


def fields_of(operation: dict[str, Any]) -> list[str]:
    content = operation.get("requestBody", {}).get("content", {}).get("application/json", {})
    name = content.get("schema", {}).get("$ref", "").rpartition("/")[2]
    return list(DOCUMENT["components"]["schemas"].get(name, {}).get("properties", {}))


def wrong_inputs() -> Iterator[tuple[str, str, dict[str, Any], dict[str, Any]]]:
    """Each parameter and each field of the document with each wrong value: method, path, query, body."""
    for path, methods in DOCUMENT["paths"].items():
        if "{" in path or WEBHOOK in path:
            continue
        for method, operation in methods.items():
            needed = {"timest": "2025-06", "primaryCatId": ""} if path == "/api/mengla" else {}
            for one in operation.get("parameters", []):
                for value in ("x\x00", "x" * 6000, "-1", "9" * 30, " x", "2025-13", "2030-01-01"):
                    if one["in"] == "query":
                        yield method, path, needed | {one["name"]: value}, {}
            for name in fields_of(operation):
                for value in _VALUES:
                    yield method, path, {}, GOOD.get(path, {}) | {name: value}


def test_every_field_refuses_in_chinese(chinese: APIClient) -> None:
    seen: dict[str, list[str]] = {}
    for method, path, query, body in wrong_inputs():
        if query:
            response = chinese.get(path, query)
        else:
            response = chinese.generic(method.upper(), path, json.dumps(body), "application/json")
        check(response, seen)
    assert_native(seen)
