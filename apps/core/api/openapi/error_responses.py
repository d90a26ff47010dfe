"""The errors of an address: those that follow from its access and its input, and how they are described."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from drf_spectacular.plumbing import ComponentRegistry
from rest_framework.views import APIView

from apps.core.api.openapi.components import (
    REQUEST_ID,
    RETRY_AFTER,
    WWW_AUTHENTICATE,
    NamedSchema,
    ResponseHeader,
)
from apps.core.api.openapi.facts import Answers
from apps.core.api.openapi.registry import header_refs, response_ref, schema_ref
from apps.core.errors import ErrorCode, ErrorCodeBase, all_error_codes

JSON = "application/json"
_HEADERS: dict[ErrorCodeBase, ResponseHeader] = {
    ErrorCode.UNAUTHENTICATED: WWW_AUTHENTICATE,
    ErrorCode.RATE_LIMITED: RETRY_AFTER,
}
_BODY_CODES = (ErrorCode.PAYLOAD_TOO_LARGE, ErrorCode.UNSUPPORTED_MEDIA_TYPE, ErrorCode.RATE_LIMITED)
_LOGIN_CODES = (ErrorCode.UNAUTHENTICATED, ErrorCode.DEPENDENCY_UNAVAILABLE)


def error_schema() -> NamedSchema:
    """Return the envelope of every error."""
    return NamedSchema(
        "ErrorResponse",
        {
            "type": "object",
            "description": "The envelope of every error.",
            "required": ["success", "error", "message", "detail"],
            "properties": {
                "success": {"type": "boolean"},
                "error": {"$ref": "#/components/schemas/ErrorCode"},
                "message": {"type": "string", "description": "What went wrong, as text for people."},
                "detail": {"type": ["string", "null"], "description": "Facts for programs, or null."},
                "fields": {
                    "type": "object",
                    "description": "Messages by input name; only with VALIDATION_ERROR.",
                    "additionalProperties": {"type": "array", "items": {"type": "string"}},
                },
            },
        },
    )


def code_schema() -> NamedSchema:
    """Return the enumeration of all error codes."""
    return NamedSchema(
        "ErrorCode",
        {
            "type": "string",
            "description": "What went wrong, for programs.",
            "enum": list(all_error_codes()),
        },
    )


def codes_of(
    view: APIView, method: str, declared: Answers, *, has_path_parameters: bool
) -> set[ErrorCodeBase]:
    """Return the codes of the errors of an address.

    * Every address refuses a request that cannot be read, and may fail (400, 500).
    * One with authentication refuses a caller (401), or cannot check it (503); its permission class says
      whether it refuses accepted callers, too (403).
    * One with a parameter in its path may not find what that names (404).
    * One that may have a body refuses a body that is too large, no JSON, or one of too many (413, 415, 429).
    """
    codes: set[ErrorCodeBase] = {ErrorCode.VALIDATION_ERROR, ErrorCode.INTERNAL_ERROR}
    codes |= {error.code for error in declared.errors}
    if view.authentication_classes:
        codes |= set(_LOGIN_CODES)
    if any(permission.refuses_callers(method) for permission in _permissions(view)):
        codes.add(ErrorCode.PERMISSION_DENIED)
    if has_path_parameters:
        codes.add(ErrorCode.NOT_FOUND)
    if method != "GET" and hasattr(view, "inputs"):
        codes |= set(_BODY_CODES)
    return codes


def _permissions(view: APIView) -> list[Any]:
    return [one for one in view.permission_classes if hasattr(one, "refuses_callers")]


def error_responses(registry: ComponentRegistry, codes: Iterable[ErrorCodeBase]) -> dict[str, Any]:
    """Return the responses of these codes by status, and the one of all other errors."""
    schema_ref(registry, error_schema())
    schema_ref(registry, code_schema())
    found = {str(code.http_status): _response_of(registry, code) for code in codes}
    default = response_ref(
        registry,
        "Error",
        {
            "description": "Any other error; its code says which.",
            "headers": header_refs(registry, [REQUEST_ID]),
            "content": {JSON: {"schema": {"$ref": "#/components/schemas/ErrorResponse"}}},
        },
    )
    return {**found, "default": default}


def _response_of(registry: ComponentRegistry, code: ErrorCodeBase) -> dict[str, Any]:
    headers = [REQUEST_ID, *([_HEADERS[code]] if code in _HEADERS else [])]
    body: dict[str, Any] = {"success": False, "error": code.value, "message": code.meaning, "detail": None}
    if code is ErrorCode.VALIDATION_ERROR:
        body["fields"] = {"limit": ["Must be a whole number, written in digits only."]}
    content = {
        "description": f"`{code.value}`: {code.meaning}",
        "headers": header_refs(registry, headers),
        "content": {JSON: {"schema": {"$ref": "#/components/schemas/ErrorResponse"}, "example": body}},
    }
    return response_ref(registry, "".join(part.capitalize() for part in code.value.split("_")), content)
