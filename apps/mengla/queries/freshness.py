"""How long records are fresh and how long they are kept (pure except for settings).

A record is *provisional* when its figures were collected before its period was over: the service did not have
all of them yet. It is stale from the end of the period on. This is decided when a record is read, and never
stored, so it also holds for records of older versions, for imported ones, and after ``SETTLE_HOURS`` changes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any

from django.conf import settings

from apps.core import market_clock, process_state
from apps.core.periods import Granularity, Period, PeriodError, parse_period

# What :func:`freshness_of` reads of a record, as a projection of MongoDB.
FIELDS = {"granularity": 1, "period_key": 1, "collected_at": 1, "renewed_at": 1, "fresh_until": 1}


@dataclass(frozen=True, slots=True)
class Freshness:
    """Until when a record is fresh, and whether its figures are final; instants are UTC without zone."""

    fresh_until: datetime
    final_at: datetime  # figures that are collected from then on are final
    is_provisional: bool

    def is_fresh(self, now: datetime) -> bool:
        """Whether the record need not be collected yet."""
        return now < self.fresh_until

    def is_due(self, now: datetime) -> bool:
        """Whether final figures can be collected in place of the provisional ones."""
        return self.is_provisional and self.final_at <= now and not self.is_fresh(now)


def is_whole(record: Mapping[str, Any], *, has_figures: bool = False) -> bool:
    """Whether a stored document has what its readers need; one that another program changed may not.

    ``has_figures``: it was read with its figures.
    """
    if not all(isinstance(record.get(name), datetime) for name in ("collected_at", "fresh_until")):
        return False
    if not {"granularity", "period_key", "is_empty"} <= record.keys():
        return False
    return not has_figures or record["is_empty"] or "data" in record


def freshness_of(record: Mapping[str, Any]) -> Freshness:
    """Return the freshness of a stored record, which has the :data:`FIELDS`.

    Freshness begins when figures are collected. It begins again with an empty answer, which leaves them in
    place (``renewed_at``). If it began before the end of the period, it ends there at the latest.
    """
    final = _final_at(record["granularity"], record["period_key"], settings.SETTLE_HOURS)
    collected_at, fresh_until = _utc(record["collected_at"]), _utc(record["fresh_until"])
    begun_at = _utc(record.get("renewed_at") or collected_at)
    return Freshness(
        fresh_until=min(fresh_until, final) if begun_at < final else fresh_until,
        final_at=final,
        is_provisional=collected_at < final,
    )


def final_at(period: Period) -> datetime:
    """Return the instant from which on collected figures of the period are final (UTC without zone).

    That is ``SETTLE_HOURS`` after the period has ended in the market's time zone.
    """
    return _final_at(period.granularity, period.key, settings.SETTLE_HOURS)


def fresh_for(granularity: Granularity) -> timedelta:
    """Return how long a record with figures is fresh, unless it is provisional."""
    return timedelta(seconds=getattr(settings, f"TTL_{granularity.name}_SECONDS"))


def empty_fresh_for() -> timedelta:
    """Return how long an empty record is fresh, unless it is provisional."""
    return timedelta(seconds=settings.EMPTY_TTL_SECONDS)


def kept_until(granularity: Granularity, collected_at: datetime) -> datetime:
    """Return when a record collected at ``collected_at`` expires and is deleted."""
    return collected_at + timedelta(days=getattr(settings, f"RETENTION_{granularity.name}_DAYS"))


@lru_cache(maxsize=4096)
def _final_at(granularity: str, period_key: str, settle_hours: int) -> datetime:
    try:
        last_day = parse_period(period_key, Granularity(granularity)).last_day
    except (PeriodError, ValueError):
        # Another program wrote the record: its period is not known, so it counts as final.
        return datetime.min
    return _utc(market_clock.midnight(last_day + timedelta(days=1))) + timedelta(hours=settle_hours)


process_state.register(_final_at.cache_clear)


def _utc(instant: datetime) -> datetime:
    """Return the instant in UTC without zone, as PyMongo returns it; the ORM returns it with its zone."""
    return instant.astimezone(UTC).replace(tzinfo=None) if instant.tzinfo else instant
