"""The span of each request, also of those that Django does not see; used only while tracing is on."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from django.conf import settings
from django.urls import Resolver404, resolve

from apps.core import tracing
from apps.core.api.envelope import is_api_path
from apps.core.tracing import Kind, Value

Environ = dict[str, Any]
_SERVER_ERROR_STATUS = 500
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})


class Traced:
    """The WSGI application around ``application``; probes and scrapes have no spans.

    A span has the path without the query string, which may hold a token.
    """

    def __init__(self, application: Any) -> None:
        self._application = application

    def __call__(self, environ: Environ, start_response: Any) -> Iterable[bytes]:
        """Answer a request within its span; the span of a stream ends when its first byte can be sent."""
        path: str = environ.get("PATH_INFO", "")
        if path in settings.PROBES:
            result: Iterable[bytes] = self._application(environ, start_response)
            return result
        method = environ.get("REQUEST_METHOD", "")
        name = method if method in _METHODS else "HTTP"
        attributes: dict[str, Value] = {"url.path": path, "url.scheme": environ.get("wsgi.url_scheme", "")}
        attributes["http.request.method"] = name if name == method else "_OTHER"
        if route := _route_of(path):
            attributes["http.route"] = route
            name = f"{name} {route}"
        parent = environ.get("HTTP_TRACEPARENT", "")
        with tracing.span(name, Kind.SERVER, parent=parent, attributes=attributes) as span:

            def note(status: str, headers: list[tuple[str, str]], exc_info: Any = None) -> Any:
                code = int(status[:3])
                ids = [value for key, value in headers if key.lower() == "x-request-id"]
                span.set({"http.response.status_code": code, "request.id": "".join(ids[:1])})
                if code >= _SERVER_ERROR_STATUS:
                    span.fail(str(code))
                return start_response(status, headers, exc_info)

            return self._application(environ, note)  # type: ignore[no-any-return]


def _route_of(path: str) -> str:
    """Return the address without its ids, empty for one that does not exist."""
    try:
        # An address of the API may have a slash at its end, which a middleware removes.
        route: str = resolve(path.removesuffix("/") if is_api_path(path) else path).route
    except Resolver404:
        return ""
    return "/" + route.replace("^", "").replace("$", "").lstrip("/")
