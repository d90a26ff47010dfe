"""Periods, durations and instants as text for people, and the seconds between two instants.

The texts are in the current language and the market's time zone. What Django formats itself, such
as a date column of the admin, has the same style by ``config/formats``.
"""

from __future__ import annotations

from datetime import datetime

from django.utils.translation import gettext as _

from apps.core import market_clock
from apps.core.periods import Period, PeriodError, parse_period

NOTHING = "-"  # as Django's admin shows an empty value
RANGE_SIGN = "~"  # between the two keys of a stored range of periods
_MINUTE, _HOUR, _DAY = 60, 3600, 86_400


def seconds_between(start: datetime, end: datetime) -> float:
    """Return the seconds from ``start`` to ``end``; 0 when ``end`` is earlier: no duration is negative.

    Hosts whose clocks differ may have noted the two. Both have a time zone, or both are UTC without zone.
    A test forbids the difference of two instants elsewhere.
    """
    return max(0.0, (end - start).total_seconds())


def duration_text(seconds: float | None) -> str:
    """Return a duration in its two largest units, such as ``3 min 20 s``; a negative one counts as 0."""
    if seconds is None:
        return NOTHING
    seconds = max(0.0, seconds)
    if seconds < 1:
        return _("%(count).0f ms") % {"count": seconds * 1000}
    if seconds < _MINUTE:
        return _("%(count).1f s") % {"count": seconds}
    whole = round(seconds)
    if whole < _HOUR:
        return _("%(minutes)d min %(seconds)d s") % {"minutes": whole // _MINUTE, "seconds": whole % _MINUTE}
    if whole < _DAY:
        minutes = whole % _HOUR // _MINUTE
        return _("%(hours)d h %(minutes)d min") % {"hours": whole // _HOUR, "minutes": minutes}
    return _("%(days)d d %(hours)d h") % {"days": whole // _DAY, "hours": whole % _DAY // _HOUR}


def clock_text(instant: datetime, *, has_seconds: bool = False) -> str:
    """Return the time of day, such as ``10:03``, after the date unless that is today; no zone means UTC."""
    moment = market_clock.local(instant)
    text = f"{moment:%H:%M:%S}" if has_seconds else f"{moment:%H:%M}"
    return text if moment.date() == market_clock.today() else f"{moment:%Y-%m-%d} {text}"


def instant_text(instant: datetime | None) -> str:
    """Return an instant to the second, such as ``2025-06-01 12:30:00``; one without a zone is UTC."""
    return NOTHING if instant is None else f"{market_clock.local(instant):%Y-%m-%d %H:%M:%S}"


def period_text(start: Period, end: Period | None = None) -> str:
    """Return a period, such as ``2025-06``, or a range of periods, such as ``2025-06 to 2025-09``."""
    if end is None or end == start:
        return start.dashed
    return _("%(start)s to %(end)s") % {"start": start.dashed, "end": end.dashed}


def stored_period_text(text: str) -> str:
    """Return a stored period, such as ``202506`` or ``202506~202509``, as :func:`period_text` does.

    Any other text, such as one of an older version, is returned as it is.
    """
    try:
        return period_text(*(parse_period(key) for key in text.split(RANGE_SIGN, 1)))
    except PeriodError:
        return text
