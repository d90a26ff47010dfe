"""How many passwords a process hashes at once, so that logins never stall the other requests."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from django.utils.translation import gettext as _

from apps.core import process_state
from apps.core.errors import RateLimited
from apps.core.web_threads import Places, threads_that_may_wait

CONCURRENT_HASHES = 2
WAIT_SECONDS = 5.0
RETRY_AFTER_SECONDS = 2


class HashingBusy(RateLimited):
    """The process has as many logins in hand as it takes."""


class HashingLimit:
    """Admits a bounded number of logins, of which a few hash and the others wait their turn.

    Hashing takes a core for a good part of a second, and a waiting login holds a thread of the web
    server: both are bounded, so that cores and threads are left for everybody else.
    """

    def __init__(self, *, concurrent: int, admitted: int, wait_seconds: float) -> None:
        self._hashing = threading.BoundedSemaphore(concurrent)
        self._admitted = Places(admitted)
        self._wait_seconds = wait_seconds

    @contextmanager
    def take(self) -> Iterator[None]:
        """Hold one of the places for hashing.

        :raises HashingBusy: when none gets free in time, or too many wait already.
        """
        with self._admitted.take() as is_admitted:
            if not is_admitted or not self._hashing.acquire(timeout=self._wait_seconds):
                raise _busy()
            try:
                yield
            finally:
                self._hashing.release()


@process_state.made_once
def process_hashing_limit() -> HashingLimit:
    """Return the limit of this process; a quarter of its threads stay free of logins."""
    return HashingLimit(
        concurrent=CONCURRENT_HASHES, admitted=threads_that_may_wait(), wait_seconds=WAIT_SECONDS
    )


def _busy() -> HashingBusy:
    return HashingBusy(
        _("Too many logins at this moment. Try again shortly."), retry_after_seconds=RETRY_AFTER_SECONDS
    )
