"""Named parts of the document that are not serializers: response headers, and schemas of single values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

_TEXT: Mapping[str, Any] = {"type": "string"}
_SECONDS: Mapping[str, Any] = {"type": "integer", "minimum": 0}


@dataclass(frozen=True, slots=True)
class NamedSchema:
    """The schema of a value, under one name for the whole document.

    A field with this as its attribute ``openapi_schema`` is described by it. ``takes_empty``: it says itself
    that an empty text is allowed.
    """

    name: str
    schema: Mapping[str, Any]
    takes_empty: bool = False


@dataclass(frozen=True, slots=True)
class ResponseHeader:
    """A header of responses; ``is_always`` says that no response for which it is declared lacks it."""

    name: str
    description: str
    schema: Mapping[str, Any]
    is_always: bool = True


REQUEST_ID = ResponseHeader(
    "X-Request-ID",
    "The id of the request: the one that was sent, or a new one. The log lines of the request have it.",
    {"type": "string", "pattern": "^[A-Za-z0-9_.:-]{1,128}$"},
)
WWW_AUTHENTICATE = ResponseHeader("WWW-Authenticate", "How to authenticate.", {**_TEXT, "enum": ["Bearer"]})
RETRY_AFTER = ResponseHeader(
    "Retry-After", "After how many seconds to try again.", {**_SECONDS, "minimum": 1}
)
LOCATION = ResponseHeader("Location", "The address of what was started: a path of this host.", _TEXT)
ETAG = ResponseHeader("ETag", "The hash of the body, for `If-None-Match`.", _TEXT)
IF_NONE_MATCH: Mapping[str, Any] = {
    "in": "header",
    "name": "If-None-Match",
    "description": "The ETag of an earlier response: 304 without a body if that is still current.",
    "schema": {"type": "string"},
}
AGE = ResponseHeader("Age", "The age of the content in seconds.", _SECONDS)
CACHE_CONTROL = ResponseHeader("Cache-Control", "Whether the response may be stored.", _TEXT)
