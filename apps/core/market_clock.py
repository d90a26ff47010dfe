"""The calendar and the local time of the market, in the time zone that the settings name.

Instants may be in any time zone. One without a zone is UTC, as PyMongo returns it.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, time

from django.conf import settings
from django.utils import timezone


def local(instant: datetime) -> datetime:
    """Return the same instant in the market's time zone."""
    if timezone.is_naive(instant):
        instant = instant.replace(tzinfo=UTC)
    return instant.astimezone(settings.BUSINESS_TIME_ZONE)


def day_of(instant: datetime) -> date:
    """Return the market's calendar day at the instant."""
    return local(instant).date()


def today() -> date:
    """Return the market's current calendar day."""
    return day_of(timezone.now())


def midnight(day: date) -> datetime:
    """Return the instant at which the market's day begins, in the market's time zone."""
    return datetime.combine(day, time.min, tzinfo=settings.BUSINESS_TIME_ZONE)
