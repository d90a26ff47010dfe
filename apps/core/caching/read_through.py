"""Read-through: serves a cached entry or builds one; in an outage, serves the last known entry."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import structlog
from django.db import Error as DatabaseError
from pymongo.errors import PyMongoError

from apps.core.caching.entry import Built, Entry
from apps.core.caching.tiers import Tier, TieredCache, get_cache
from apps.core.storage.clock import unix_now
from apps.core.storage.outages import is_mongo_outage, mongo_outage

logger = structlog.get_logger(__name__)

T = TypeVar("T")
B = TypeVar("B", bound=Built)


class NothingKnown(Exception):
    """No last known value exists."""


@dataclass(frozen=True, slots=True)
class Found(Generic[B]):
    """An entry, its place in the caches, and the tier it comes from.

    ``built`` is set if the entry was built for this caller (tier l3).
    ``is_shared`` is false when Redis did not respond: L2 will not hold what was built.
    """

    group: str
    field: str
    entry: Entry
    tier: Tier
    built: B | None = None
    is_shared: bool = True


def get_or_build(
    group: str,
    field: str,
    build: Callable[[], B],
    *,
    accepts_stale: Callable[[Entry], bool] = lambda _: False,
    cache: TieredCache | None = None,
) -> Found[B]:
    """Return the cached entry if it is fresh or ``accepts_stale`` allows it; otherwise build and cache one.

    While MongoDB is down, the last known entry is returned, however old. An error of ``build`` is raised and
    nothing is cached; a database error is raised only if no entry is known.
    """
    tiers = cache or get_cache()
    lookup = tiers.lookup(
        group, field, accepts=lambda entry: entry.is_fresh(unix_now()) or accepts_stale(entry)
    )
    if lookup.entry is not None and lookup.tier is not None:
        return Found(group, field, lookup.entry, lookup.tier)
    is_shared = lookup.ticket.epoch is not None

    def build_and_fill() -> Found[B]:
        built = build()
        tiers.fill(lookup.ticket, built.entry)
        return Found(group, field, built.entry, "l3", built, is_shared)

    def recall() -> Found[B]:
        known = tiers.last_known(group, field)
        if known is None:
            raise NothingKnown
        return Found(group, field, known, "l1", is_shared=is_shared)

    return build_or_recall(build_and_fill, recall, event="entry_without_mongodb", group=group)


def build_or_recall(build: Callable[[], T], recall: Callable[[], T], *, event: str, **facts: Any) -> T:
    """Return the result of ``build``, which reads the database, or of ``recall`` if the database fails.

    In a known outage of MongoDB, ``recall`` is called first, and ``build`` only if nothing is known. A
    failed ``build`` is logged as ``event`` with the ``facts``.

    :param recall: returns the last known value. It raises :class:`NothingKnown` when there is none; then the
        result of ``build`` is returned or its error raised. Other errors of ``recall`` are raised.
    """
    if not mongo_outage.admit():
        with contextlib.suppress(NothingKnown):
            return recall()
    try:
        return build()
    except (DatabaseError, PyMongoError) as error:
        # Many readers meet the same outage, so it has no traceback. Any other error is a fault to
        # investigate.
        logger.warning(event, error=type(error).__name__, exc_info=not is_mongo_outage(error), **facts)
        with contextlib.suppress(NothingKnown):
            return recall()
        raise
