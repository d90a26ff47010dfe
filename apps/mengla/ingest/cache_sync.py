"""Notifies the caches of stored records, also after a process was killed.

A collection is marked before its answer is stored, and the mark is removed once the caches are notified. The
tick notifies the caches of collections that are still marked.
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
from apps.mengla.queue.documents import has_reader
from apps.mengla.store import selectors
from apps.mengla.store.figures import NothingStored, build_stored, cache_field


def refresh_cache(query: DataQuery, *, has_reader: bool) -> bool:
    """Replace the query's entries in the caches by what is stored; False when Redis is down.

    Figures that no reader has requested (``has_reader``) and no cache holds are only dropped: a run collects
    many that may never be read, and the first reader of them builds their entry.
    """
    tiers, field = get_cache(), cache_field(query)
    # Which ranges of a trend will be read is not known.
    is_kept = not query.is_trend and (has_reader or tiers.holds(query.cache_group, field))
    is_notified = tiers.invalidate(query.cache_group)
    if is_notified and is_kept:
        with contextlib.suppress(NothingStored):
            get_or_build(query.cache_group, field, partial(build_stored, query))
    return is_notified


def notify_caches_again(*, limit: int = 200) -> int:
    """Notify the caches of the collections that are still marked; returns their number. Part of the tick.

    A mark stays when the process was killed, or when Redis was down.
    """
    pending = collection_of(Collection).find({"is_cache_pending": True}).limit(limit)
    notified = [
        one["_id"] for one in pending if refresh_cache(selectors.query_of(one), has_reader=has_reader(one))
    ]
    if notified:
        jobs.unmark_cache_pending(notified)
    return len(notified)
