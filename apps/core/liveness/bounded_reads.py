"""Asks several at once, with one deadline for all; what does not answer is told as unavailable.

For whatever must answer above all when something hangs: pages, probes, the diagnosis.
"""

from __future__ import annotations

import contextvars
import threading
from collections.abc import Callable, Mapping
from concurrent.futures import Future, wait
from dataclasses import dataclass
from enum import StrEnum
from functools import partial
from typing import Any, TypeVar

import structlog
from django.conf import settings
from django.utils.translation import get_language, override
from django.utils.translation import gettext as _

from apps.core.storage.database.client import heavy_operations
from apps.core.storage.outages import is_mongo_outage, is_redis_silent, mongo_outage, redis_outage

T = TypeVar("T")

logger = structlog.get_logger(__name__)

# An operation that gives up by itself says why; it needs this much time to do so before the deadline.
GRACE_SECONDS = 0.2


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
class PartResult:
    """What became of a part: its data, or why there is none."""

    data: Any = None
    error: str | None = None

    @property
    def available(self) -> bool:
        """Whether the dependency has answered."""
        return self.error is None


def ask_all(
    asks: Mapping[str, Callable[[], T]], *, deadline_seconds: float, late: Callable[[str], T]
) -> dict[str, T]:
    """Call all of them at once; returns at the deadline at the latest, with what each returned, by name.

    ``late(name)`` stands for one that has not returned by then. Each runs in a copy of the caller's context
    and in the caller's language. What one raises in time is raised here.
    """
    futures = {name: _start(name, ask) for name, ask in asks.items()}
    wait(futures.values(), timeout=deadline_seconds)
    return {name: future.result() if future.done() else late(name) for name, future in futures.items()}


def _start(name: str, ask: Callable[[], T]) -> Future[T]:
    future: Future[T] = Future()
    context = contextvars.copy_context()
    language = get_language()  # it is bound to its thread, and no part of the context

    def answer() -> None:
        try:
            with override(language):
                future.set_result(ask())
        except BaseException as error:  # noqa: BLE001 - raised where the future is read
            future.set_exception(error)

    # A daemon and no pool: a pool's thread would keep the process from ending while a server hangs.
    threading.Thread(target=context.run, args=(answer,), name=f"ask-{name}", daemon=True).start()
    return future


def read_parts(parts: Mapping[str, Part]) -> dict[str, PartResult]:
    """Read all parts at once; returns at the deadline at the latest, with every part's result by name.

    A dependency that failed to answer a moment ago is not asked again. Whatever goes wrong in one part, the
    others are told.
    """
    deadline_seconds = settings.PARTS_DEADLINE_SECONDS
    limit_seconds = deadline_seconds - GRACE_SECONDS
    return ask_all(
        {name: partial(_read, name, part, limit_seconds) for name, part in parts.items()},
        deadline_seconds=deadline_seconds,
        late=lambda _name: PartResult(error=_("No answer in time.")),
    )


def _read(name: str, part: Part, limit_seconds: float) -> PartResult:
    outage = mongo_outage if part.needs is Dependency.MONGODB else redis_outage
    if outage.is_known:
        return PartResult(error=_("No answer a moment ago."))
    try:
        # A slow count says little of whether MongoDB answers readers.
        with heavy_operations(limit_seconds):
            return PartResult(part.read())
    except Exception as error:  # the other parts are told whatever is wrong with this one
        if is_mongo_outage(error) or is_redis_silent(error):
            logger.warning("part_unavailable", part=name, error=type(error).__name__)
            return PartResult(error=_("No answer in time (%(error)s).") % {"error": type(error).__name__})
        logger.exception("part_failed", part=name)
        return PartResult(error=_("Failed (%(error)s).") % {"error": type(error).__name__})
