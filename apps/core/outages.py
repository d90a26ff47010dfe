"""What counts as MongoDB or Redis being down, and a short memory of it in each process.

A hanging server costs every caller its timeout. After one caller has paid, :class:`Outage` lets the others
of this process skip the attempt for a moment where they have something else to offer (a cached answer).
"""

from __future__ import annotations

import time
from collections.abc import Iterator

import redis
from pymongo import errors as pymongo_errors

REMEMBER_SECONDS = 2.0


class Outage:
    """Remembers for a moment that a dependency did not answer; one per process, safe between threads."""

    def __init__(self, *, remember_seconds: float = REMEMBER_SECONDS) -> None:
        self._remember_seconds = remember_seconds
        self._until = 0.0

    @property
    def is_known(self) -> bool:
        """Whether the dependency failed within the last moment."""
        return time.monotonic() < self._until

    def note(self) -> None:
        """Remember a failure that has just happened."""
        self._until = time.monotonic() + self._remember_seconds

    def forget(self) -> None:
        """Forget it: the dependency has answered."""
        self._until = 0.0


mongo_outage = Outage()
redis_outage = Outage()


def is_mongo_outage(error: BaseException) -> bool:
    """Whether this error, or one that caused it, means that MongoDB did not answer."""
    return any(
        isinstance(one, pymongo_errors.ConnectionFailure | pymongo_errors.ExecutionTimeout)
        or (isinstance(one, pymongo_errors.PyMongoError) and one.timeout)
        for one in _chain(error)
    )


def is_redis_outage(error: BaseException) -> bool:
    """Whether this error, or one that caused it, means that Redis did not answer."""
    return any(isinstance(one, redis.ConnectionError | redis.TimeoutError) for one in _chain(error))


def _chain(error: BaseException) -> Iterator[BaseException]:
    seen: set[int] = set()
    current: BaseException | None = error
    while current is not None and id(current) not in seen:
        seen.add(id(current))
        yield current
        current = current.__cause__ or current.__context__
