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
    """The process already handles as many logins as it allows."""


class HashingLimit:
    """Admits a limited number of logins at once: a few of them hash, the others wait.

    Hashing uses a core for much of a second, and a waiting login holds a thread of the web server. Both
    are limited, so that cores and threads stay free for other requests.
    """

    def __init__(self, *, concurrent: int, admitted: int, wait_seconds: float) -> None:
        self._hashing = threading.BoundedSemaphore(concurrent)
        self._admitted = Places(admitted)
        self._wait_seconds = wait_seconds

    @contextmanager
    def claim(self) -> Iterator[None]:
        """Wait for a place for hashing, and hold it during the block.

        :raises HashingBusy: when no place becomes free in time, or too many logins are already waiting.
        """
        with self._admitted.claim() as is_admitted:
            if not is_admitted or not self._hashing.acquire(timeout=self._wait_seconds):
                raise _busy()
            try:
                yield
            finally:
                self._hashing.release()


@process_state.made_once
def process_hashing_limit() -> HashingLimit:
    """Return the limit of this process; it leaves a quarter of the web threads to other requests."""
    return HashingLimit(
        concurrent=CONCURRENT_HASHES, admitted=threads_that_may_wait(), wait_seconds=WAIT_SECONDS
    )


def _busy() -> HashingBusy:
    return HashingBusy(
        _("Too many logins at this moment. Try again shortly."), retry_after_seconds=RETRY_AFTER_SECONDS
    )
