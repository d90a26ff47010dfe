"""What every channel is, and the error of a notice that it did not deliver."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from apps.admin.alerts.words import LATE, NO_CONNECTION, NOT_ACCEPTED, STATUS
from apps.core.liveness.bounded_reads import call_all

TIMEOUT_SECONDS = 5.0  # to connect, and for each read
TOTAL_SECONDS = 10.0
_CLIENT_ERRORS = range(400, 500)
_RETRYABLE = frozenset({408, 429})  # timeout, too many requests


class NotDeliveredError(Exception):
    """The receiver did not accept the notice; the text is the reason, without the receiver's address.

    ``message``: the reason for people. ``is_permanent``: the receiver would refuse the same notice again.
    """

    def __init__(self, reason: str, *, message: str = "", is_permanent: bool = False) -> None:
        super().__init__(reason)
        self.message = message or NO_CONNECTION(error=reason)
        self.is_permanent = is_permanent


@dataclass(frozen=True, slots=True)
class Channel:
    """One place where notices go.

    ``id`` is stored, logged and shown: it holds no secret. ``label`` also names the host where that is known
    to be none. ``send`` gets the id and the event of a notice and raises :class:`NotDeliveredError`.
    ``previous_ids`` are its ids with the keys of SECRET_KEY_PREVIOUS: its notices may have them.
    """

    id: str
    label: str
    send: Callable[[str, Mapping[str, Any]], None]
    previous_ids: tuple[str, ...] = ()

    @property
    def ids(self) -> tuple[str, ...]:
        """Every id that a notice of this channel may have."""
        return (self.id, *self.previous_ids)


def refusal(status: int) -> NotDeliveredError:
    """Return the error for an HTTP status that is no success."""
    is_permanent = status in _CLIENT_ERRORS and status not in _RETRYABLE
    return NotDeliveredError(f"status {status}", message=STATUS(status=status), is_permanent=is_permanent)


def not_accepted() -> NotDeliveredError:
    """Return the error for a service that says no more than that it failed."""
    return NotDeliveredError("not accepted", message=NOT_ACCEPTED())


def send_in_time(send: Callable[[], NotDeliveredError | None], *, seconds: float) -> None:
    """Call ``send``, and raise the error that it returns; it may take ``seconds`` at most.

    Clients limit the wait for each byte, not for the whole response: a slow name server, or a receiver that
    sends byte by byte, would block a worker forever.

    :raises NotDeliveredError: when it returns an error, or does not return in time.
    """
    problem = call_all(
        {"receiver": send},
        deadline_seconds=seconds,
        late=lambda _name: NotDeliveredError("no answer in time", message=LATE()),
    )["receiver"]
    if problem is not None:
        raise problem
