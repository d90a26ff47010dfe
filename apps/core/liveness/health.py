"""Whether the things we depend on answer, each asked for a bounded time, and whether a worker lives."""

from __future__ import annotations

import contextvars
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypedDict

import pymongo
import structlog
from django.conf import settings
from django.db.utils import DatabaseError
from pymongo.errors import PyMongoError
from redis import RedisError

from apps.core.liveness.heartbeats import worker_problem
from apps.core.storage import mongo
from apps.core.storage.redis import get_redis

logger = structlog.get_logger(__name__)


class DependencyState(TypedDict):
    """The state of one dependency: whether it answered, after how long, and what went wrong."""

    ok: bool
    latency_ms: float
    error: str | None


class NoWorkerError(Exception):
    """No worker has shown a sign of life lately; the text says since when."""


def check_dependencies() -> dict[str, DependencyState]:
    """Ask for MongoDB, Redis and a worker's heartbeat at once, each for a bounded time."""
    checks: dict[str, Callable[[], Any]] = {
        "mongodb": _ping_mongo,
        "redis": lambda: get_redis().ping(),
        "worker": _look_for_worker,
    }
    with ThreadPoolExecutor(max_workers=len(checks), thread_name_prefix="health") as pool:
        # Each thread in a copy of the context: what it logs names the request, too.
        states = {
            name: pool.submit(contextvars.copy_context().run, _state_of, check)
            for name, check in checks.items()
        }
        return {name: state.result() for name, state in states.items()}


def _ping_mongo() -> None:
    with pymongo.timeout(settings.HEALTH_CHECK_TIMEOUT_SECONDS):
        mongo.ping()


def _look_for_worker() -> None:
    with pymongo.timeout(settings.HEALTH_CHECK_TIMEOUT_SECONDS):
        problem = worker_problem()
    if problem is not None:
        raise NoWorkerError(problem)


def _state_of(check: Callable[[], Any]) -> DependencyState:
    started = time.monotonic()
    error: str | None = None
    try:
        check()
    except NoWorkerError as failure:
        error = str(failure)
    except (PyMongoError, DatabaseError, RedisError) as failure:
        error = type(failure).__name__
        logger.warning("dependency_down", error=error)
    return {
        "ok": error is None,
        "latency_ms": round((time.monotonic() - started) * 1000, 1),
        "error": error,
    }
