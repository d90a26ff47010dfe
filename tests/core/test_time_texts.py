"""Durations and instants in words, for whoever reads them."""

from __future__ import annotations

import ast
from datetime import UTC, datetime, timedelta

import pytest
from django.utils import translation

from apps.core.time_texts import clock_text, duration_text, instant_text, seconds_between
from tests.contract.test_imports import APPS, sources


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (None, "-"),
        (-5, "0 ms"),
        (0, "0 ms"),
        (0.0125, "12 ms"),
        (1, "1.0 s"),
        (59.9, "59.9 s"),
        (60, "1 min 0 s"),
        (200.4, "3 min 20 s"),
        (3599, "59 min 59 s"),
        (3600, "1 h 0 min"),
        (7525, "2 h 5 min"),
        (86_399, "23 h 59 min"),
        (86_400, "1 d 0 h"),
        (93_600, "1 d 2 h"),
    ],
)
def test_a_duration_has_its_two_largest_units(seconds: float | None, text: str) -> None:
    assert duration_text(seconds) == text


def test_a_duration_is_in_the_language_of_the_reader() -> None:
    with translation.override("zh-hans"):
        assert duration_text(200) == "3 分 20 秒"


def test_a_time_of_day_has_its_date_unless_it_is_today() -> None:
    now = datetime.now(UTC)
    here = now + timedelta(hours=8)
    assert clock_text(now) == clock_text(now.replace(tzinfo=None)) == f"{here:%H:%M}"
    assert clock_text(now, has_seconds=True) == f"{here:%H:%M:%S}"
    assert clock_text(datetime(2025, 5, 31, 16, 5, 6)) == "2025-06-01 00:05"


def test_an_instant_is_shown_in_the_time_of_the_market() -> None:
    instant = datetime(2025, 5, 31, 16, 5, 6, 7, tzinfo=UTC)
    assert instant_text(instant) == instant_text(instant.replace(tzinfo=None)) == "2025-06-01 00:05:06"
    assert instant_text(None) == "-"


def test_no_duration_is_negative() -> None:
    noon = datetime(2025, 6, 1, 12)
    assert seconds_between(noon, noon + timedelta(seconds=90)) == 90
    assert seconds_between(noon, noon - timedelta(hours=1)) == 0


def test_nobody_subtracts_instants_alone() -> None:
    alone = {
        path
        for path, tree in sources(APPS)
        if any(isinstance(node, ast.Attribute) and node.attr == "total_seconds" for node in ast.walk(tree))
    }
    assert alone == {"apps/core/time_texts.py"}
