"""Limits how many threads of a web process wait for something outside, so that some stay free.

A thread may wait for a body that a client sends slowly, for its turn to hash a password, or for work that
another process does. Each kind of waiting has a limit of its own. All kinds together leave a quarter of the
threads to requests that do not wait, such as reads of stored data and the probes.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from typing import Any

from django.conf import settings

from apps.core import process_state

# A thread that has received its body keeps its place until Python's lock is its again: some milliseconds when
# the process is busy. Without patience, short bodies would be refused for this.
_BODY_PATIENCE_SECONDS = 0.025


class Places:
    """The places for threads that wait for one kind of event; one may become free within the patience."""

    def __init__(self, count: int, *, patience_seconds: float = 0.0) -> None:
        self._own = threading.BoundedSemaphore(count)
        self._patience_seconds = patience_seconds

    @contextmanager
    def claim(self) -> Iterator[bool]:
        """Claim a place for the block; yields False when none is free."""
        if not self._own.acquire(timeout=self._patience_seconds):
            yield False
            return
        try:
            shared = _all_places()
            if not shared.acquire(blocking=False):
                yield False
                return
            try:
                yield True
            finally:
                shared.release()
        finally:
            self._own.release()


def threads_that_may_wait() -> int:
    """Return how many threads of this process may wait at once, for all kinds together."""
    return settings.WEB_THREADS - max(1, settings.WEB_THREADS // 4)


def places_for_half(*, patience_seconds: float = 0.0) -> Places:
    """Return places for one kind of waiting, for half of this process's threads."""
    return Places(max(1, settings.WEB_THREADS // 2), patience_seconds=patience_seconds)


@process_state.made_once
def body_places() -> Places:
    """Return this process's places for threads that wait for a body."""
    return places_for_half(patience_seconds=_BODY_PATIENCE_SECONDS)


class ReceivedBody(BytesIO):
    """The stream of a body that is in memory already."""


def receive_body(environ: dict[str, Any], length_bytes: int) -> bytes | None:
    """Return the body of a request, and let it be read again; None when no place is free.

    It is shorter than ``length_bytes`` if the client has ended it early.
    """
    stream = environ["wsgi.input"]
    if isinstance(stream, ReceivedBody):
        return stream.getvalue()
    with body_places().claim() as has_place:
        if not has_place:
            return None
        body: bytes = stream.read(length_bytes)
    environ["wsgi.input"] = ReceivedBody(body)
    return body


@process_state.made_once
def _all_places() -> threading.BoundedSemaphore:
    return threading.BoundedSemaphore(threads_that_may_wait())
