"""The caches as operators see them."""

from __future__ import annotations

import os
import platform
from dataclasses import dataclass

import structlog
from django.conf import settings
from django.utils.translation import gettext as _

from apps.core import counters
from apps.core.cache import get_cache
from apps.core.cache_stats import SharedTierUsage, shared_tier_usage
from apps.core.errors import DependencyUnavailable
from apps.mengla.services import measures

audit = structlog.get_logger("collector.audit")


@dataclass(frozen=True, slots=True)
class ProcessTier:
    """What L1 of this process holds; ``process`` is ``host:pid``."""

    process: str
    entries: int
    bytes: int
    max_entries: int
    ttl_seconds: float


@dataclass(frozen=True, slots=True)
class Reads:
    """How questions of a day were answered; ``hit_rate`` is None when there were none."""

    l1: int
    l2: int
    l3: int
    missed: int
    stale: int
    hit_rate: float | None


@dataclass(frozen=True, slots=True)
class CacheStats:
    """What the caches hold now, and how they served today."""

    l1: ProcessTier
    l2: SharedTierUsage
    today: Reads


def read_cache_stats() -> CacheStats:
    """Count what the caches hold.

    :raises redis.RedisError: when Redis does not answer.
    """
    l2 = shared_tier_usage()
    usage = get_cache().l1_usage()
    l1 = ProcessTier(
        process=f"{platform.node()}:{os.getpid()}",
        entries=usage.entries,
        bytes=usage.bytes,
        max_entries=usage.max_entries,
        ttl_seconds=settings.L1_CACHE_TTL,
    )
    return CacheStats(l1, l2, _reads_today())


def clear_l1(*, cleared_by: str) -> None:
    """Empty L1 in every process within a second.

    :raises DependencyUnavailable: when Redis does not answer, so that the others cannot be told.
    """
    if not get_cache().clear_l1_everywhere():
        raise DependencyUnavailable(
            _("Redis does not answer, so only this process has emptied its cache."), detail="Redis"
        )
    audit.info("l1_cleared", cleared_by=cleared_by)


def _reads_today() -> Reads:
    days = counters.read_days(counters.STATS, days=1)
    if days is None:
        raise DependencyUnavailable(_("The cache does not answer. Try again shortly."), detail="Redis")
    counts = counters.total_of(days)
    by_source = dict.fromkeys((*measures.TIERS, measures.MISS), 0)
    stale = 0
    for (_action, source, result), count in measures.each(counts, measures.READ):
        if source in by_source:
            by_source[source] += count
        stale += count if result == measures.ReadResult.STALE else 0
    lookups = measures.lookups_of(counts)
    return Reads(
        l1=by_source["l1"],
        l2=by_source["l2"],
        l3=by_source["l3"],
        missed=by_source[measures.MISS],
        stale=stale,
        hit_rate=round(lookups.hits / lookups.total, 4) if lookups.total else None,
    )
