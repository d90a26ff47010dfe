"""Sends a finished file with its length, a piece at a time.

The server ends the response cleanly when the pieces end early, whatever the reason. The length lets the
client notice it all the same: the server closes the connection then, because bytes are missing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Self

from django.http import StreamingHttpResponse


class FileBody:
    """The pieces of a body; ``close`` is called once, with the number of bytes that the server has taken."""

    def __init__(self, pieces: Iterator[bytes], close: Callable[[int], None]) -> None:
        self._pieces = pieces
        self._close: Callable[[int], None] | None = close
        self._sent_bytes = 0

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> bytes:
        piece = next(self._pieces)
        self._sent_bytes += len(piece)
        return piece

    def close(self) -> None:
        """Free what the body needs; the server calls it at the end, and when the client has gone."""
        close, self._close = self._close, None
        if close is not None:
            close(self._sent_bytes)

    def __del__(self) -> None:
        self.close()  # a response that no server has sent


def file_response(
    body: FileBody, *, length_bytes: int, content_type: str, headers: Mapping[str, str]
) -> StreamingHttpResponse:
    """Return the response with this body."""
    response = StreamingHttpResponse(body, content_type=content_type, headers=dict(headers))
    response.headers["Content-Length"] = str(length_bytes)
    return response
