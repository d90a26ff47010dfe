"""The language of an answer is that of its request; that of a command is LANGUAGE_CODE."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

import pytest
from django.conf import settings as django_settings
from django.core.management import call_command
from django.utils import translation
from rest_framework.test import APIClient

from tests.programs import run_python

CHINESE = {"HTTP_ACCEPT_LANGUAGE": "zh-CN,zh;q=0.9,en;q=0.5"}
ENGLISH = {"HTTP_ACCEPT_LANGUAGE": "en-US"}

pytestmark = [pytest.mark.django_db, pytest.mark.mongo, pytest.mark.redis]


@pytest.fixture(autouse=True)
def _language_of_the_process() -> Iterator[None]:
    """Leave the language of this thread as it was: a request changes it."""
    with translation.override(django_settings.LANGUAGE_CODE):
        yield


def test_the_message_of_an_error_follows_the_request(reader: APIClient) -> None:
    chinese, english = reader.get("/api/nothing", **CHINESE), reader.get("/api/nothing", **ENGLISH)
    assert chinese.json()["message"] == "该地址不存在。"
    assert english.json()["message"] == "There is nothing at this address."
    assert chinese.json()["error"] == english.json()["error"] == "NOT_FOUND"
    assert "Accept-Language" in chinese.headers["Vary"]
    assert chinese.headers["Content-Language"] == "zh-hans"


@pytest.mark.parametrize(
    "header",
    [
        *("zh", "ZH", "zh-CN", "zh-cn", "zh-Hans", "zh-Hans-CN", "zh-SG", "zh-MY"),
        # Whoever reads Traditional Chinese reads Simplified more easily than English.
        *("zh-TW", "zh-HK", "zh-MO", "zh-Hant", "zh-Hant-TW", "zh-Hant-HK"),
        *("zh-TW,zh;q=0.9,en-US;q=0.8,en;q=0.7", "de, zh-CN;q=0.3", "en;q=0.5, zh;q=0.6", "zh;q=0.001"),
        *("en;q=0, zh", "zh-CN , en;q=0.9", "zh-CN;q=1.0,*;q=0.1", "ru-RU,ru;q=0.9,zh-TW;q=0.2"),
    ],
)
def test_every_kind_of_chinese_is_answered_in_simplified(header: str, reader: APIClient) -> None:
    response = reader.get("/api/nothing", HTTP_ACCEPT_LANGUAGE=header)
    assert response.json()["message"] == "该地址不存在。"
    assert response.headers["Content-Language"] == "zh-hans"


@pytest.mark.parametrize(
    "header",
    [
        *(
            "en",
            "en-GB, zh;q=0.9",
            "zh;q=0.4, en;q=0.5",
            "zh_CN",
            "zh-CN;q=0, en;q=0.1",
            "de",
            "*",
            "",
            ",",
            ";q=1",
        ),
        *("zh-CN;q=2", "zh;q=high", "zh;level=1", "chinese", "中文", "z" * 9000, "zh-" + "x" * 9000),
    ],
)
def test_any_other_wish_is_answered_in_english(header: str, reader: APIClient) -> None:
    response = reader.get("/api/nothing", HTTP_ACCEPT_LANGUAGE=header)
    assert response.json()["message"] == "There is nothing at this address."
    assert response.headers["Content-Language"] == "en"


def test_the_fields_of_an_error_follow_the_request(admin: APIClient) -> None:
    body = admin.post("/api/auth/generate-token", {"label": "x", "expires_hours": "many"}, **CHINESE).json()
    assert body["message"] == "输入无效。"
    assert body["fields"]["label"] == ["至少 2 个字符。"]  # a text of REST framework


def test_a_period_that_cannot_be_read_is_told_in_chinese(reader: APIClient) -> None:
    body = reader.get("/api/mengla/?primaryCatId=&timest=2025-13", **CHINESE).json()
    assert "2000 至 2099 年间" in body["fields"]["timest"][0]


@pytest.mark.parametrize("headers", [{}, {"HTTP_ACCEPT_LANGUAGE": "de"}, {"HTTP_ACCEPT_LANGUAGE": "\0;q=x"}])
def test_who_asks_for_no_language_of_ours_gets_that_of_the_installation(
    headers: dict[str, str], reader: APIClient, settings: Any
) -> None:
    reader.get("/api/nothing", **CHINESE)  # the thread's next request begins afresh
    assert reader.get("/api/nothing", **headers).json()["message"].startswith("There is nothing")
    settings.LANGUAGE_CODE = "zh-hans"
    assert reader.get("/api/nothing", **headers).json()["message"] == "该地址不存在。"


def test_what_never_reaches_a_view_follows_the_request_too(api: APIClient, settings: Any) -> None:
    settings.ALLOWED_HOSTS = ["somewhere.else"]
    body = api.get("/api/auth/me", **CHINESE)
    assert body.status_code == 400
    assert body.json()["message"] == "无法解析请求。"


@pytest.mark.parametrize("path", ["/api/categories", "/api/categories/1000"])
@pytest.mark.usefixtures("sample_tree")
def test_kept_bytes_are_the_same_in_every_language(path: str, reader: APIClient) -> None:
    first = reader.get(path, **CHINESE)
    assert first.json()["message"] == "ok"
    assert reader.get(path, **ENGLISH).content == first.content


def test_the_admin_speaks_the_browsers_language(api: APIClient) -> None:
    page = api.get("/admin/login/", **CHINESE).content.decode()
    assert '<html lang="zh-hans"' in page
    assert "欢迎回到" in page  # the theme's own words, which it has no catalogue for
    assert "Welcome back to" in api.get("/admin/login/", **ENGLISH).content.decode()


def test_a_command_speaks_the_language_of_the_installation(
    settings: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    with translation.override("zh-hans"):
        call_command("sync_tasks", "list")
    assert capsys.readouterr().out.strip() == "未找到同步任务。"


@pytest.mark.slow
def test_the_help_of_a_command_is_in_the_language_of_the_installation() -> None:
    chinese = {**os.environ, "LANGUAGE_CODE": "zh-hans", "PYTHONIOENCODING": "utf-8"}
    ended = run_python("manage.py", "collect", "--help", env=chinese)
    assert ended.returncode == 0, ended.stderr
    shown = ended.stdout
    assert "采集一个周期的数据" in shown
    assert "以 JSON 输出结果" in shown
