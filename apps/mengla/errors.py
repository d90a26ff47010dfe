"""Errors of this app."""

from __future__ import annotations

from django.utils.translation import gettext as _

from apps.core.errors import DomainError, ErrorCodeBase, InvalidInput


class CollectErrorCode(ErrorCodeBase):
    """The error codes of requests that wait for a collection."""

    COLLECT_FAILED = "COLLECT_FAILED", 502
    COLLECT_TIMEOUT = "COLLECT_TIMEOUT", 504


class UnknownCategory(InvalidInput):
    """The category does not exist; ``field`` is the name of the parameter in the API."""

    def __init__(self, field: str = "catId") -> None:
        super().__init__(_("The input is not valid."), fields={field: [_("There is no such category.")]})


class CollectFailed(DomainError):
    """The awaited collection failed, was cancelled or was deleted."""

    code = CollectErrorCode.COLLECT_FAILED


class CollectTimeout(DomainError):
    """The awaited collection got no answer from the collection service in time."""

    code = CollectErrorCode.COLLECT_TIMEOUT
