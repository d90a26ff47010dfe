"""Middleware: request ids, the access log, the envelope outside DRF, bodies, the short way of the API."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import cast

import structlog
from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.utils.log import log_response
from django.utils.translation import gettext as _

from apps.core.api.bodies import guard_body, read_ahead
from apps.core.api.envelope import JSON_CONTENT_TYPE, dump_json, error_response, is_api_path
from apps.core.api.exceptions import code_of_status, internal_error_body
from apps.core.caching.replay import BASIS, Basis
from apps.core.errors import DomainError, ErrorCode
from apps.core.web.access_log import STARTED_AT, RepeatedLine, facts_of, write_line
from apps.core.web.request_ids import request_id_of

GetResponse = Callable[[HttpRequest], HttpResponseBase]

_FIRST_ERROR_STATUS = 400
_SERVER_ERROR_STATUS = 500


class RequestIdMiddleware:
    """Gives every request an id: in the ``X-Request-ID`` of the response and on every log line."""

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        """Bind the id to the log context while the request is handled."""
        request_id = request_id_of(request.META.get("HTTP_X_REQUEST_ID"))
        request.request_id = request_id  # type: ignore[attr-defined]
        structlog.contextvars.clear_contextvars()
        structlog.contextvars.bind_contextvars(request_id=request_id)
        try:
            response = self.get_response(request)
            if response.status_code >= _SERVER_ERROR_STATUS:
                # Django logs each response once. It is logged here, while the id is still bound.
                log_response(
                    "%s: %s",
                    response.reason_phrase,
                    request.path,
                    response=cast(HttpResponse, response),
                    request=request,
                )
        finally:
            structlog.contextvars.clear_contextvars()
        response.headers["X-Request-ID"] = request_id
        return response


class AccessLogMiddleware:
    """Writes the access line of every request, with the response headers that ACCESS_LOG_HEADERS names."""

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        """Return the response, and log the request."""
        started: float = request.META.get(STARTED_AT, time.perf_counter())
        response = self.get_response(request)
        facts = facts_of(
            method=request.method or "",
            path=request.path,
            status=response.status_code,
            address=request.META.get("REMOTE_ADDR", ""),
            headers=response.headers,
            body_bytes=_length_of(response),
        )
        bound = structlog.contextvars.get_contextvars()
        request_id = bound.pop("request_id", "")
        write_line(**facts, request_id=request_id, seconds=time.perf_counter() - started, bound=bound)
        basis: Basis | None = request.META.get(BASIS)
        if basis is not None:
            basis.write_line = RepeatedLine(**facts).write
        return response


class EnvelopeMiddleware:
    """Replaces Django's own error pages under ``/api/`` (bad host, error in a middleware, DEBUG page)."""

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        """Return the response; an error that is not JSON is replaced by one in the envelope."""
        response = self.get_response(request)
        is_error = response.status_code >= _FIRST_ERROR_STATUS
        if not is_error or not is_api_path(request.path) or _is_json(response):
            return response
        return _envelope_for(request, response)


class HostMiddleware:
    """Refuses a host that ALLOWED_HOSTS does not have, before anything below it answers.

    A probe and a scrape may have any host: balancers and Prometheus ask by the address of the server, and the
    response contains no address.
    """

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        """Return the response.

        :raises django.core.exceptions.DisallowedHost: for such a host; Django makes it a 400.
        """
        if not _is_probe(request):
            request.get_host()
        return self.get_response(request)


class BodyMiddleware:
    """Guards the bodies of all requests; the views of the API read theirs later.

    The forms of the admin are read here, because Django reads them in a place that cannot handle a failure.
    """

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        """Return the response, or an error when the body of a form cannot be read."""
        guard_body(request)
        if request.method == "POST" and not is_api_path(request.path):
            try:
                read_ahead(request, limit_bytes=settings.DATA_UPLOAD_MAX_MEMORY_SIZE)
            except DomainError as error:
                return HttpResponse(
                    f"{error.message}\n",
                    status=error.code.http_status,
                    content_type="text/plain; charset=utf-8",
                    headers=error.headers,
                )
        return self.get_response(request)


class TrailingSlashMiddleware:
    """Accepts every API address with or without a trailing slash."""

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        """Remove a trailing slash before the address is resolved."""
        path = request.path_info
        if is_api_path(path) and path.endswith("/"):
            request.path_info = path[:-1]
        return self.get_response(request)


class ApiMiddleware:
    """Lets a request of the API or of a probe skip the middleware below it, which only pages for people need.

    Of what the skipped ones do, it does what concerns the API: it sets ``Content-Length`` and
    ``X-Frame-Options``.
    """

    def __init__(self, get_response: GetResponse) -> None:
        self._get_page = get_response
        self._get_response = _innermost(get_response)

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        """Return the response."""
        path = request.path_info
        if not _is_probe(request) and (not is_api_path(path) or path in settings.API_PAGES):
            return self._get_page(request)
        response = self._get_response(request)
        if isinstance(response, HttpResponse):
            response.headers.setdefault("Content-Length", str(len(response.content)))
        response.headers.setdefault("X-Frame-Options", settings.X_FRAME_OPTIONS)
        return response


def _innermost(get_response: GetResponse) -> GetResponse:
    """Return what the last middleware calls: the function that finds and calls the view.

    Django wraps each middleware, so that its exceptions become responses; ``__wrapped__`` is the middleware.
    """
    while (below := getattr(getattr(get_response, "__wrapped__", None), "get_response", None)) is not None:
        get_response = below
    return get_response


def _length_of(response: HttpResponseBase) -> int:
    """Return the length of the body in bytes; of a stream the announced one, 0 if none is."""
    if isinstance(response, HttpResponse):
        return len(response.content)
    announced = response.headers.get("Content-Length", "")
    return int(announced) if announced.isdecimal() else 0


def _is_probe(request: HttpRequest) -> bool:
    return request.path_info in settings.PROBES and request.method in ("GET", "HEAD")


def _is_json(response: HttpResponseBase) -> bool:
    return response.headers.get("Content-Type", "").startswith(JSON_CONTENT_TYPE)


def _envelope_for(request: HttpRequest, response: HttpResponseBase) -> HttpResponse:
    if response.status_code >= _SERVER_ERROR_STATUS:
        body = dump_json(internal_error_body(getattr(request, "request_id", "unknown")))
        return HttpResponse(body, status=500, content_type=JSON_CONTENT_TYPE)
    code = code_of_status(response.status_code)
    messages = {
        ErrorCode.NOT_FOUND: _("Not found."),
        ErrorCode.PERMISSION_DENIED: _("Permission denied."),
        ErrorCode.METHOD_NOT_ALLOWED: _("This method is not allowed here."),
    }
    headers = {name: response.headers[name] for name in ("Allow", "Retry-After") if name in response.headers}
    return error_response(code, messages.get(code, _("The request cannot be read.")), headers=headers)
