"""The errors of this app."""

from __future__ import annotations

from apps.core.errors import DomainError, ErrorCode

AUTHENTICATE_HEADER = "Bearer"


class Unauthenticated(DomainError):
    """The caller did not prove who it is."""

    code = ErrorCode.UNAUTHENTICATED

    def __init__(self, message: str) -> None:
        super().__init__(message, headers={"WWW-Authenticate": AUTHENTICATE_HEADER})
