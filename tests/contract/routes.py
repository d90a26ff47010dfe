"""Every address below ``/api/``, read from the URL configuration, and what an answer must look like."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any
from urllib.parse import quote

from django.urls import URLPattern, URLResolver, get_resolver

from apps.core.errors import ErrorCode, all_error_codes

METHODS = ("get", "post", "put", "patch", "delete", "options", "head")
# Addresses of the documentation: their successful bodies are for other readers.
PAPERS = frozenset({"api/schema", "api/docs"})
UNKNOWN_PATHS = (
    "/api//",
    "/api/nothing",
    "/api/nothing/",
    "/api/auth/nothing/at/all",
    "/api/auth//login",
    "/api/mengla/records/deeper/still/",
    "/api/" + "a/" * 200,
    "/api/" + "x" * 4000,
    "/api/%00",
    "/api/%FF%FE",
    "/api/%E7%B1%BB%E7%9B%AE",
    "/api/../admin",
    "/api/%2e%2e/%2e%2e/etc/passwd",
    "/api/auth/login.json",
    "/api/<script>",
    "/api/{}",
)
HOSTILE_VALUES = (
    "nothing",
    "0",
    "-1",
    "1" * 400,
    "x" * 5000,
    "0" * 24,
    "507f1f77bcf86cd799439011",
    "类目",
    "null",
    "NaN",
    "$where",
    '{"$ne":null}',
    "a b\tc",
    "line\nbreak",
    "nul\x00byte",
    "..",
    "a'b\"c`d",
    "<script>alert(1)</script>",
    "😀\u202e",
)
_PARAMETER = re.compile(r"<(?:\w+:)?\w+>")
_SUCCESS_KEYS = {"success", "data", "message"}
_ERROR_KEYS = {"success", "error", "message", "detail"}


@dataclass(frozen=True)
class Route:
    """One address; ``template`` is without the slash at its beginning."""

    template: str

    @property
    def has_parameters(self) -> bool:
        return bool(_PARAMETER.search(self.template))

    def path(self, value: str = "nothing") -> str:
        """Return the address with this value in the place of every parameter."""
        return "/" + _PARAMETER.sub(quote(value, safe="").replace("\\", r"\\"), self.template)

    def __str__(self) -> str:
        return self.template


@cache
def api_routes() -> tuple[Route, ...]:
    """Walk the URL configuration."""
    return tuple(
        Route(template)
        for template in _walk(get_resolver(), "")
        if template == "api" or template.startswith("api/")
    )


def _walk(resolver: URLResolver, prefix: str) -> Iterator[str]:
    for entry in resolver.url_patterns:
        if isinstance(entry, URLResolver):
            yield from _walk(entry, prefix + str(entry.pattern))
        elif isinstance(entry, URLPattern) and not str(entry.pattern).startswith("^"):
            yield prefix + str(entry.pattern)


def assert_contract(response: Any, *, of: str) -> None:
    """The answer keeps every promise that holds for all addresses."""
    reported = (
        f"{of} -> {response.status_code} {response.headers} {getattr(response, 'content', b'')[:500]!r}"
    )
    assert response.headers.get("X-Request-ID"), reported
    if response.status_code == 401:
        assert response.headers["WWW-Authenticate"].startswith("Bearer"), reported
    if response.status_code == 405:
        assert response.headers["Allow"], reported
        assert response.request["REQUEST_METHOD"] not in response.headers["Allow"].split(", "), reported
    if response.status_code == 429:
        assert int(response.headers["Retry-After"]) > 0, reported
    is_head = response.request["REQUEST_METHOD"] == "HEAD"
    if response.status_code == 304 or is_head:
        assert response.content == b"", reported
        return
    path = response.request["PATH_INFO"].strip("/")
    if path in PAPERS and response.status_code == 200 and response.request["REQUEST_METHOD"] == "GET":
        return
    assert response.headers["Content-Type"] == "application/json", reported
    assert_envelope(json.loads(response.content), response.status_code, reported=reported)


def assert_envelope(body: Any, status: int, *, reported: str) -> None:
    """The body is the envelope, and it says the same as the status."""
    assert isinstance(body, dict), reported
    assert isinstance(body["message"], str) and body["message"], reported
    if 200 <= status < 300:
        assert set(body) == _SUCCESS_KEYS, reported
        assert body["success"] is True, reported
        return
    assert set(body) - {"fields"} == _ERROR_KEYS, reported
    assert body["success"] is False, reported
    assert all_error_codes()[body["error"]].http_status == status, reported
    assert body["detail"] is None or isinstance(body["detail"], str), reported
    if "fields" in body:
        assert body["error"] == ErrorCode.VALIDATION_ERROR, reported
        assert body["fields"], reported
        for name, messages in body["fields"].items():
            assert isinstance(name, str) and messages, reported
            assert all(isinstance(message, str) for message in messages), reported
