"""Reading through the caches: served from there or built; in an outage the last known entry is served."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import structlog
from django.db import Error as DatabaseError
from pymongo.errors import PyMongoError

from apps.core.caching.entry import Built, Entry
from apps.core.caching.tiers import Tier, TieredCache, get_cache
from apps.core.storage.outages import is_mongo_outage, mongo_outage

logger = structlog.get_logger(__name__)

T = TypeVar("T")
B = TypeVar("B", bound=Built)


class NothingKnown(Exception):
    """There is no last known value."""


@dataclass(frozen=True, slots=True)
class Found(Generic[B]):
    """An entry, and where it comes from: a tier, or ``built`` if it was built for this caller.

    ``is_shared`` is false when L2 could not be asked, and will not hold what was built.
    """

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
    """Return the entry of the tiers if it is fresh or ``accepts_stale`` says yes, else build and keep it.

    While MongoDB does not answer, the last entry known is returned however old. Whatever ``build`` raises
    passes through, and nothing is kept then; an error of the database only if no entry is known.
    """
    tiers = cache or get_cache()
    lookup = tiers.lookup(
        group, field, accepts=lambda entry: entry.is_fresh(time.time()) or accepts_stale(entry)
    )
    if lookup.entry is not None and lookup.tier is not None:
        return Found(lookup.entry, lookup.tier)
    is_shared = lookup.ticket.epoch is not None

    def build_and_keep() -> Found[B]:
        built = build()
        tiers.fill(lookup.ticket, built.entry)
        return Found(built.entry, "l3", built, is_shared)

    def recall() -> Found[B]:
        known = tiers.last_known(group, field)
        if known is None:
            raise NothingKnown
        return Found(known, "l1", is_shared=is_shared)

    return build_or_recall(build_and_keep, recall, event="entry_without_mongodb", group=group)


def build_or_recall(build: Callable[[], T], recall: Callable[[], T], *, event: str, **facts: Any) -> T:
    """Return what ``build`` makes of the database or, if it cannot be asked, what ``recall`` knows of before.

    While MongoDB is known to be out it is not asked, if anything is known. A failure to build is
    logged as ``event`` with the ``facts``.

    :param recall: raises :class:`NothingKnown` to leave it to ``build`` and its error; any other error of it
        is final.
    """
    if not mongo_outage.admit():
        with contextlib.suppress(NothingKnown):
            return recall()
    try:
        return build()
    except (DatabaseError, PyMongoError) as error:
        # An outage is met by many readers; any other error is a fault that somebody has to look into.
        logger.warning(event, error=type(error).__name__, exc_info=not is_mongo_outage(error), **facts)
        with contextlib.suppress(NothingKnown):
            return recall()
        raise
