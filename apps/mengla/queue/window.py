"""The hours of the day in which the collections of runs are sent.

Outside of them only what readers asked for is sent: their misses, and refreshes of stale figures that they
read. The hours are in the market's time zone. The present instant is that of MongoDB's server, so all hosts
open and close the window at the same moment. Instants are UTC without zone.
"""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta

from django.conf import settings

from apps.core import market_clock
from apps.core.storage.mongo import utc_now
from apps.core.time_texts import seconds_between


def is_open() -> bool:
    """Whether the collections of runs may be sent now; always without a window."""
    return _is_open_at(utc_now())


def opens_at() -> datetime | None:
    """Return when the window opens next; None while it is open."""
    now = utc_now()
    return None if _is_open_at(now) else _opening(now, is_later=True)


def seconds_until_open() -> float:
    """Return the seconds until the window opens; 0 while it is open."""
    now = utc_now()
    return 0.0 if _is_open_at(now) else seconds_between(now, _opening(now, is_later=True))


def open_seconds() -> float | None:
    """Return for how many seconds the window has been open; 0 while it is closed, None without a window."""
    if settings.COLLECT_WINDOW_START is None:
        return None
    now = utc_now()
    return seconds_between(_opening(now, is_later=False), now) if _is_open_at(now) else 0.0


def hours_text() -> str:
    """Return the hours, such as ``00:30-05:00``; empty without a window."""
    start, end = settings.COLLECT_WINDOW_START, settings.COLLECT_WINDOW_END
    return "" if start is None or end is None else f"{start}-{end}"


def _is_open_at(now: datetime) -> bool:
    start, end = settings.COLLECT_WINDOW_START, settings.COLLECT_WINDOW_END
    if start is None or end is None:
        return True
    clock = f"{market_clock.local(now):%H:%M}"  # as the settings are written, so texts can be compared
    if start < end:
        return bool(start <= clock < end)
    return bool(clock >= start or clock < end)


def _opening(now: datetime, *, is_later: bool) -> datetime:
    """Return the next instant at which the window opens, or the last one."""
    local, start = market_clock.local(now), time.fromisoformat(settings.COLLECT_WINDOW_START or "00:00")
    found = datetime.combine(local.date(), start, tzinfo=local.tzinfo)
    if is_later and found <= local:
        found += timedelta(days=1)
    elif not is_later and found > local:
        found -= timedelta(days=1)
    return found.astimezone(UTC).replace(tzinfo=None)
