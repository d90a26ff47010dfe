"""The threads of a dispatcher that send requests at the same time."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from types import TracebackType
from typing import Any

import structlog

from apps.mengla.queue import jobs

logger = structlog.get_logger(__name__)


class _Batch:
    """Accepted requests that are confirmed by one write; ``written`` has its result or its error."""

    def __init__(self) -> None:
        self.accepted: list[jobs.Accepted] = []
        self.written: Future[None] = Future()

    def write(self) -> None:
        try:
            jobs.mark_accepted(self.accepted)
        except BaseException as error:  # noqa: BLE001 - each thread raises it
            self.written.set_exception(error)
        else:
            self.written.set_result(None)


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
        self._batch = _Batch()  # of requests that the next thread confirms
        self._batch_lock = threading.Lock()
        self._confirming = threading.Lock()

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
        """Call ``work`` in an idle thread; it returns whether it sent a request.

        Its log lines have the values that the caller's lines have. It has no copy of the caller's whole
        context: in one, Django makes new clients of Redis for each work, in a thread it makes them once.
        """
        bound = structlog.contextvars.get_contextvars()
        self._busy.add(self._pool.submit(_call_bound, bound, work))
        self.used_at = time.monotonic()

    def confirm(self, accepted: jobs.Accepted) -> None:
        """Store that the service accepted a request; returns when it is stored.

        The threads that come while one of them writes are written together by the next.

        :raises pymongo.errors.PyMongoError: when it is not stored.
        """
        with self._batch_lock:
            batch = self._batch
            batch.accepted.append(accepted)
        with self._confirming:
            if not batch.written.done():  # otherwise another thread has written it
                with self._batch_lock:
                    self._batch = _Batch()
                batch.write()
        batch.written.result()

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


def _call_bound(bound: dict[str, Any], work: Callable[[], bool]) -> bool:
    with structlog.contextvars.bound_contextvars(**bound):
        return work()
