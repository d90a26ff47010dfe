"""The one place that turns an exception into a response of the API."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import structlog
from django.core.exceptions import RequestDataTooBig, SuspiciousOperation
from django.utils.translation import gettext as _

from apps.core.api.envelope import domain_error_body, error_body
from apps.core.errors import DomainError, ErrorCode, PayloadTooLarge, mongo_unavailable, redis_unavailable
from apps.core.storage.outages import is_mongo_outage, is_redis_outage
from apps.core.unwanted import unwanted

# Both are installed for others; the framework would load them for what we do not use.
with unwanted("requests", "markdown"):
    from rest_framework import exceptions
    from rest_framework.response import Response
    from rest_framework.views import exception_handler

logger = structlog.get_logger(__name__)

CODE_OF_STATUS = {code.http_status: code for code in ErrorCode}


def envelope_exception_handler(error: Exception, context: Mapping[str, Any]) -> Response:
    """Turn any exception of a view into a response with the envelope; DRF's own headers are kept."""
    error = _as_known_error(error)
    if isinstance(error, DomainError):
        return Response(domain_error_body(error), status=error.code.http_status, headers=error.headers)
    response = exception_handler(error, dict(context))
    if response is None:
        logger.error("unhandled_exception", exc_info=error, path=_path(context))
        return Response(internal_error_body(_request_id(context)), status=500)
    response.data = _drf_error_body(error, response.status_code)
    return response


def code_of_status(status: int) -> ErrorCode:
    """Return the error code that stands for an HTTP status."""
    if status in CODE_OF_STATUS:
        return CODE_OF_STATUS[status]
    return ErrorCode.INTERNAL_ERROR if status >= 500 else ErrorCode.VALIDATION_ERROR  # noqa: PLR2004


def internal_error_body(request_id: str) -> dict[str, Any]:
    """Build the body for an unexpected error; its detail holds the request id to search the log for."""
    return error_body(
        ErrorCode.INTERNAL_ERROR, _("Something went wrong on our side."), detail=f"request_id={request_id}"
    )


def _as_known_error(error: Exception) -> Exception:
    """Translate failures of the infrastructure into domain errors."""
    if is_mongo_outage(error):
        logger.warning("mongodb_unavailable", error=type(error).__name__)
        return mongo_unavailable()
    if is_redis_outage(error):
        logger.warning("redis_unavailable", error=type(error).__name__)
        return redis_unavailable()
    if isinstance(error, RequestDataTooBig):
        return PayloadTooLarge(_("The body is too large."))
    if isinstance(error, SuspiciousOperation):
        return exceptions.ParseError(_("The request cannot be read."))
    return error


def _drf_error_body(error: Exception, status: int) -> dict[str, Any]:
    code = code_of_status(status)
    if isinstance(error, exceptions.ValidationError):
        return error_body(code, _("The input is not valid."), fields=flatten_messages(error.detail))
    if isinstance(error, exceptions.APIException):
        return error_body(code, str(error.detail))
    # The texts of Http404 and Django's PermissionDenied may reveal internals, so they are replaced.
    message = _("Not found.") if code is ErrorCode.NOT_FOUND else _("Permission denied.")
    return error_body(code, message)


def flatten_messages(detail: Any, prefix: str = "") -> dict[str, list[str]]:
    """Turn nested validation messages into ``{dotted.name: [messages]}``."""
    if isinstance(detail, Mapping):
        fields: dict[str, list[str]] = {}
        for name, inner in detail.items():
            for key, messages in flatten_messages(inner, f"{prefix}.{name}" if prefix else str(name)).items():
                fields.setdefault(key, []).extend(messages)
        return fields
    if isinstance(detail, list) and any(isinstance(item, Mapping | list) for item in detail):
        fields = {}
        for index, inner in enumerate(detail):
            if inner:
                fields.update(flatten_messages(inner, f"{prefix}[{index}]"))
        return fields
    messages = detail if isinstance(detail, list) else [detail]
    return {prefix or "non_field_errors": [str(message) for message in messages]}


def _request_id(context: Mapping[str, Any]) -> str:
    return str(getattr(getattr(context.get("request"), "_request", None), "request_id", "unknown"))


def _path(context: Mapping[str, Any]) -> str:
    return str(getattr(context.get("request"), "path", ""))
