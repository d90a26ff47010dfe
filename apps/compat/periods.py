"""Periods as the former program took them: any day of a period names it, at both ends of a range.

A range is widened to the whole periods that contain its ends, and ends with the current period: what has not
begun is left out. A range that has not begun at all is an error.
"""

from __future__ import annotations

from contextlib import suppress
from datetime import date

from django.utils.translation import gettext as _

from apps.core import market_clock
from apps.core.errors import InvalidInput
from apps.core.periods import (
    Granularity,
    Period,
    PeriodError,
    check_begun,
    check_range,
    parse_days,
    parse_period,
    period_of,
)
from apps.mengla.monitoring.coverage import begun_range


def period_around(text: str, granularity: Granularity, *, field: str) -> Period:
    """Return the period of this granularity: named in its own forms, or by any day in it.

    :raises InvalidInput: when the text names neither.
    """
    if granularity is not Granularity.DAY:
        with suppress(PeriodError):
            return period_of(parse_period(text, Granularity.DAY).first_day, granularity)
    try:
        return parse_period(text, granularity)
    except PeriodError as error:
        raise _invalid(error, {field: [error.message]}) from error


def widened_range(
    start: str, end: str, granularity: Granularity, *, fields: tuple[str, str], limit: int
) -> tuple[Period, Period]:
    """Return the first and the last period of a range; ``fields`` are the names of its two ends.

    :raises InvalidInput: when an end names no period, or the range is reversed, too long or not begun.
    """
    first = period_around(start, granularity, field=fields[0])
    last = period_around(end, granularity, field=fields[1])
    try:
        first, last = begun_range(first, last, market_clock.today(), names=fields)
        check_range(first, last, names=fields, limit=limit)
    except PeriodError as error:
        raise _invalid(error, error.fields) from error
    return first, last


def days_until_today(start: str, end: str, *, fields: tuple[str, str]) -> tuple[date, date]:
    """Return the first and the last day of a range, today at the latest; a period stands for its days.

    :raises InvalidInput: when an end names no period, or the range has not begun.
    """
    first, last = parse_days(start, end, names=fields)
    today = market_clock.today()
    check_begun(period_of(first, Granularity.DAY), today, name=fields[0])
    return first, min(last, today)


def current_period(granularity: Granularity) -> Period:
    """Return the period of the market's current day."""
    return period_of(market_clock.today(), granularity)


def _invalid(error: PeriodError, fields: object) -> InvalidInput:
    return InvalidInput(_("The input is not valid."), fields=fields)  # type: ignore[arg-type]
