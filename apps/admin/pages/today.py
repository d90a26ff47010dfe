"""The present day of the market."""

from __future__ import annotations

from datetime import UTC, date, datetime

from django.conf import settings

from apps.core.periods import business_date


def today() -> date:
    """Return the present day of the market."""
    return business_date(datetime.now(UTC), settings.BUSINESS_TIME_ZONE)
