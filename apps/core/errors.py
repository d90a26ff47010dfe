"""The error codes of the API, and the base class of every error that our services raise.

Services do not depend on HTTP or DRF. They raise a :class:`DomainError`, and the one exception handler in
``apps/core/api/exceptions.py`` turns it into the envelope with the status of its code.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from enum import StrEnum
from typing import ClassVar, Self

from django.utils.translation import gettext as _


class ErrorCodeBase(StrEnum):
    """A value of the envelope's ``error`` key, with its HTTP status and what it means.

    An app that needs codes of its own defines a subclass. ``meaning`` is for readers of the API.
    """

    http_status: int
    meaning: str

    def __new__(cls, value: str, http_status: int, meaning: str) -> Self:
        """Make a code from its name, its HTTP status and its meaning."""
        code = str.__new__(cls, value)
        code._value_ = value
        code.http_status = http_status
        code.meaning = meaning
        return code


class ErrorCode(ErrorCodeBase):
    """The codes that any API needs; docs/API.md lists the codes of all apps."""

    VALIDATION_ERROR = "VALIDATION_ERROR", 400, "The input is not valid; `fields` has the errors by field."
    UNAUTHENTICATED = "UNAUTHENTICATED", 401, "No token, or one that is unknown, expired or revoked."
    PERMISSION_DENIED = "PERMISSION_DENIED", 403, "The rights of the caller are not enough."
    NOT_FOUND = "NOT_FOUND", 404, "The address or the object does not exist."
    METHOD_NOT_ALLOWED = (
        "METHOD_NOT_ALLOWED",
        405,
        "The address does not support the method; `Allow` lists the supported ones.",
    )
    CONFLICT = "CONFLICT", 409, "The current state does not allow the change; `detail` may say more."
    PAYLOAD_TOO_LARGE = "PAYLOAD_TOO_LARGE", 413, "The body is larger than the limit."
    UNSUPPORTED_MEDIA_TYPE = "UNSUPPORTED_MEDIA_TYPE", 415, "The body is not declared as JSON."
    RATE_LIMITED = (
        "RATE_LIMITED",
        429,
        "Too many attempts, or too much at once; `Retry-After` says when to try again.",
    )
    INTERNAL_ERROR = "INTERNAL_ERROR", 500, "A fault of the server; `detail` holds the request id."
    DEPENDENCY_UNAVAILABLE = (
        "DEPENDENCY_UNAVAILABLE",
        503,
        "MongoDB or Redis does not respond, and no cached response can be sent.",
    )


def all_error_codes() -> dict[str, ErrorCodeBase]:
    """Return the codes of all loaded apps, by name, in the order of their statuses."""
    codes = (code for kind in ErrorCodeBase.__subclasses__() for code in kind)
    return {code.value: code for code in sorted(codes, key=lambda code: code.http_status)}


class DomainError(Exception):
    """A failure that the caller can understand; ``message`` is for people, ``detail`` adds facts.

    ``fields`` maps input names to their messages. ``headers`` are sent with the HTTP response; the only one
    in use is ``Retry-After``, in whole seconds.
    """

    code: ClassVar[ErrorCodeBase] = ErrorCode.INTERNAL_ERROR

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
    """The input is not valid."""

    code = ErrorCode.VALIDATION_ERROR


class Faults:
    """Collects what is wrong with several inputs, so that all of it is told at once."""

    def __init__(self) -> None:
        self._fields: dict[str, list[str]] = {}

    @contextmanager
    def of(self, name: str) -> Iterator[None]:
        """Note the error of the block, which reads this input; whatever the block assigns is then missing."""
        try:
            yield
        except InvalidInput as error:
            for field, messages in (error.fields or {name: [error.message]}).items():
                noted = self._fields.setdefault(field, [])
                noted += [message for message in messages if message not in noted]

    def check(self) -> None:
        """Tell all of them.

        :raises InvalidInput: when there are any; its ``fields`` name the inputs.
        """
        if self._fields:
            raise InvalidInput(_("The input is not valid."), fields=self._fields)


class NotFound(DomainError):
    """The named object does not exist."""

    code = ErrorCode.NOT_FOUND


class Conflict(DomainError):
    """The request conflicts with the current state."""

    code = ErrorCode.CONFLICT


class PayloadTooLarge(DomainError):
    """The body is larger than this address accepts."""

    code = ErrorCode.PAYLOAD_TOO_LARGE


class PermissionDenied(DomainError):
    """The caller is authenticated but lacks the permission."""

    code = ErrorCode.PERMISSION_DENIED


class RateLimited(DomainError):
    """Too many attempts; the next one is allowed after ``retry_after_seconds``."""

    code = ErrorCode.RATE_LIMITED

    def __init__(self, message: str, *, retry_after_seconds: int) -> None:
        super().__init__(message, headers={"Retry-After": str(max(1, retry_after_seconds))})


class DependencyUnavailable(DomainError):
    """MongoDB or Redis does not respond."""

    code = ErrorCode.DEPENDENCY_UNAVAILABLE


def mongo_unavailable() -> DependencyUnavailable:
    """Return the error of what needs MongoDB while it does not respond."""
    return DependencyUnavailable(_("The database does not respond. Try again shortly."), detail="MongoDB")


def redis_unavailable() -> DependencyUnavailable:
    """Return the error of what needs Redis while it does not respond."""
    return DependencyUnavailable(_("The cache does not respond. Try again shortly."), detail="Redis")
