"""Request bodies: limited in size, refused when incomplete, and never awaited by all threads at once.

The server's own stream waits for a slow client without a limit, and ends early without an error when the
client disconnects. A body is read only when a view needs it, so a caller without permission is refused
before its body is read.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from io import BytesIO
from typing import IO, Any

from django.conf import settings
from django.http import HttpRequest
from django.utils.translation import gettext as _

from apps.core.errors import InvalidInput, PayloadTooLarge, RateLimited
from apps.core.web_threads import ReceivedBody, body_places

RETRY_AFTER_SECONDS = 2
# A length for bodies sent in chunks: without one, Django and DRF would treat them as empty.
UNKNOWN_LENGTH = "1"


class TooManyBodies(RateLimited):
    """Too many threads are already waiting for a body."""


class RequestBody:
    """Replaces the stream of a request.

    ``length_bytes`` is None for a body sent in chunks. ``is_received``: it is in memory, so no thread waits.
    """

    def __init__(
        self, read: Callable[[int], bytes], *, length_bytes: int | None, is_received: bool = False
    ) -> None:
        self._read = read
        self._length_bytes = length_bytes
        self._is_received = is_received
        self._read_bytes = 0
        self._has_ended = False

    @property
    def is_unread(self) -> bool:
        """Whether a part of the body may still have to be read."""
        if self._is_received or self._has_ended:
            return False
        return self._length_bytes is None or self._read_bytes < self._length_bytes

    def read(self, size: int = -1) -> bytes:
        """Return the next bytes; fewer than ``size`` only at the end.

        :raises TooManyBodies: when too many threads are already waiting for a body.
        :raises InvalidInput: when the body ends before its announced length.
        """
        wanted = settings.MAX_BODY_BYTES + 1 if size < 0 else size
        if self._length_bytes is not None:
            wanted = min(wanted, self._length_bytes - self._read_bytes)
        if wanted == 0:
            return b""
        with nullcontext(True) if self._is_received else body_places().claim() as has_place:
            if not has_place:
                raise TooManyBodies(
                    _("Too many request bodies are being received. Try again shortly."),
                    retry_after_seconds=RETRY_AFTER_SECONDS,
                )
            data = self._read(wanted)
        self._read_bytes += len(data)
        self._has_ended = len(data) < wanted
        if self._length_bytes is not None and len(data) < wanted:
            raise InvalidInput(_("The body ended before its announced length."))
        return data


def has_unread_body(request: HttpRequest) -> bool:
    """Whether the response leaves a part of the request's body unread.

    The server closes such a connection after the response if the rest has not arrived yet.
    """
    stream = request.META.get("wsgi.input")
    if isinstance(stream, RequestBody):
        return stream.is_unread
    if isinstance(stream, BytesIO):
        return False
    return bool(announced_bytes(request)) or "HTTP_TRANSFER_ENCODING" in request.META


def guard_body(request: HttpRequest) -> None:
    """Replace the stream of a request that has a body by a :class:`RequestBody`."""
    if "chunked" in request.headers.get("Transfer-Encoding", "").lower():
        # The server ends the stream where the body ends (``wsgi.input_terminated``), and also at a malformed
        # chunk. Truncation is noticed later: truncated JSON cannot be parsed, and other bodies are signed.
        request.META["CONTENT_LENGTH"] = UNKNOWN_LENGTH
        _replace_stream(request, RequestBody(request.META["wsgi.input"].read, length_bytes=None))
    elif announced := announced_bytes(request):
        is_received = isinstance(request.META["wsgi.input"], ReceivedBody)
        body = RequestBody(request._stream.read, length_bytes=announced, is_received=is_received)
        _replace_stream(request, body)


def announced_bytes(request: HttpRequest) -> int:
    """Return the length in bytes that a request's headers announce; 0 without a valid one."""
    announced = request.META.get("CONTENT_LENGTH") or ""
    return int(announced) if announced.isascii() and announced.isdecimal() else 0


def read_body(request: HttpRequest, *, limit_bytes: int) -> bytes:
    """Read the raw body of a request, up to the limit.

    :raises PayloadTooLarge: when it is larger; nothing is read if its announced length is.
    """
    return read_bounded(request, announced_bytes=announced_bytes(request), limit_bytes=limit_bytes)


def read_bounded(stream: IO[Any] | HttpRequest, *, announced_bytes: int, limit_bytes: int) -> bytes:
    """Read a stream to its end. Raises as :func:`read_body` does."""
    body: bytes = stream.read(limit_bytes + 1) if announced_bytes <= limit_bytes else b""
    if max(announced_bytes, len(body)) > limit_bytes:
        raise PayloadTooLarge(_("The body is too large."), detail=f"limit_bytes={limit_bytes}")
    return body


def read_ahead(request: HttpRequest, *, limit_bytes: int) -> None:
    """Read the body now, for later code that cannot handle a failure. Raises as :func:`read_body` does."""
    body = read_bounded(request._stream, announced_bytes=announced_bytes(request), limit_bytes=limit_bytes)
    request.META["CONTENT_LENGTH"] = str(len(body))
    _replace_stream(request, BytesIO(body))


def _replace_stream(request: HttpRequest, stream: Any) -> None:
    request.META["wsgi.input"] = request._stream = stream
