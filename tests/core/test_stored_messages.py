"""Stored sentences are shown in the language of the reader."""

from __future__ import annotations

import pytest
from django.utils.translation import override

from apps.admin.alerts import words as alert_words
from apps.sync_tasks import words


@pytest.mark.parametrize(
    ("shown", "stored", "chinese"),
    [
        (words.shown_error, "3 of 10 collections failed.", "10 次采集中有 3 次失败。"),
        (words.shown_error, "Cancelled by ana (x).", "已被 ana (x) 取消。"),
        (words.shown_error, "", ""),
        (words.shown_error, "Something else.", "Something else."),
        (alert_words.shown_message, "No worker has ever reported.", "从未有工作进程上报。"),
    ],
)
def test_a_sentence_is_translated(shown: object, stored: str, chinese: str) -> None:
    assert callable(shown)
    assert shown(stored) == stored
    with override("zh-hans"):
        assert shown(stored) == chinese


def test_numbers_stay_as_they_were_written() -> None:
    stored = alert_words.SLOW % {"minutes": 60, "seconds": 12.34}
    assert alert_words.shown_message(stored) == stored
    with override("zh-hans"):
        assert "12.3" in alert_words.shown_message(stored) != stored
