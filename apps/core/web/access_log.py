"""The access line: one per request, also for requests that Django does not see."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import structlog

access = structlog.get_logger("collector.access")

_MAX_LOGGED_PATH = 300
_PROBES = frozenset({"/health", "/ready", "/metrics"})


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
    fields = {
        "method": method,
        "path": path[:_MAX_LOGGED_PATH],
        "status": status,
        "address": address,
        "milliseconds": round(milliseconds, 1),
        **facts,
        "request_id": request_id,
        **(bound or {}),
    }
    write = access.debug if path in _PROBES else access.info
    write("request", **fields)
