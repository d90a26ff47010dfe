"""The MongoDB client of a process: the one place that notes the beginning and the end of an outage."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import pymongo
from pymongo.errors import PyMongoError

from apps.core.storage.clock import ClockListener, mongo_clock
from apps.core.storage.outages import is_mongo_silent, mongo_outage

_is_heavy: ContextVar[bool] = ContextVar("is_heavy", default=False)


class Client(pymongo.MongoClient[dict[str, Any]]):
    """A client that notes whether MongoDB answers (`mongo_outage`), and its time (`mongo_clock`)."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, event_listeners=[ClockListener(mongo_clock)], **options)

    def _retry_internal(self, *args: Any, **options: Any) -> Any:
        # Every operation of PyMongo goes through here, including its retries. The public listeners are not
        # enough: they see commands only, and an operation that finds no server never sends a command.
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
    """Limit the operations in the block to ``seconds`` in total, and do not note their failures as an outage.

    For work that may need more time than it has: its timeout does not mean that MongoDB is down.
    """
    token = _is_heavy.set(True)
    try:
        with pymongo.timeout(seconds):
            yield
    finally:
        _is_heavy.reset(token)
