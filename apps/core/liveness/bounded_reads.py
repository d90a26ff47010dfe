"""Runs several reads at once with one deadline for all; a read that misses it is reported as unavailable.

For code that must respond even when a server hangs: pages, probes, the diagnosis.
"""

from __future__ import annotations

import contextvars
import threading
import time
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

# Operations time out this much before the deadline, because their own errors say what went wrong.
GRACE_SECONDS = 0.2


class Dependency(StrEnum):
    """The server that a part reads from."""

    MONGODB = "mongodb"
    REDIS = "redis"


@dataclass(frozen=True, slots=True)
class Part:
    """One part of a page or response: how it is read, and the dependency that it needs."""

    needs: Dependency
    read: Callable[[], Any]


@dataclass(frozen=True, slots=True)
class PartResult:
    """The result of a part: its data, or the reason why there is none."""

    data: Any = None
    error: str | None = None

    @property
    def available(self) -> bool:
        """Whether the part has data."""
        return self.error is None


def latency_of(ask: Callable[[], object]) -> dict[str, Any]:
    """Ask a server something small; returns how long the answer took, as ``latency_ms``."""
    begun_at = time.perf_counter()
    ask()
    return {"latency_ms": round((time.perf_counter() - begun_at) * 1000, 1)}


def call_all(
    calls: Mapping[str, Callable[[], T]], *, deadline_seconds: float, late: Callable[[str], T]
) -> dict[str, T]:
    """Make all ``calls`` at once and return their results by name, at the deadline at the latest.

    ``late(name)`` supplies the result of a call that has not returned by then. Each call runs in a copy of
    the caller's context and in the caller's language. An error that a call raises in time is raised here.
    """
    futures = {name: _start(name, call) for name, call in calls.items()}
    wait(futures.values(), timeout=deadline_seconds)
    return {name: future.result() if future.done() else late(name) for name, future in futures.items()}


def _start(name: str, call: Callable[[], T]) -> Future[T]:
    future: Future[T] = Future()
    context = contextvars.copy_context()
    language = get_language()  # it belongs to the thread, not to the context

    def run() -> None:
        try:
            with override(language):
                future.set_result(call())
        except BaseException as error:  # noqa: BLE001 - raised where the future is read
            future.set_exception(error)

    # A daemon thread, not a pool: the process could not end while a thread of a pool waits for a server.
    threading.Thread(target=context.run, args=(run,), name=f"call-{name}", daemon=True).start()
    return future


def read_parts(parts: Mapping[str, Part]) -> dict[str, PartResult]:
    """Read all parts at once and return their results by name, at the deadline at the latest.

    A dependency in a known outage is not tried. An error in one part does not affect the others.
    """
    deadline_seconds = settings.PARTS_DEADLINE_SECONDS
    limit_seconds = deadline_seconds - GRACE_SECONDS
    return call_all(
        {name: partial(_read, name, part, limit_seconds) for name, part in parts.items()},
        deadline_seconds=deadline_seconds,
        late=lambda _name: PartResult(error=_("No response in time.")),
    )


def _read(name: str, part: Part, limit_seconds: float) -> PartResult:
    outage = mongo_outage if part.needs is Dependency.MONGODB else redis_outage
    if outage.is_known:
        return PartResult(error=_("It did not respond a moment ago."))
    try:
        # A slow count does not mean that MongoDB is down.
        with heavy_operations(limit_seconds):
            return PartResult(part.read())
    except Exception as error:  # an error must not affect the other parts
        if is_mongo_outage(error) or is_redis_silent(error):
            logger.warning("part_unavailable", part=name, error=type(error).__name__)
            return PartResult(error=_("No response in time (%(error)s).") % {"error": type(error).__name__})
        logger.exception("part_failed", part=name)
        return PartResult(error=_("Failed (%(error)s).") % {"error": type(error).__name__})
