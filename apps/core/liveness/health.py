"""Health checks, each within a time limit: MongoDB and Redis answer, and a worker is alive."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from typing import TypedDict

import pymongo
import structlog
from django.conf import settings
from django.db.utils import DatabaseError
from pymongo.errors import PyMongoError
from redis import RedisError

from apps.core.liveness.bounded_reads import GRACE_SECONDS, call_all
from apps.core.liveness.processes import newest_heartbeat, silence_remark, worker_problem
from apps.core.storage import mongo
from apps.core.storage.redis import get_redis

logger = structlog.get_logger(__name__)


class DependencyState(TypedDict):
    """The state of one dependency: whether it answered, after how long, and the error or a remark if any."""

    ok: bool
    latency_ms: float
    error: str | None


class NoWorkerError(Exception):
    """No worker has reported recently; the text says since when."""


def check_dependencies() -> dict[str, DependencyState]:
    """Check MongoDB, Redis and the heartbeats of workers at once; returns their states by name."""
    checks: dict[str, Callable[[], str | None]] = {
        "mongodb": _ping_mongo,
        "redis": _ping_redis,
        "worker": _check_worker,
    }
    deadline_seconds = settings.HEALTH_CHECK_TIMEOUT_SECONDS + GRACE_SECONDS
    return call_all(
        {name: partial(_state_of, check) for name, check in checks.items()},
        deadline_seconds=deadline_seconds,
        late=lambda _name: _down(TimeoutError.__name__, deadline_seconds),
    )


def _ping_mongo() -> None:
    with pymongo.timeout(settings.HEALTH_CHECK_TIMEOUT_SECONDS):
        mongo.ping()


def _ping_redis() -> None:
    get_redis().ping()


def _check_worker() -> str | None:
    with pymongo.timeout(settings.HEALTH_CHECK_TIMEOUT_SECONDS):
        problem = worker_problem(newest_heartbeat())
    if problem is not None:
        raise NoWorkerError(problem)
    return silence_remark()


def _state_of(check: Callable[[], str | None]) -> DependencyState:
    started = time.monotonic()
    is_ok, error = True, None
    try:
        error = check()
    except NoWorkerError as failure:
        is_ok, error = False, str(failure)
    except (PyMongoError, DatabaseError, RedisError) as failure:
        return _down(type(failure).__name__, time.monotonic() - started)
    return _state(error, time.monotonic() - started, is_ok=is_ok)


def _down(error: str, seconds: float) -> DependencyState:
    logger.warning("dependency_down", error=error)
    return _state(error, seconds, is_ok=False)


def _state(error: str | None, seconds: float, *, is_ok: bool) -> DependencyState:
    return {"ok": is_ok, "latency_ms": round(seconds * 1000, 1), "error": error}
