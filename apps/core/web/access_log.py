"""The access line: one per request, also for requests that Django does not see.

A line must cost little beside its request, so its record is made here without structlog's processors. It
has the fields that they would give it, and goes through the handlers of logging like any other.
"""

from __future__ import annotations

import logging
import os
import re
import threading
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

from django.conf import settings

from apps.core import process_state

_MAX_LOGGED_PATH = 300
_NEW_ID = re.compile(r"[0-9a-f]{32}")  # as request_ids makes them

logger = logging.getLogger("collector.access")
# The key in the environment of a request that something has worked on before the middlewares: when it began,
# in seconds of ``time.perf_counter``.
STARTED_AT = "access_log.started_at"


def write_line(*, path: str, bound: Mapping[str, Any] | None = None, **facts: Any) -> None:
    """Write the line of one request; its level is DEBUG for the probes, which balancers request often.

    ``facts`` are those of :func:`fields_of`; ``bound`` are those that are bound to all lines of the request.
    """
    level = logging.DEBUG if path in settings.PROBES else logging.INFO
    if logger.isEnabledFor(level):
        logger.handle(AccessRecord(level, {**fields_of(path=path, **facts), **(bound or {})}))


def facts_of(
    *, method: str, path: str, status: int, address: str, headers: Mapping[str, str], body_bytes: int
) -> dict[str, Any]:
    """Return what is known of a request and its response, with the headers that ACCESS_LOG_HEADERS names.

    ``body_bytes`` is the length of the response's body; a response to HEAD is sent without it.
    """
    named = {name: headers[one] for name, one in settings.ACCESS_LOG_HEADERS.items() if one in headers}
    sent_bytes = 0 if method == "HEAD" else body_bytes
    return {
        "method": method,
        "path": path,
        "status": status,
        "address": address,
        "bytes": sent_bytes,
        **named,
    }


def fields_of(
    *, method: str, path: str, status: int, address: str, seconds: float, request_id: str, **facts: Any
) -> dict[str, Any]:
    """Return the fields of an access line.

    ``path`` is without the query string, which may contain a token. ``address`` is the client's, ``seconds``
    the duration. ``facts`` are further fields of the request.
    """
    return {
        "method": method,
        "path": path[:_MAX_LOGGED_PATH],
        "status": status,
        "address": address,
        "milliseconds": _milliseconds(seconds),
        **facts,
        "event": "request",
        "request_id": request_id,
    }


class RepeatedLine:
    """The line of requests that differ only in their ids, their durations and their times.

    ``facts`` are the other ones of :func:`fields_of`. ``templates`` is for formatters: each makes one whole
    line, by its name, and only fills in the others.
    """

    def __init__(self, **facts: Any) -> None:
        self.facts = facts
        self.templates: dict[str, str] = {}

    def write(self, request_id: str, seconds: float) -> None:
        """Write the line of one more request."""
        if not _NEW_ID.fullmatch(request_id):
            write_line(**self.facts, request_id=request_id, seconds=seconds)  # a client's may hold a secret
        elif logger.isEnabledFor(logging.INFO):
            record = RepeatedRecord(self, request_id, seconds)
            first, *others = logging.root.handlers
            # The usual case: the one handler of the process takes the record without logging's detours.
            if others or not isinstance(first, RecordBuffer):
                logger.handle(record)
            else:
                first.defer(record)


class AccessRecord(logging.LogRecord):
    """The record of an access line; ``msg`` is its fields, as in a record of structlog."""

    msg: dict[str, Any]

    def __init__(self, level: int, fields: dict[str, Any]) -> None:
        # Not the one of the base class: it looks up a dozen facts that no line has.
        created = time.time()
        fields["logger"] = logger.name
        fields["level"] = name = "debug" if level == logging.DEBUG else "info"
        fields["timestamp"] = timestamp_of(created)
        self.__dict__ = {
            **_COMMON,
            "levelno": level,
            "levelname": name.upper(),
            "created": created,
            "process": os.getpid(),
            "thread": threading.get_ident(),
            "msg": fields,
            "_logger": None,
            "_name": name,
        }


_COMMON = logging.LogRecord(logger.name, logging.INFO, __file__, 0, "", (), None).__dict__ | {
    "threadName": None,
    "processName": None,
}


class RepeatedRecord(AccessRecord):
    """The record of a :class:`RepeatedLine`, without a ``msg``: a formatter fills its template."""

    name, levelno, levelname = logger.name, logging.INFO, "INFO"
    exc_info = exc_text = stack_info = None
    args = ()

    def __init__(self, line: RepeatedLine, request_id: str, seconds: float) -> None:
        self.line = line
        self.request_id = request_id
        self.milliseconds = _milliseconds(seconds)
        self.created = time.time()


class RecordBuffer(logging.Handler):
    """A handler that can format and write the records of repeated lines later, many at once."""

    def defer(self, record: RepeatedRecord) -> None:
        """Write the record's line soon, in its order among all lines. It waits for no lock."""
        raise NotImplementedError


def timestamp_of(created: float) -> str:
    """Return an instant (Unix seconds) as lines show it, in ISO 8601 and UTC."""
    second = int(created)
    return f"{_second_text(second)}.{int((created - second) * 1e6):06d}Z"


def _milliseconds(seconds: float) -> float:
    return round(seconds * 1000, 1)


@lru_cache(maxsize=2)
def _second_text(second: int) -> str:
    return datetime.fromtimestamp(second, UTC).strftime("%Y-%m-%dT%H:%M:%S")


process_state.register(_second_text.cache_clear)
