"""Errors of this app."""

from __future__ import annotations

from math import ceil

from django.conf import settings
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from apps.core.errors import DomainError, ErrorCodeBase, InvalidInput, RateLimited

_RETRY_AFTER_SECONDS = 5


class CollectErrorCode(ErrorCodeBase):
    """The error codes of requests that wait for a collection."""

    COLLECT_FAILED = "COLLECT_FAILED", 502, "The awaited collection failed or was cancelled."
    COLLECT_TIMEOUT = (
        "COLLECT_TIMEOUT",
        504,
        "The collection service gave no answer to the awaited collection in time.",
    )


class UnknownCategory(InvalidInput):
    """The category does not exist; ``field`` is the name of the parameter in the API."""

    def __init__(self, field: str = "catId") -> None:
        super().__init__(_("The input is not valid."), fields={field: [_("There is no such category.")]})


class TooManyWaiting(RateLimited):
    """As many collections of the caller wait as may (``MAX_WAITING_PER_CALLER``)."""

    def __init__(self) -> None:
        count = settings.MAX_WAITING_PER_CALLER
        message = ngettext(
            "%(count)d collection that you requested is waiting, which is the limit. Try again later.",
            "%(count)d collections that you requested are waiting, which is the limit. Try again later.",
            count,
        )
        # About the time until the next of them is sent.
        seconds = max(_RETRY_AFTER_SECONDS, ceil(settings.COLLECT_INTERVAL_SECONDS))
        super().__init__(message % {"count": count}, retry_after_seconds=seconds)


class CollectFailed(DomainError):
    """The awaited collection failed, was cancelled or was deleted."""

    code = CollectErrorCode.COLLECT_FAILED


class CollectTimeout(DomainError):
    """The awaited collection got no answer from the collection service in time."""

    code = CollectErrorCode.COLLECT_TIMEOUT
