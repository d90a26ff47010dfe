"""How many threads of a web process may wait for somebody outside, so that some are left for the rest.

A thread waits for a body that a client sends slowly, for a turn to hash a password, for work that is under
way elsewhere. Each kind has a bound of its own, and all of them together leave a quarter of the threads to
requests that wait for nobody: what is stored, and the probes of monitors and balancers.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from django.conf import settings

from apps.core import process_state


class Places:
    """The places of one kind of waiting."""

    def __init__(self, count: int) -> None:
        self._own = threading.BoundedSemaphore(count)

    @contextmanager
    def take(self) -> Iterator[bool]:
        """Hold a place during the block; gives False, without waiting, when there is none."""
        if not self._own.acquire(blocking=False):
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
    """Return how many threads of this process may wait at once, for whatever it may be."""
    return settings.WEB_THREADS - max(1, settings.WEB_THREADS // 4)


def places_for_half() -> Places:
    """Return places for one kind of waiting that may take half of this process's threads."""
    return Places(max(1, settings.WEB_THREADS // 2))


@process_state.made_once
def _all_places() -> threading.BoundedSemaphore:
    return threading.BoundedSemaphore(threads_that_may_wait())
