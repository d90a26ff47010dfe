"""The access line: one per request, also for requests that Django does not see.

A line must cost little beside its request, so its record is made here without structlog's processors. It
has the fields that they would give it, and goes through the handlers of logging like any other.
"""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

_MAX_LOGGED_PATH = 300
_PROBES = frozenset({"/health", "/ready", "/metrics"})

logger = logging.getLogger("collector.access")


def write_line(
    *,
    method: str,
    path: str,
    status: int,
    address: str,
    milliseconds: float,
    request_id: str,
    bound: Mapping[str, Any] | None = None,
    **facts: Any,
) -> None:
    """Write the line of one request; its level is DEBUG for the probes, which balancers request often.

    ``path`` is without the query string, which may contain a token. ``address`` is the client's,
    ``milliseconds`` the duration. ``facts`` are further fields of the request; ``bound`` are those that are
    bound to all of its lines.
    """
    level = logging.DEBUG if path in _PROBES else logging.INFO
    if logger.isEnabledFor(level):
        fields = {
            "method": method,
            "path": path[:_MAX_LOGGED_PATH],
            "status": status,
            "address": address,
            "milliseconds": round(milliseconds, 1),
            **facts,
            "event": "request",
            "request_id": request_id,
            **(bound or {}),
        }
        logger.handle(AccessRecord(level, fields))


class AccessRecord(logging.LogRecord):
    """The record of an access line; ``msg`` is its fields, as in a record of structlog."""

    msg: dict[str, Any]

    def __init__(self, level: int, fields: dict[str, Any]) -> None:
        # Not the one of the base class: it looks up a dozen facts that no line has.
        created = time.time()
        fields["logger"] = logger.name
        fields["level"] = name = "debug" if level == logging.DEBUG else "info"
        fields["timestamp"] = f"{datetime.fromtimestamp(created, UTC).isoformat().removesuffix('+00:00')}Z"
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
