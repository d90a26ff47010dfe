"""The caches as operators see them."""

from __future__ import annotations

import os
import platform
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import structlog
from django.conf import settings
from django.utils.translation import gettext as _

from apps.admin.metrics.summary import read_metrics
from apps.core.caching.stats import SharedTierUsage, shared_tier_usage
from apps.core.caching.tiers import get_cache
from apps.core.errors import DependencyUnavailable

audit = structlog.get_logger("collector.audit")


@dataclass(frozen=True, slots=True)
class ProcessTier:
    """What L1 of this process holds; ``process`` is ``host:pid``."""

    process: str
    entries: int
    bytes: int
    max_entries: int
    max_bytes: int
    ttl_seconds: float


@dataclass(frozen=True, slots=True)
class CacheStats:
    """What the caches hold now, and the reads of today as the metrics count them."""

    l1: ProcessTier
    l2: SharedTierUsage
    today: Mapping[str, Any]


def read_cache_stats() -> CacheStats:
    """Count what the caches hold.

    :raises redis.RedisError: when Redis does not respond.
    """
    l2 = shared_tier_usage()
    usage = get_cache().l1_usage()
    l1 = ProcessTier(
        process=f"{platform.node()}:{os.getpid()}",
        entries=usage.entries,
        bytes=usage.bytes,
        max_entries=usage.max_entries,
        max_bytes=usage.max_bytes,
        ttl_seconds=settings.L1_CACHE_TTL,
    )
    return CacheStats(l1, l2, read_metrics(days=1)["total"]["reads"])


def clear_l1(*, cleared_by: str) -> None:
    """Empty L1 in every process within a second.

    :raises DependencyUnavailable: when Redis does not respond. Then only this process has emptied its L1.
    """
    if not get_cache().clear_l1_everywhere():
        raise DependencyUnavailable(
            _("Redis does not respond, so only this process has emptied its cache."), detail="Redis"
        )
    audit.info("l1_cleared", cleared_by=cleared_by)
