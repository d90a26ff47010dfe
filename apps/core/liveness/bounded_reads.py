"""Asks several dependencies at once, with one deadline for all; what does not answer is told as unavailable.

For pages that must answer above all when something hangs.
"""

from __future__ import annotations

import contextvars
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import pymongo
import structlog
from django.conf import settings
from django.utils.translation import get_language, override
from django.utils.translation import gettext as _

from apps.core.storage.outages import is_mongo_outage, is_redis_silent, mongo_outage, redis_outage

logger = structlog.get_logger(__name__)

_OPERATIONS_END_BEFORE_SECONDS = 0.2


class Dependency(StrEnum):
    """What a part asks."""

    MONGODB = "mongodb"
    REDIS = "redis"


@dataclass(frozen=True, slots=True)
class Part:
    """One question, and the dependency it is asked of."""

    needs: Dependency
    read: Callable[[], Any]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a part: its data, or why there is none."""

    data: Any = None
    error: str | None = None

    @property
    def available(self) -> bool:
        """Whether the dependency has answered."""
        return self.error is None


def read_parts(parts: Mapping[str, Part]) -> dict[str, Outcome]:
    """Read all parts at once; returns at the deadline at the latest, with every part's outcome by name.

    A dependency that failed to answer a moment ago is not asked again. Whatever goes wrong in one part, the
    others are told.
    """
    language = get_language()  # of the reader; a thread begins without one
    deadline_seconds = settings.PARTS_DEADLINE_SECONDS
    limit_seconds = deadline_seconds - _OPERATIONS_END_BEFORE_SECONDS
    pool = ThreadPoolExecutor(max_workers=max(1, len(parts)), thread_name_prefix="part")
    try:
        futures = {
            name: pool.submit(contextvars.copy_context().run, _read, name, part, limit_seconds, language)
            for name, part in parts.items()
        }
        wait(futures.values(), timeout=deadline_seconds)
        return {name: _outcome_of(future) for name, future in futures.items()}
    finally:
        # Not waited for: each operation has a timeout, so that a thread left behind ends soon.
        pool.shutdown(wait=False, cancel_futures=True)


def _outcome_of(future: Future[Outcome]) -> Outcome:
    return future.result() if future.done() else Outcome(error=_("No answer in time."))


def _read(name: str, part: Part, limit_seconds: float, language: str | None) -> Outcome:
    with override(language):
        return _ask(name, part, limit_seconds)


def _ask(name: str, part: Part, limit_seconds: float) -> Outcome:
    outage = mongo_outage if part.needs is Dependency.MONGODB else redis_outage
    if outage.is_known:
        return Outcome(error=_("No answer a moment ago."))
    try:
        with pymongo.timeout(limit_seconds):
            return Outcome(part.read())
    except Exception as error:  # the other parts are told whatever is wrong with this one
        # No outage is noted: a slow count says little of whether MongoDB answers readers.
        if is_mongo_outage(error) or is_redis_silent(error):
            logger.warning("part_unavailable", part=name, error=type(error).__name__)
            return Outcome(error=_("No answer in time (%(error)s).") % {"error": type(error).__name__})
        logger.exception("part_failed", part=name)
        return Outcome(error=_("Failed (%(error)s).") % {"error": type(error).__name__})
