"""The error of a failed request to the collection service; it says whose fault the failure is."""

from __future__ import annotations

from enum import Enum

from apps.mengla.choices import CollectionError


class Fault(Enum):
    """Whose fault a failed request is.

    Only ``COLLECTION`` is the collection's fault: the service would refuse the same request again. All others
    are the service's fault: it has not taken the collection, and this says nothing about the collection.
    """

    COLLECTION = "collection"
    OUTAGE = "outage"  # it does not answer, or not as a collection service does; the breaker counts it
    UNKNOWN_ID = "unknown_id"  # its id for the task has changed, or the task is gone: look it up again
    REFUSAL = "refusal"  # no other request can work either; it opens the breaker at once
    SLOWDOWN = "slowdown"  # it asks for fewer requests


class UpstreamError(Exception):
    """A request to the collection service failed.

    ``retry_after_seconds``: the wait that the service asked for, if any.
    """

    def __init__(
        self,
        error: CollectionError,
        message: str,
        *,
        fault: Fault,
        retry_after_seconds: float | None = None,
    ) -> None:
        super().__init__(message)
        self.error = error
        self.message = message
        self.fault = fault
        self.retry_after_seconds = retry_after_seconds
