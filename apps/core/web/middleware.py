"""Middleware of the API: request ids, the envelope for what DRF never sees, one spelling of paths."""

from __future__ import annotations

import re
import time
import uuid
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
from apps.core.errors import DomainError, ErrorCode

access = structlog.get_logger("collector.access")
GetResponse = Callable[[HttpRequest], HttpResponseBase]

_SANE_REQUEST_ID = re.compile(r"[A-Za-z0-9._:-]{1,128}")
_FIRST_ERROR_STATUS = 400
_MAX_LOGGED_PATH = 300
_PROBES = frozenset({"/health", "/ready", "/metrics"})
_SERVER_ERROR_STATUS = 500


class RequestIdMiddleware:
    """Gives every request an id, in the answer's ``X-Request-ID`` and on every log line."""

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        """Bind the id while the request is answered."""
        sent = request.headers.get("X-Request-ID", "")
        request_id = sent if _SANE_REQUEST_ID.fullmatch(sent) else uuid.uuid4().hex
        request.request_id = request_id  # type: ignore[attr-defined]
        structlog.contextvars.clear_contextvars()
        structlog.contextvars.bind_contextvars(request_id=request_id)
        try:
            response = self.get_response(request)
            if response.status_code >= _SERVER_ERROR_STATUS:
                # Django writes this line once for each answer: here, or else when the id is forgotten.
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
    """Writes one line per request: what was asked, what came of it, and how long it took.

    The query string is left out, because it may hold a token. What balancers and monitors ask every few
    seconds is written at the level DEBUG.
    """

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        """Answer, then tell of it."""
        started = time.perf_counter()
        response = self.get_response(request)
        facts = {
            "method": request.method,
            "path": request.path[:_MAX_LOGGED_PATH],
            "status": response.status_code,
            "address": request.META.get("REMOTE_ADDR", ""),
            "milliseconds": round((time.perf_counter() - started) * 1000, 1),
        }
        for fact, header in settings.ACCESS_LOG_HEADERS.items():
            if header in response.headers:
                facts[fact] = response.headers[header]
        write = access.debug if request.path in _PROBES else access.info
        write("request", **facts)
        return response


class EnvelopeMiddleware:
    """Replaces Django's own error pages under ``/api/`` (bad host, crash in a middleware, DEBUG page)."""

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        """Answer, and put an error that is no JSON into the envelope."""
        response = self.get_response(request)
        is_error = response.status_code >= _FIRST_ERROR_STATUS
        if not is_error or not is_api_path(request.path) or _is_json(response):
            return response
        return _envelope_for(request, response)


class BodyMiddleware:
    """Guards the bodies of all requests; those of the API are read later, by whom they are for.

    The forms of the admin are read here: Django reads them where it cannot answer for a failure.
    """

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        """Answer, or say what is wrong with a form's body."""
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
    """Lets every API address be written with or without a slash at its end."""

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        """Take the slash at the end away before the address is looked up."""
        path = request.path_info
        if is_api_path(path) and path.endswith("/"):
            request.path_info = path[:-1]
        return self.get_response(request)


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
    kept = {name: response.headers[name] for name in ("Allow", "Retry-After") if name in response.headers}
    return error_response(code, messages.get(code, _("The request cannot be read.")), headers=kept)
