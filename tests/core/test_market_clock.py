"""The market's calendar and clock, which are not those of this machine."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta, timezone

import pytest

from apps.core import market_clock

MIDNIGHT = datetime(2025, 5, 31, 16, tzinfo=UTC)  # the first of June begins in Shanghai
ZONES = [UTC, timezone(timedelta(hours=8)), timezone(timedelta(hours=-10))]


@pytest.mark.parametrize("zone", ZONES)
def test_the_day_of_an_instant_is_the_market_s(zone: timezone) -> None:
    assert market_clock.day_of((MIDNIGHT - timedelta(microseconds=1)).astimezone(zone)) == date(2025, 5, 31)
    assert market_clock.day_of(MIDNIGHT.astimezone(zone)) == date(2025, 6, 1)
    assert type(market_clock.day_of(MIDNIGHT)) is date


def test_an_instant_without_a_zone_is_utc() -> None:
    assert market_clock.day_of(MIDNIGHT.replace(tzinfo=None)) == date(2025, 6, 1)
    assert market_clock.local(MIDNIGHT.replace(tzinfo=None)) == MIDNIGHT


def test_the_same_instant_is_read_from_the_market_s_clock() -> None:
    local = market_clock.local(datetime(2025, 6, 1, 4, 5, 6, 7, tzinfo=UTC))
    assert local.isoformat() == "2025-06-01T12:05:06.000007+08:00"


def test_today_is_the_day_of_the_present_instant(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("apps.core.market_clock.timezone.now", lambda: MIDNIGHT)
    assert market_clock.today() == date(2025, 6, 1)


def test_a_day_begins_at_the_market_s_midnight() -> None:
    assert market_clock.midnight(date(2025, 6, 1)) == MIDNIGHT
    assert market_clock.midnight(date(2025, 6, 1)).isoformat() == "2025-06-01T00:00:00+08:00"
