"""The error codes of the API and the base of every error our services raise.

Services know no HTTP and no DRF: they raise a :class:`DomainError`, and the one exception handler in
``apps/core/api/exceptions.py`` turns it into the envelope with the status of its code.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import ClassVar


class ErrorCode(StrEnum):
    """Every value the ``error`` key of the envelope can take (listed in docs/API.md)."""

    VALIDATION_ERROR = "VALIDATION_ERROR"
    UNAUTHENTICATED = "UNAUTHENTICATED"
    PERMISSION_DENIED = "PERMISSION_DENIED"
    NOT_FOUND = "NOT_FOUND"
    METHOD_NOT_ALLOWED = "METHOD_NOT_ALLOWED"
    CONFLICT = "CONFLICT"
    PAYLOAD_TOO_LARGE = "PAYLOAD_TOO_LARGE"
    UNSUPPORTED_MEDIA_TYPE = "UNSUPPORTED_MEDIA_TYPE"
    RATE_LIMITED = "RATE_LIMITED"
    INTERNAL_ERROR = "INTERNAL_ERROR"
    COLLECT_FAILED = "COLLECT_FAILED"
    DEPENDENCY_UNAVAILABLE = "DEPENDENCY_UNAVAILABLE"
    COLLECT_TIMEOUT = "COLLECT_TIMEOUT"

    @property
    def http_status(self) -> int:
        """The HTTP status that always goes with this code."""
        return HTTP_STATUS[self]


HTTP_STATUS: Mapping[ErrorCode, int] = {
    ErrorCode.VALIDATION_ERROR: 400,
    ErrorCode.UNAUTHENTICATED: 401,
    ErrorCode.PERMISSION_DENIED: 403,
    ErrorCode.NOT_FOUND: 404,
    ErrorCode.METHOD_NOT_ALLOWED: 405,
    ErrorCode.CONFLICT: 409,
    ErrorCode.PAYLOAD_TOO_LARGE: 413,
    ErrorCode.UNSUPPORTED_MEDIA_TYPE: 415,
    ErrorCode.RATE_LIMITED: 429,
    ErrorCode.INTERNAL_ERROR: 500,
    ErrorCode.COLLECT_FAILED: 502,
    ErrorCode.DEPENDENCY_UNAVAILABLE: 503,
    ErrorCode.COLLECT_TIMEOUT: 504,
}


class DomainError(Exception):
    """A failure the caller can understand; ``message`` is for people, ``detail`` adds facts.

    ``fields`` maps input names to their messages; ``headers`` are sent with the HTTP answer (the only
    one used is ``Retry-After``, in whole seconds).
    """

    code: ClassVar[ErrorCode] = ErrorCode.INTERNAL_ERROR

    def __init__(
        self,
        message: str,
        *,
        detail: str | None = None,
        fields: Mapping[str, list[str]] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.detail = detail
        self.fields = fields
        self.headers = dict(headers or {})


class InvalidInput(DomainError):
    """The input cannot be what it claims to be."""

    code = ErrorCode.VALIDATION_ERROR


class NotFound(DomainError):
    """The named thing does not exist."""

    code = ErrorCode.NOT_FOUND


class Conflict(DomainError):
    """The action contradicts the present state."""

    code = ErrorCode.CONFLICT


class PayloadTooLarge(DomainError):
    """The body is larger than this address takes."""

    code = ErrorCode.PAYLOAD_TOO_LARGE


class PermissionDenied(DomainError):
    """The caller is known and may not do this."""

    code = ErrorCode.PERMISSION_DENIED


class RateLimited(DomainError):
    """Too many attempts; ``retry_after_seconds`` says when the next one may come."""

    code = ErrorCode.RATE_LIMITED

    def __init__(self, message: str, *, retry_after_seconds: int) -> None:
        super().__init__(message, headers={"Retry-After": str(max(1, retry_after_seconds))})


class DependencyUnavailable(DomainError):
    """MongoDB or Redis does not answer."""

    code = ErrorCode.DEPENDENCY_UNAVAILABLE
