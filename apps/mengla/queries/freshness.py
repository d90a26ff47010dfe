"""How long records are fresh and how long they are kept, by granularity (pure except for settings)."""

from __future__ import annotations

from datetime import datetime, timedelta

from django.conf import settings

from apps.core.periods import Granularity


def fresh_for(granularity: Granularity) -> timedelta:
    """Return how long a record with figures is fresh."""
    return timedelta(seconds=getattr(settings, f"TTL_{granularity.name}_SECONDS"))


def empty_fresh_for() -> timedelta:
    """Return how long an empty record is fresh."""
    return timedelta(seconds=settings.EMPTY_TTL_SECONDS)


def kept_until(granularity: Granularity, collected_at: datetime) -> datetime:
    """Return when a record collected at ``collected_at`` expires and is deleted."""
    return collected_at + timedelta(days=getattr(settings, f"RETENTION_{granularity.name}_DAYS"))
