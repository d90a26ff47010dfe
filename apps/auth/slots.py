"""How many passwords a process hashes at once, so that logins never stall the other requests."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache

from django.conf import settings
from django.utils.translation import gettext as _

from apps.core.errors import RateLimited

CONCURRENT_HASHES = 2
WAIT_SECONDS = 5.0
RETRY_AFTER_SECONDS = 2


class HashingBusy(RateLimited):
    """The process has as many logins in hand as it takes."""


class HashingSlots:
    """Admits a bounded number of logins, of which a few hash and the others wait their turn.

    Hashing takes a core for a good part of a second, and a waiting login holds a thread of the web
    server: both are bounded, so that cores and threads are left for everybody else.
    """

    def __init__(self, *, concurrent: int, admitted: int, wait_seconds: float) -> None:
        self._hashing = threading.BoundedSemaphore(concurrent)
        self._admitted = threading.BoundedSemaphore(admitted)
        self._wait_seconds = wait_seconds

    @contextmanager
    def take(self) -> Iterator[None]:
        """Hold one slot.

        :raises HashingBusy: when none gets free in time, or too many wait already.
        """
        if not self._admitted.acquire(blocking=False):
            raise _busy()
        try:
            if not self._hashing.acquire(timeout=self._wait_seconds):
                raise _busy()
            try:
                yield
            finally:
                self._hashing.release()
        finally:
            self._admitted.release()


@cache
def process_slots() -> HashingSlots:
    """Return the slots of this process; a quarter of its threads stay free of logins."""
    admitted = max(CONCURRENT_HASHES, settings.WEB_THREADS * 3 // 4)
    return HashingSlots(concurrent=CONCURRENT_HASHES, admitted=admitted, wait_seconds=WAIT_SECONDS)


def _busy() -> HashingBusy:
    return HashingBusy(
        _("Too many logins at this moment. Try again shortly."), retry_after_seconds=RETRY_AFTER_SECONDS
    )
