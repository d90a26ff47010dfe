"""The threads of a dispatcher that send requests at the same time."""

from __future__ import annotations

import contextvars
import time
from collections.abc import Callable
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from types import TracebackType

import structlog

logger = structlog.get_logger(__name__)


class Senders:
    """A few threads; as a context manager it waits at its end until each has finished its work.

    ``sent`` counts the requests that were sent, ``used_at`` is when the last work began (monotonic seconds).
    The first error of a thread is raised in the thread that owns this object, others are logged.
    """

    def __init__(self, count: int) -> None:
        self.count = count
        self.sent = 0
        self.used_at = float("-inf")
        self._pool = ThreadPoolExecutor(count, thread_name_prefix="dispatch")
        self._busy: set[Future[bool]] = set()

    def __enter__(self) -> Senders:
        return self

    def __exit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._pool.shutdown(wait=True)
        for future in self._busy:
            error = future.exception()
            if error is None:
                self.sent += future.result()
            elif exc is None:
                exc = error
            elif error is not exc:
                logger.error("sender_failed", exc_info=error)
        self._busy.clear()
        if exc is not None and exc_type is None:
            raise exc

    @property
    def is_used(self) -> bool:
        """Whether any work was submitted."""
        return self.used_at > float("-inf")

    @property
    def idle_count(self) -> int:
        """How many threads have nothing to do."""
        self._collect(0)
        return self.count - len(self._busy)

    def submit(self, work: Callable[[], bool]) -> None:
        """Call ``work`` in an idle thread, in the caller's context; it returns whether it sent a request."""
        self._busy.add(self._pool.submit(contextvars.copy_context().run, work))
        self.used_at = time.monotonic()

    def wait_for_idle(self, timeout_seconds: float) -> bool:
        """Wait until a thread is idle; False when the time is over before.

        :raises Exception: the error of a thread.
        """
        if not self.idle_count:
            self._collect(timeout_seconds)
        return self.count > len(self._busy)

    def wait_for_all(self) -> None:
        """Wait until all threads are idle.

        :raises Exception: the error of a thread.
        """
        while self._busy:
            self._collect(None)

    def _collect(self, timeout_seconds: float | None) -> None:
        done, self._busy = wait(self._busy, timeout_seconds, FIRST_COMPLETED)
        failed = [future for future in done if future.exception() is not None]
        self.sent += sum(future.result() for future in done if future not in failed)
        self._busy.update(failed[1:])  # reported at the end
        for future in failed[:1]:
            future.result()
