"""What counts as an outage of MongoDB or Redis, and a short memory of it in each process.

A hanging server costs every caller its timeout. After one timeout, :class:`Outage` lets the other callers of
this process skip the attempt for a moment if they have a fallback (a cached entry). One place per server
notes and forgets outages: :mod:`apps.core.storage.database.client` for MongoDB,
:mod:`apps.core.storage.redis` for Redis. All other code only reads them.
"""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Iterator

import redis
from django.conf import settings
from pymongo import errors as pymongo_errors

from apps.core import process_state

# redis-py has classes for these; the other refusals are known by a word of the reply.
_REFUSALS = (
    redis.exceptions.OutOfMemoryError,
    redis.exceptions.ReadOnlyError,
    redis.exceptions.NoPermissionError,
    redis.exceptions.ClusterDownError,
    redis.exceptions.MasterDownError,
    redis.exceptions.TryAgainError,
)
# The first word of the reply; older servers put it inside a longer text.
_REFUSAL_WORDS = re.compile(r"\b(OOM|READONLY|MISCONF|NOREPLICAS|BUSY) ")


class Outage:
    """Remembers for a moment that a dependency did not answer; one per process, safe between threads."""

    def __init__(self) -> None:
        self._until = 0.0  # 0: no failure since the last success
        self._lock = threading.Lock()

    @property
    def is_known(self) -> bool:
        """Whether the dependency failed within the last moment."""
        return time.monotonic() < self._until

    def admit(self) -> bool:
        """Whether a caller that has a fallback should try the dependency.

        False while the outage is known. After that, one caller tries. For the others the outage counts as
        known until that caller has a result.
        """
        with self._lock:
            if self.is_known:
                return False
            if self._until:
                self.note()
            return True

    def note(self) -> None:
        """Remember a failure that has just happened."""
        self._until = time.monotonic() + settings.OUTAGE_REMEMBERED_SECONDS

    def forget(self) -> None:
        """Forget the outage: the dependency has answered."""
        self._until = 0.0


mongo_outage = Outage()
redis_outage = Outage()
redis_refusal = Outage()  # Redis answers but refuses commands; reads go on
process_state.register(mongo_outage.forget)
process_state.register(redis_outage.forget)
process_state.register(redis_refusal.forget)


def is_mongo_outage(error: BaseException) -> bool:
    """Whether this error, or one that caused it, means that MongoDB did not respond."""
    return any(is_mongo_silent(one) for one in _chain(error))


def is_mongo_silent(error: BaseException) -> bool:
    """Whether this error itself, regardless of its causes, means that MongoDB did not respond."""
    return isinstance(error, pymongo_errors.ConnectionFailure | pymongo_errors.ExecutionTimeout) or (
        isinstance(error, pymongo_errors.PyMongoError) and error.timeout
    )


def is_redis_outage(error: BaseException) -> bool:
    """Whether this error, or one that caused it, means that Redis cannot serve now: silent or refusing."""
    return is_redis_silent(error) or is_redis_refusal(error)


def is_redis_silent(error: BaseException) -> bool:
    """Whether this error, or one that caused it, means that Redis did not respond."""
    return any(isinstance(one, redis.ConnectionError | redis.TimeoutError) for one in _chain(error))


def is_redis_refusal(error: BaseException) -> bool:
    """Whether this error, or one that caused it, means that Redis refused a command because of its state.

    Examples: its memory is full, it cannot write to its disk, it is a read-only replica.
    """
    return any(
        isinstance(one, _REFUSALS)
        or (isinstance(one, redis.ResponseError) and _REFUSAL_WORDS.search(str(one)) is not None)
        for one in _chain(error)
    )


def _chain(error: BaseException) -> Iterator[BaseException]:
    seen: set[int] = set()
    current: BaseException | None = error
    while current is not None and id(current) not in seen:
        seen.add(id(current))
        yield current
        current = current.__cause__ or current.__context__
