"""Tells the caches what is stored, and sees to it that they hear of it whoever is killed.

Before an answer is stored its collection is marked; the mark goes when the caches know. What is still marked
is told by the tick.
"""

from __future__ import annotations

import contextlib
from functools import partial

from apps.core.caching.read_through import get_or_build
from apps.core.caching.tiers import get_cache
from apps.core.storage.mongo import collection_of
from apps.mengla.models import Collection
from apps.mengla.queries.data_query import DataQuery
from apps.mengla.queue import jobs
from apps.mengla.store import selectors
from apps.mengla.store.figures import NothingStored, build_stored

RECORD_FIELD = "-"


def refresh_cache(query: DataQuery) -> bool:
    """Replace what the caches hold of this answer by what is stored; False when Redis is down."""
    is_notified = get_cache().invalidate(query.cache_group)
    if is_notified and not query.is_trend:  # of a trend nobody knows which ranges will be read
        with contextlib.suppress(NothingStored):
            get_or_build(query.cache_group, RECORD_FIELD, partial(build_stored, query))
    return is_notified


def notify_caches_again(*, limit: int = 200) -> int:
    """Tell the caches of answers whose process was killed, or Redis down, before they knew; returns how many.

    Part of the tick.
    """
    pending = collection_of(Collection).find({"is_cache_pending": True}).limit(limit)
    told = [one["_id"] for one in pending if refresh_cache(selectors.query_of(one))]
    if told:
        jobs.unmark_cache_pending(told)
    return len(told)
