"""Errors of this app."""

from __future__ import annotations

from django.utils.translation import gettext as _

from apps.core.errors import DomainError, ErrorCode, InvalidInput


class UnknownCategory(InvalidInput):
    """There is no such category; ``field`` is the name of the parameter in the API."""

    def __init__(self, field: str = "catId") -> None:
        super().__init__(_("The input is not valid."), fields={field: [_("There is no such category.")]})


class CollectFailed(DomainError):
    """The awaited collection ended without figures because it failed."""

    code = ErrorCode.COLLECT_FAILED


class CollectTimeout(DomainError):
    """The awaited collection got no answer from the collection service in time."""

    code = ErrorCode.COLLECT_TIMEOUT
