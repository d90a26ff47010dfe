"""The read path: L1, L2, then the stored records; missing or stale figures are collected in the background.

A reader waits for the collection service only if it asks to (``wait``).
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal

import structlog
from cachetools import TTLCache
from django.utils.translation import gettext as _

from apps.categories.entries import is_known
from apps.core import process_state
from apps.core.caching.entry import Entry
from apps.core.caching.read_through import Found, build_or_recall, get_or_build
from apps.core.caching.tiers import get_cache
from apps.core.storage.clock import unix_now
from apps.core.storage.mongo import collection_of, utc_now
from apps.core.storage.outages import mongo_outage
from apps.core.web_threads import Places, places_for_half
from apps.mengla.choices import CollectionError, CollectionStatus, Priority
from apps.mengla.errors import CollectFailed, CollectTimeout, TooManyWaiting, UnknownCategory
from apps.mengla.models import Collection
from apps.mengla.queries.data_query import DataQuery
from apps.mengla.queue import jobs
from apps.mengla.queue.documents import active_filter
from apps.mengla.queue.wakeup import wake_dispatcher
from apps.mengla.store import outcomes, selectors
from apps.mengla.store.figures import (
    EMPTY,
    FRESHNESS_HEADER,
    PARTIAL_HEADER,
    BuiltFigures,
    NothingStored,
    RecordSet,
    build_stored,
    cache_field,
    record_set_of,
)
from apps.mengla.store.outcomes import ReadResult

logger = structlog.get_logger(__name__)

Source = Literal["l1", "l2", "l3", "fresh"]
Enqueue = Callable[..., jobs.Enqueued]  # enqueues a query for the caller, at a reader's priority
MAX_WAIT_SECONDS = 30
_WAIT_POLL_SECONDS = 0.1
_JOINED_SECONDS = 1.0
_REFRESH_PAUSE_SECONDS = 5.0
_REFRESH_PAUSE_AFTER_FAILURE_SECONDS = 60.0
_UNSUCCESSFUL_STATUSES = (CollectionStatus.FAILED, CollectionStatus.CANCELLED)


@dataclass(frozen=True, slots=True)
class Hit:
    """An entry with figures, or one that says that there are none; it is ready to be sent.

    ``is_incomplete``: points of a trend are not stored yet. They are being collected.
    """

    entry: Entry
    source: Source
    is_fresh: bool
    is_incomplete: bool = False

    @property
    def is_empty(self) -> bool:
        """Whether the service had no figures."""
        return self.entry.headers.get(FRESHNESS_HEADER) == EMPTY

    @property
    def result(self) -> ReadResult:
        """How the read is counted, if it is served from a tier."""
        if self.is_empty:
            return ReadResult.EMPTY
        return ReadResult.FRESH if self.is_fresh else ReadResult.STALE


@dataclass(frozen=True, slots=True)
class Miss:
    """Nothing is stored. The collection has been enqueued; it may have ended meanwhile."""

    collection: dict[str, Any]


def read(
    query: DataQuery,
    *,
    requested_by: str,
    caller: str = "",
    wait_seconds: float = 0,
    is_refresh: bool = False,
) -> Hit | Miss:
    """Return the stored figures of a query, or a miss; enqueue what is missing or stale.

    With ``wait_seconds`` a miss, an incomplete trend or a refresh waits that long for its collection.
    ``is_refresh``: skip the caches and the records, and collect in any case.

    :param requested_by: the name of the caller, for people.
    :param caller: the key of the caller, whose waiting collections are counted; by default its name.
    :raises TooManyWaiting: when nothing is stored and too many collections of the caller wait.
    :raises UnknownCategory: when nothing is stored and there is no such category.
    :raises CollectFailed: when the awaited collection failed or was cancelled.
    :raises CollectTimeout: when the awaited collection got no answer from the service in time.
    """
    with outcomes.reading(query.action, is_refresh=is_refresh, is_timed=wait_seconds == 0) as reading:
        enqueue = partial(_enqueue, requested_by=requested_by, caller=caller or requested_by)
        found = _read(query, enqueue, wait_seconds=wait_seconds, is_refresh=is_refresh)
        _set_result(reading, found)
    return found


def read_stored(query: DataQuery) -> Hit | Miss | None:
    """Return the stored figures for a caller that may not enqueue collections.

    It enqueues nothing, refreshes nothing and counts nothing. A miss holds a collection that another caller
    has enqueued; None means that nothing is stored and no collection is under way.

    :raises UnknownCategory: when nothing is stored and there is no such category.
    """
    with contextlib.suppress(NothingStored):
        return _hit_of(_find(query, accepts_stale=lambda _: True))
    _check_category(query)
    collection = collection_of(Collection).find_one(active_filter(query.identity))
    return None if collection is None else Miss(collection)


def _set_result(reading: outcomes.Reading, found: Hit | Miss) -> None:
    """Set the source and the result that the read is counted with."""
    if isinstance(found, Miss):
        reading.result = ReadResult.COLLECTING
    elif found.source == "fresh":
        reading.result = ReadResult.COLLECTED
    else:
        reading.source, reading.result = found.source, found.result


def _read(query: DataQuery, enqueue: Enqueue, *, wait_seconds: float, is_refresh: bool) -> Hit | Miss:
    if is_refresh:
        _check_category(query)
        enqueued = enqueue(query, is_forced=True)
        return _await_or_miss(query, enqueued.collection, wait_seconds)
    try:
        found = _find(query, accepts_stale=lambda one: wait_seconds == 0 or PARTIAL_HEADER not in one.headers)
    except NothingStored:
        if wait_seconds == 0 and (collection := _recently_joined(query)) is not None:
            return Miss(collection)
        _check_category(query)
        enqueued = enqueue(query)
        with _recent_lock:
            recently_joined[query.identity] = enqueued.collection_id
        return _await_or_miss(query, enqueued.collection, wait_seconds)
    hit = _hit_of(found)
    if found.built is not None:
        return _serve_built(query, found.built, hit, enqueue, wait_seconds=wait_seconds)
    if hit.is_fresh:
        return hit
    return _refresh_in_background(query, found.entry, enqueue) or hit


def _find(query: DataQuery, *, accepts_stale: Callable[[Entry], bool]) -> Found[BuiltFigures]:
    """Return the entry of the caches, or build it from the records.

    :raises NothingStored: when the records are not enough to serve the query.
    """
    return get_or_build(
        query.cache_group, cache_field(query), partial(build_stored, query), accepts_stale=accepts_stale
    )


def _hit_of(found: Found[BuiltFigures]) -> Hit:
    is_fresh = found.entry.is_fresh(unix_now())
    if found.built is not None:
        is_incomplete = found.built.is_incomplete
    else:  # an entry without all points is never fresh; one that is partial and fresh has all there are
        is_incomplete = not is_fresh and PARTIAL_HEADER in found.entry.headers
    return Hit(found.entry, found.tier, is_fresh=is_fresh, is_incomplete=is_incomplete)


def _serve_built(
    query: DataQuery, built: BuiltFigures, stored: Hit, enqueue: Enqueue, *, wait_seconds: float
) -> Hit:
    """Return figures just built from the records; enqueue what is missing or stale.

    With ``wait_seconds`` an incomplete trend waits for its missing points. A failure of the database here
    never reaches the reader: the stored figures are served.
    """

    def refresh() -> Hit:
        enqueued_id = _refresh(query, built.records, enqueue)
        if built.is_incomplete and wait_seconds > 0 and enqueued_id is not None:
            return _await_or_stored(query, enqueued_id, wait_seconds, stored)
        return stored

    if not built.to_collect:
        return stored
    return build_or_recall(refresh, lambda: stored, event="refresh_not_enqueued", identity=query.identity)


def _check_category(query: DataQuery) -> None:
    if query.cat_id and not is_known(query.cat_id):
        raise UnknownCategory


def _enqueue(query: DataQuery, *, requested_by: str, caller: str, is_forced: bool = False) -> jobs.Enqueued:
    enqueued = jobs.enqueue(
        query, priority=Priority.READER, requested_by=requested_by, caller=caller, is_forced=is_forced
    )
    wake_dispatcher()
    return enqueued


# The collections that readers of this process have enqueued or joined a moment ago, by identity.
recently_joined: TTLCache[str, Any] = TTLCache(maxsize=10_000, ttl=_JOINED_SECONDS)
recently_refreshed: TTLCache[str, None] = TTLCache(maxsize=10_000, ttl=_REFRESH_PAUSE_SECONDS)
_recent_lock = threading.Lock()
process_state.register(recently_joined.clear)
process_state.register(recently_refreshed.clear)


def _recently_joined(query: DataQuery) -> dict[str, Any] | None:
    """Return the collection that a reader of this process has just joined, if it is still under way.

    To join it again would change nothing: it is marked and the dispatcher is woken. So a reader who polls
    costs no write.
    """
    with _recent_lock:
        collection_id = recently_joined.get(query.identity)
    collection = selectors.find_collection(str(collection_id)) if collection_id else None
    return collection if collection and collection["active_key"] is not None else None


# --- Refreshing in the background -----------------------------------------------------------------


def _refresh_in_background(query: DataQuery, entry: Entry, enqueue: Enqueue) -> Hit | None:
    """Enqueue the refresh of a stale entry; returns a newer hit when newer records are stored already.

    At most once in five seconds per query and process. A failure of the database here never reaches the
    reader: the stale entry is served.
    """
    with _recent_lock:
        if query.identity in recently_refreshed or mongo_outage.is_known:
            return None
        recently_refreshed[query.identity] = None

    def find_newer() -> Hit | None:
        records = record_set_of(query, selectors.find_records_without_figures(query), now=utc_now())
        if records is None or records.to_collect:
            _refresh(query, records, enqueue)
        is_newer = records is not None and records.version != entry.version
        return _replace_cached(query) if is_newer else None

    return build_or_recall(find_newer, lambda: None, event="refresh_not_enqueued", identity=query.identity)


def _replace_cached(query: DataQuery) -> Hit | None:
    """Replace outdated entries in all caches; returns the newer figures.

    The process that stored the newer records was killed before it notified the caches.
    """
    logger.warning("cache_behind_store", identity=query.identity)
    get_cache().invalidate(query.cache_group)
    with contextlib.suppress(NothingStored):
        return _hit_of(_find(query, accepts_stale=lambda _: True))
    return None


def _refresh(query: DataQuery, records: RecordSet | None, enqueue: Enqueue) -> Any:
    """Enqueue what is missing or stale and return the collection's id.

    Returns None when nothing is missing and the last try failed within a minute, or when too many collections
    of the caller wait: then the stored figures are served, and a later read refreshes them.
    """
    wanted = (
        query.narrowed(records.to_collect[0], records.to_collect[-1]) if records and query.is_trend else query
    )
    is_missing = records is None or records.is_incomplete
    if not is_missing and selectors.failed_recently(
        wanted.identity, within_seconds=_REFRESH_PAUSE_AFTER_FAILURE_SECONDS
    ):
        return None
    with contextlib.suppress(TooManyWaiting):
        return enqueue(wanted).collection_id
    return None


# --- Waiting --------------------------------------------------------------------------------------


@process_state.made_once
def _waiting_places() -> Places:
    """Return the limit on the threads of this process that wait for collections."""
    return places_for_half()


def _wait_for_end(collection_id: Any, wait_seconds: float) -> dict[str, Any]:
    """Wait until the collection has ended and return it.

    It is returned unfinished when the time is over, or at once when too many threads wait already.

    :raises CollectFailed: when the collection was deleted.
    """

    def current() -> dict[str, Any]:
        collection = selectors.find_collection(str(collection_id))
        if collection is None:  # only a purge deletes an active collection
            raise CollectFailed(_("The collection was deleted."))
        return collection

    def wait() -> dict[str, Any]:
        deadline = time.monotonic() + min(wait_seconds, MAX_WAIT_SECONDS)
        while True:
            collection = current()
            remaining = deadline - time.monotonic()
            if collection["active_key"] is None or remaining <= 0:
                return collection
            time.sleep(min(_WAIT_POLL_SECONDS, remaining))

    with _waiting_places().claim() as has_place:
        return wait() if has_place else current()


def _await_or_miss(query: DataQuery, collection: dict[str, Any], wait_seconds: float) -> Hit | Miss:
    if wait_seconds > 0:
        collection = _wait_for_end(collection["_id"], wait_seconds)
    if collection["active_key"] is not None:
        return Miss(collection)
    if collection["status"] in _UNSUCCESSFUL_STATUSES:
        raise _failure_of(collection)
    try:
        built = build_stored(query)
    except NothingStored:
        # It failed, was cancelled or its records have expired: the next read enqueues it again.
        return Miss(collection)
    return _collected(built)


def _await_or_stored(query: DataQuery, collection_id: Any, wait_seconds: float, stored: Hit) -> Hit:
    """Wait for the missing points of a trend; if they do not come, return the stored points."""
    collection = _wait_for_end(collection_id, wait_seconds)
    if collection["active_key"] is not None or collection["status"] in _UNSUCCESSFUL_STATUSES:
        return stored
    with contextlib.suppress(NothingStored):
        built = build_stored(query)
        return _collected(built)
    return stored


def _collected(built: BuiltFigures) -> Hit:
    is_fresh = not built.to_collect
    return Hit(built.entry, "fresh", is_fresh=is_fresh, is_incomplete=built.is_incomplete)


def _failure_of(collection: dict[str, Any]) -> CollectFailed | CollectTimeout:
    if collection["status"] == CollectionStatus.CANCELLED:
        return CollectFailed(_("The collection of these figures was cancelled."))
    error = CollectTimeout if collection["error_code"] == CollectionError.TIMEOUT else CollectFailed
    return error(
        _("The collection service could not deliver these figures."),
        detail=f"{collection['error_code']}: {collection['error_message']}",
    )
