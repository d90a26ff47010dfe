"""The bodies of requests: bounded before they are read, whole then, and never waited for by all threads.

The server's own stream waits for the client for as long as the client likes, and ends early without a word
when the client goes away. Nothing is read before somebody wants it, so that a stranger is refused first.
"""

from __future__ import annotations

from collections.abc import Callable
from io import BytesIO
from typing import IO, Any

from django.conf import settings
from django.http import HttpRequest
from django.utils.translation import gettext as _

from apps.core import process_state
from apps.core.errors import InvalidInput, PayloadTooLarge, RateLimited
from apps.core.web_threads import Places, places_for_half

RETRY_AFTER_SECONDS = 2
# Stands for the length of a body sent in chunks, which Django and DRF would take for empty without one.
UNKNOWN_LENGTH = "1"


class TooManyBodies(RateLimited):
    """As many threads as may wait for a body wait for one already."""


class RequestBody:
    """Takes the place of a request's stream; ``length_bytes`` is None for a body in chunks."""

    def __init__(self, read: Callable[[int], bytes], *, length_bytes: int | None) -> None:
        self._read = read
        self._length_bytes = length_bytes
        self._taken_bytes = 0

    def read(self, size: int = -1) -> bytes:
        """Return the next bytes; fewer than ``size`` only at the end.

        :raises TooManyBodies: when too many threads wait for a body at this moment.
        :raises InvalidInput: when the body ends before its announced length.
        """
        wanted = settings.MAX_BODY_BYTES + 1 if size < 0 else size
        if self._length_bytes is not None:
            wanted = min(wanted, self._length_bytes - self._taken_bytes)
        if wanted == 0:
            return b""
        with reading_places().take() as has_place:
            if not has_place:
                raise TooManyBodies(
                    _("Too many bodies are being sent at this moment. Try again shortly."),
                    retry_after_seconds=RETRY_AFTER_SECONDS,
                )
            data = self._read(wanted)
        self._taken_bytes += len(data)
        if self._length_bytes is not None and len(data) < wanted:
            raise InvalidInput(_("The body ended before its announced length."))
        return data


@process_state.made_once
def reading_places() -> Places:
    """Return the places of this process for threads that wait for a body."""
    return places_for_half()


def guard_body(request: HttpRequest) -> None:
    """Let a request's body, if it has one, be read through :class:`RequestBody` from now on."""
    if "chunked" in request.headers.get("Transfer-Encoding", "").lower():
        # The server ends the stream where the body ends (``wsgi.input_terminated``). A malformed chunk is
        # such an end for it: JSON that was cut is none, and other bodies are signed.
        request.META["CONTENT_LENGTH"] = UNKNOWN_LENGTH
        _replace_stream(request, RequestBody(request.META["wsgi.input"].read, length_bytes=None))
    elif announced := announced_bytes(request):
        _replace_stream(request, RequestBody(request._stream.read, length_bytes=announced))


def announced_bytes(request: HttpRequest) -> int:
    """Return the length that a request's headers announce."""
    announced = request.META.get("CONTENT_LENGTH") or ""
    return int(announced) if announced.isascii() and announced.isdecimal() else 0


def read_body(request: HttpRequest, *, limit_bytes: int) -> bytes:
    """Read the raw body of a request, up to the limit.

    :raises PayloadTooLarge: when it is larger, at once if it says so; no more than the limit is ever held.
    """
    return read_bounded(request, announced_bytes=announced_bytes(request), limit_bytes=limit_bytes)


def read_bounded(stream: IO[Any] | HttpRequest, *, announced_bytes: int, limit_bytes: int) -> bytes:
    """Read a stream to its end. Raises as :func:`read_body` does."""
    body: bytes = stream.read(limit_bytes + 1) if announced_bytes <= limit_bytes else b""
    if max(announced_bytes, len(body)) > limit_bytes:
        raise PayloadTooLarge(_("The body is too large."), detail=f"limit_bytes={limit_bytes}")
    return body


def read_ahead(request: HttpRequest, *, limit_bytes: int) -> None:
    """Read the body now, for code that could not answer for a failure later. Raises as read_body does."""
    body = read_bounded(request._stream, announced_bytes=announced_bytes(request), limit_bytes=limit_bytes)
    request.META["CONTENT_LENGTH"] = str(len(body))
    _replace_stream(request, BytesIO(body))


def _replace_stream(request: HttpRequest, stream: Any) -> None:
    request.META["wsgi.input"] = request._stream = stream
