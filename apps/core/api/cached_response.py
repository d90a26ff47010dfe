"""Sends a cache entry unchanged: as 304 when the client has it, gzipped when the client accepts gzip."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.utils.http import parse_etags

from apps.core.api.envelope import JSON_CONTENT_TYPE
from apps.core.api.replies import Reply, response_of
from apps.core.caching.entry import Entry
from apps.core.caching.read_through import Found
from apps.core.caching.replay import allow_replay
from apps.core.storage.clock import unix_now

_VARY = ("Accept-Encoding",)


def entry_reply(
    environ: Mapping[str, Any], entry: Entry, *, headers: Mapping[str, str] | None = None
) -> Reply:
    """Build the reply to a request, whose environment is given, from the bytes of the entry.

    The reply to a POST has no ETag: HTTP has no 304 for it (RFC 9110, 13.1.2).
    """
    sent = {
        **({} if environ["REQUEST_METHOD"] == "POST" else {"ETag": entry.etag}),
        "Cache-Control": "private, no-cache",
        "Age": str(max(0, int(unix_now() - entry.stored_at))),
        **entry.headers,
        **(headers or {}),
    }
    if _is_not_modified(environ, entry):
        return Reply(status=304, headers=sent, body=b"", vary=_VARY)
    sent["Content-Type"] = JSON_CONTENT_TYPE
    if entry.gzip_body and accepts_gzip(environ.get("HTTP_ACCEPT_ENCODING", "")):
        sent["Content-Encoding"] = "gzip"
        return Reply(status=200, headers=sent, body=entry.gzip_body, vary=_VARY)
    return Reply(status=200, headers=sent, body=entry.body, vary=_VARY)


def entry_response(request: HttpRequest, entry: Entry) -> HttpResponse:
    """Build the response to a request from the bytes of the entry."""
    return response_of(entry_reply(request.META, entry))


def found_response(request: HttpRequest, found: Found[Any]) -> HttpResponse:
    """Build the response to a GET from what the caches found; it may be replayed."""
    allow_replay(request.META, found.group, found.field, found.entry)
    return entry_response(request, found.entry)


def _is_not_modified(environ: Mapping[str, Any], entry: Entry) -> bool:
    header = environ.get("HTTP_IF_NONE_MATCH", "")
    return bool(header) and environ["REQUEST_METHOD"] in ("GET", "HEAD") and matches_etag(header, entry)


def matches_etag(header: str, entry: Entry) -> bool:
    """Whether an If-Match or If-None-Match header matches the entry.

    Weak tags count for both: a proxy that compresses responses makes strong tags weak.
    """
    known = {tag.removeprefix("W/") for tag in parse_etags(header)}
    return bool(known & {"*", entry.etag.removeprefix("W/")})


def accepts_gzip(header: str) -> bool:
    """Whether the Accept-Encoding header allows gzip; the weight of gzip overrides that of ``*``."""
    weights: dict[str, bool] = {}
    for item in header.lower().split(","):
        name, _, weight = item.partition(";")
        is_refused = re.fullmatch(r"q=0(\.0{0,3})?", weight.replace(" ", "")) is not None
        weights[name.strip()] = not is_refused
    return weights.get("gzip", weights.get("*", False))
