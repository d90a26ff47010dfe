"""The envelope around every response under ``/api/``.

Success: ``{"success": true, "data": ..., "message": "ok"}``. Error: ``{"success": false, "error": CODE,
"message": ..., "detail": ...}``, plus ``fields`` for validation errors.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson
from bson import ObjectId
from django.conf import settings
from django.http import HttpResponse
from django.utils.functional import Promise

from apps.core.errors import DomainError, ErrorCodeBase

JSON_CONTENT_TYPE = "application/json"
# Datetimes without a zone come from PyMongo and are UTC.
_JSON_OPTIONS = orjson.OPT_NON_STR_KEYS | orjson.OPT_NAIVE_UTC | orjson.OPT_UTC_Z


class EnvelopeBody(dict[str, Any]):
    """A finished envelope, which the renderer writes unchanged."""


def is_api_path(path: str) -> bool:
    """Whether the path belongs to the REST API: it lies below one of API_ROOTS."""
    return any(path == root or path.startswith(f"{root}/") for root in settings.API_ROOTS)


def success_body(data: Any, message: str = "ok") -> EnvelopeBody:
    """Wrap data in the success envelope."""
    return EnvelopeBody(success=True, data=data, message=message)


def error_body(
    code: ErrorCodeBase,
    message: str,
    *,
    detail: str | None = None,
    fields: Mapping[str, list[str]] | None = None,
) -> EnvelopeBody:
    """Build the error envelope."""
    body = EnvelopeBody(success=False, error=code.value, message=message, detail=detail)
    if fields is not None:
        body["fields"] = fields
    return body


def dump_json(value: Any) -> bytes:
    """Serialise to compact UTF-8 JSON; lazy translations and ObjectIds become strings."""
    return orjson.dumps(value, default=_encode, option=_JSON_OPTIONS)


def _encode(value: Any) -> Any:
    if isinstance(value, Promise | ObjectId):
        return str(value)
    if isinstance(value, Mapping):
        return dict(value)
    if isinstance(value, list | tuple | set | frozenset):
        return list(value)
    raise TypeError(f"{type(value).__name__} is not JSON serialisable")


def error_response(
    code: ErrorCodeBase,
    message: str,
    *,
    headers: Mapping[str, str] | None = None,
) -> HttpResponse:
    """Build an error response without DRF, for middleware and Django's error handlers."""
    body = dump_json(error_body(code, message))
    return HttpResponse(
        body, status=code.http_status, content_type=JSON_CONTENT_TYPE, headers=dict(headers or {})
    )


def domain_error_body(error: DomainError) -> EnvelopeBody:
    """Build the error envelope of an error that a service raised."""
    return error_body(error.code, error.message, detail=error.detail, fields=error.fields)
