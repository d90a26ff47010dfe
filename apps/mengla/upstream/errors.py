"""What can go wrong at the collection service, told apart by whether trying again may help."""

from __future__ import annotations

from apps.mengla.choices import CollectionError


class UpstreamError(Exception):
    """A request to the collection service failed.

    ``is_permanent``: the same request would fail again. ``is_outage``: the service itself is down or
    broken, which the breaker counts. ``retry_after_seconds``: the service's own wish.
    """

    def __init__(
        self,
        error: CollectionError,
        message: str,
        *,
        is_permanent: bool = False,
        is_outage: bool = False,
        retry_after_seconds: float | None = None,
    ) -> None:
        super().__init__(message)
        self.error = error
        self.message = message
        self.is_permanent = is_permanent
        self.is_outage = is_outage
        self.retry_after_seconds = retry_after_seconds
