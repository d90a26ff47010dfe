"""How long answers count as fresh and how long they are kept, by granularity (pure but for settings)."""

from __future__ import annotations

from datetime import datetime, timedelta

from django.conf import settings

from apps.core.periods import Granularity


def fresh_for(granularity: Granularity) -> timedelta:
    """Return how long an answer with figures counts as fresh."""
    return timedelta(seconds=getattr(settings, f"TTL_{granularity.name}_SECONDS"))


def empty_fresh_for() -> timedelta:
    """Return how long an empty answer is believed."""
    return timedelta(seconds=settings.EMPTY_TTL_SECONDS)


def kept_until(granularity: Granularity, collected_at: datetime) -> datetime:
    """Return the end of the grace time, when an answer is deleted."""
    return collected_at + timedelta(days=getattr(settings, f"RETENTION_{granularity.name}_DAYS"))
