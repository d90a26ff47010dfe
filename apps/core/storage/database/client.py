"""The MongoDB client of a process: the one place that notes an outage of MongoDB, and that it is over."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import pymongo
from pymongo.errors import PyMongoError

from apps.core.storage.outages import is_mongo_silent, mongo_outage

_is_heavy: ContextVar[bool] = ContextVar("is_heavy", default=False)


class Client(pymongo.MongoClient[dict[str, Any]]):
    """A client whose operations tell :data:`mongo_outage` whether MongoDB answers."""

    def _retry_internal(self, *args: Any, **options: Any) -> Any:
        # Every operation of PyMongo goes through here, its own retries within. The public listeners are not
        # enough: they hear of commands, and an operation that finds no server never becomes one.
        try:
            result = super()._retry_internal(*args, **options)
        except PyMongoError as error:
            if is_mongo_silent(error) and not _is_heavy.get():
                mongo_outage.note()
            raise
        mongo_outage.forget()
        return result


@contextmanager
def heavy_operations(seconds: float) -> Iterator[None]:
    """Give the operations within it so many seconds in all; a failure of theirs is not noted as an outage.

    For work that may simply be too much for its time: that says little of whether MongoDB answers others.
    """
    token = _is_heavy.set(True)
    try:
        with pymongo.timeout(seconds):
            yield
    finally:
        _is_heavy.reset(token)
