"""Periods, durations and instants as text for people."""

from __future__ import annotations

import ast
from datetime import UTC, datetime, timedelta

import pytest
from django.utils import formats, timezone, translation

from apps.core.periods import parse_period
from apps.core.time_texts import (
    clock_text,
    duration_text,
    instant_text,
    period_text,
    seconds_between,
    stored_period_text,
)
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


@pytest.mark.parametrize("language", ["en", "en-us", "zh-hans"])
def test_what_django_writes_has_the_same_style(language: str) -> None:
    instant = datetime(2026, 11, 30, 2, 3, tzinfo=UTC)
    with translation.override(language):
        local = timezone.localtime(instant)
        assert formats.localize(local) == instant_text(instant) == "2026-11-30 10:03:00"
        assert (
            formats.localize(local.date()) == formats.date_format(local, "SHORT_DATE_FORMAT") == "2026-11-30"
        )
        assert formats.localize_input(local.date()) == "2026-11-30"
        assert formats.localize_input(local.time()) == "10:03:00"


@pytest.mark.parametrize(
    ("stored", "english", "chinese"),
    [
        ("20261031", "2026-10-31", "2026-10-31"),
        ("202610", "2026-10", "2026-10"),
        ("2026Q3", "2026-Q3", "2026-Q3"),
        ("2026", "2026", "2026"),
        ("202511~202610", "2025-11 to 2026-10", "2025-11 至 2026-10"),
        ("20251101~20261031", "2025-11-01 to 2026-10-31", "2025-11-01 至 2026-10-31"),
        ("202610~202610", "2026-10", "2026-10"),
        ("", "", ""),
        ("202613", "202613", "202613"),
        ("202511~", "202511~", "202511~"),
        ("last <week>", "last <week>", "last <week>"),
    ],
)
def test_a_stored_period_is_shown_with_dashes(stored: str, english: str, chinese: str) -> None:
    assert stored_period_text(stored) == english
    with translation.override("zh-hans"):
        assert stored_period_text(stored) == chinese


def test_a_range_of_one_period_is_that_period() -> None:
    first, last = parse_period("202511"), parse_period("202610")
    assert period_text(first) == period_text(first, first) == "2025-11"
    assert period_text(first, last) == "2025-11 to 2026-10"


def test_no_duration_is_negative() -> None:
    noon = datetime(2025, 6, 1, 12)
    assert seconds_between(noon, noon + timedelta(seconds=90)) == 90
    assert seconds_between(noon, noon - timedelta(hours=1)) == 0


def test_instants_are_subtracted_in_one_place_only() -> None:
    alone = {
        path
        for path, tree in sources(APPS)
        if any(isinstance(node, ast.Attribute) and node.attr == "total_seconds" for node in ast.walk(tree))
    }
    assert alone == {"apps/core/time_texts.py"}
