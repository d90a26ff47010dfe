"""Stored messages are put into words in the language of the reader."""

from __future__ import annotations

import copy
import pickle
from functools import partial
from types import ModuleType
from typing import Any

import pytest
from bson import decode, encode
from django.utils.translation import gettext_noop, override

from apps.admin.alerts import words as alert_words
from apps.core.stored_messages import MAX_CHARACTERS, Message, Messages
from apps.mengla import words as collection_words
from apps.sync_tasks import words


def kept(messages: Messages, text: str) -> dict[str, Any]:
    """Return what is stored, as MongoDB gives it back."""
    return decode(encode(messages.stored(text)))


@pytest.mark.parametrize(
    ("messages", "text", "english", "chinese"),
    [
        (
            words.ERRORS,
            words.SOME_FAILED(failed=3, total=10),
            "3 of 10 collections failed.",
            "10 个采集任务中有 3 个失败。",
        ),
        (words.ERRORS, words.CANCELLED_BY(user="ana (x)"), "Cancelled by ana (x).", "已由 ana (x) 取消。"),
        (words.ERRORS, words.CANCELLED_BY(user="100%s"), "Cancelled by 100%s.", "已由 100%s 取消。"),
        (words.ERRORS, "", "", ""),
        (words.ERRORS, "Something else.", "Something else.", "Something else."),
        (
            alert_words.MESSAGES,
            alert_words.NO_WORKER(),
            "No worker has ever reported.",
            "从未有工作进程上报。",
        ),
        (
            collection_words.ERRORS,
            collection_words.SERVICE_FAILED(status=502, reason=" (busy)"),
            "The collection service answered HTTP 502 (busy).",
            "采集服务返回 HTTP 502 (busy)。",
        ),
        (
            collection_words.ERRORS,
            collection_words.NO_SUCH_TASK(name="萌拉"),
            "The collection service has no task named '萌拉'.",
            "采集服务没有名为 '萌拉' 的任务。",
        ),
        (
            collection_words.ERRORS,
            collection_words.NO_PERIOD(count=1, total=12, granularity="month", points="2025/06"),
            "1 of 12 trend points have no readable month: 2025/06",
            "12 个趋势点中有 1 个的周期（月）无法读取：2025/06",
        ),
        (
            collection_words.ERRORS,
            collection_words.NO_ROWS(kind="A text"),
            "A text instead of a list of rows",
            "此处应为数据行的列表，实际收到：文本",
        ),
    ],
)
def test_a_message_is_put_into_words(messages: Messages, text: str, english: str, chinese: str) -> None:
    document = kept(messages, text)
    assert english in document.values()
    assert messages.shown(document) == english
    with override("zh-hans"):
        assert messages.shown(document) == chinese


def test_numbers_are_written_alike_in_every_language() -> None:
    document = kept(alert_words.MESSAGES, alert_words.SLOW(minutes=60, seconds=12.34))
    english = alert_words.MESSAGES.shown(document)
    assert "12.3 s" in english
    with override("zh-hans"):
        assert "12.3" in alert_words.MESSAGES.shown(document) != english


@pytest.mark.parametrize(
    "text",
    [
        "3 of 10 collections failed.",  # stored before there were parts
        "Cancelled by ana.",
        "",  # an older process has replaced the text alone
    ],
)
@pytest.mark.parametrize(
    "parts",
    [
        None,
        {},
        [],
        "some_failed",
        {"code": "some_failed"},
        {"code": "some_failed", "parameters": None},
        {"code": "some_failed", "parameters": {"failed": 3}},
        {"code": "some_failed", "parameters": {"failed": 4, "total": 10}},
        {"code": "some_failed", "parameters": {"code": 3, "self": 10}},
        {"code": "of_another_release", "parameters": {"failed": 3, "total": 10}},
        {"code": [], "parameters": {}},
        {"code": {}, "parameters": {1: 2}},
    ],
)
def test_parts_that_do_not_belong_to_the_text_are_ignored(text: str, parts: Any) -> None:
    with override("zh-hans"):
        assert words.ERRORS.shown({"error_message": text}) == text
        assert words.ERRORS.shown({"error_message": text, "error_message_parts": parts}) == text


@pytest.mark.parametrize("value", ["x", None, float("inf"), float("nan"), [], {}])
def test_a_parameter_of_another_type_is_no_error(value: Any) -> None:
    messages = alert_words.MESSAGES
    parts = {"code": "empty", "parameters": {"count": value}}
    assert messages.shown({"message": "The last 3 answers were empty.", "message_parts": parts}) == (
        "The last 3 answers were empty."
    )


@pytest.mark.parametrize("name", ["я" * 100_000, "<b>\u202e\x1b[2J行", "%(user)s %d %", "{user}", "a\nb\0c"])
def test_hostile_parameters_are_bounded_and_stay_as_they_are(name: str) -> None:
    document = kept(words.ERRORS, words.CANCELLED_BY(user=name))
    assert document["error_message"] == f"Cancelled by {name}."[:MAX_CHARACTERS]
    assert len(encode(document)) < 5000
    assert words.ERRORS.shown(document) == document["error_message"]
    with override("zh-hans"):
        shown = words.ERRORS.shown(document)
    assert shown == f"已由 {name} 取消。"[:MAX_CHARACTERS]


def test_parameters_that_others_stored_are_bounded_too() -> None:
    user = "x" * 100_000
    document = {
        "error_message": f"Cancelled by {user}."[:MAX_CHARACTERS],
        "error_message_parts": {"code": "cancelled_by", "parameters": {"user": user}},
    }
    with override("zh-hans"):
        assert len(words.ERRORS.shown(document)) == MAX_CHARACTERS


def test_text_without_a_code_is_cut_and_shown_as_it_is() -> None:
    document = kept(words.ERRORS, "я" * 900)
    assert document == {"error_message": "я" * MAX_CHARACTERS, "error_message_parts": None}
    assert words.ERRORS.shown(document) == "я" * MAX_CHARACTERS


@pytest.mark.parametrize("module", [alert_words, collection_words, words])
def test_no_two_messages_share_a_code(module: ModuleType) -> None:
    codes = [one.args[0] for one in vars(module).values() if isinstance(one, partial)]
    assert len(codes) == len(set(codes)) > 3


def test_a_message_is_its_english_text() -> None:
    register = Messages("note").register
    with override("zh-hans"):
        message = register("closed", gettext_noop("Closed"))()
        assert message == "Closed"
        assert f"{message}!" == "Closed!"
    for other in (copy.deepcopy(message), pickle.loads(pickle.dumps(message))):
        assert isinstance(other, Message)
        assert (other, other.parts) == ("Closed", {"code": "closed", "parameters": {}})
