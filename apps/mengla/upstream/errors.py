"""The error of a failed request to the collection service; it says whether a retry may help."""

from __future__ import annotations

from apps.mengla.choices import CollectionError


class UpstreamError(Exception):
    """A request to the collection service failed.

    ``is_permanent``: the same request would fail again. ``is_outage``: the service itself is down or
    broken, which the breaker counts. ``retry_after_seconds``: the wait that the service asked for, if any.
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
