"""When a record is provisional, and until when it is fresh: the ends of periods, at the market's midnight."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from apps.core.periods import parse_period
from apps.mengla.queries.freshness import final_at, freshness_of

MILLISECOND = timedelta(milliseconds=1)
LONG = timedelta(days=3650)


def record(period_key: str, collected_at: datetime, **changes: Any) -> dict[str, Any]:
    """A stored record that claims to be fresh for years, without the fields of later versions."""
    return {
        "granularity": parse_period(period_key).granularity.value,
        "period_key": period_key,
        "collected_at": collected_at,
        "fresh_until": collected_at + LONG,
    } | changes


@pytest.mark.parametrize("settle_hours", [0, 1, 12, 720])
@pytest.mark.parametrize(
    ("period_key", "ends_at"),
    [
        ("20250601", datetime(2025, 6, 1, 16)),
        ("20240229", datetime(2024, 2, 29, 16)),  # a leap day
        ("20241231", datetime(2024, 12, 31, 16)),
        ("202402", datetime(2024, 2, 29, 16)),
        ("202502", datetime(2025, 2, 28, 16)),
        ("202412", datetime(2024, 12, 31, 16)),
        ("2025Q1", datetime(2025, 3, 31, 16)),
        ("2024Q4", datetime(2024, 12, 31, 16)),
        ("2025", datetime(2025, 12, 31, 16)),
        ("2099", datetime(2099, 12, 31, 16)),
    ],
)
def test_a_period_ends_at_midnight_in_shanghai(
    settings: Any, period_key: str, ends_at: datetime, settle_hours: int
) -> None:
    settings.SETTLE_HOURS = settle_hours
    final = ends_at + timedelta(hours=settle_hours)
    assert final_at(parse_period(period_key)) == final
    before, at = (freshness_of(record(period_key, instant)) for instant in (final - MILLISECOND, final))
    assert (before.is_provisional, before.fresh_until) == (True, final)
    assert (at.is_provisional, at.fresh_until) == (False, final + LONG)
    assert before.is_fresh(final - MILLISECOND) and not before.is_due(final - MILLISECOND)
    assert not before.is_fresh(final) and before.is_due(final)
    assert at.is_fresh(final) and not at.is_due(final + 2 * LONG)


def test_freshness_that_ends_before_the_period_stays_as_it_is() -> None:
    collected_at = datetime(2025, 6, 10)
    short = freshness_of(record("202506", collected_at, fresh_until=collected_at + timedelta(days=1)))
    assert short.fresh_until == datetime(2025, 6, 11)
    assert not short.is_due(datetime(2025, 6, 20))  # stale, but the period still runs


def test_an_empty_answer_makes_figures_fresh_only_after_the_end() -> None:
    collected_at, final = datetime(2025, 6, 30, 12), datetime(2025, 6, 30, 16)
    for renewed_at, fresh_until in (
        (None, final),
        (final - MILLISECOND, final),
        (final, collected_at + LONG),
    ):
        found = freshness_of(record("202506", collected_at, renewed_at=renewed_at))
        assert (found.fresh_until, found.is_provisional) == (fresh_until, True)


def test_instants_with_and_without_zone_are_the_same() -> None:
    plain = record("202506", datetime(2025, 6, 30, 15))
    zoned = plain | {name: plain[name].replace(tzinfo=UTC) for name in ("collected_at", "fresh_until")}
    assert freshness_of(zoned) == freshness_of(plain)
