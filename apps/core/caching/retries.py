"""Retries, in a background thread, the cache notifications that Redis did not accept.

The thread ends when Redis has accepted all of them. A process that is killed loses its pending notifications:
for this case the writer has left a note in the database, or has reported the failure to its caller.
"""

from __future__ import annotations

import threading
from collections.abc import Callable

from apps.core import process_state

RETRY_SECONDS = 0.4
_MAX_PENDING = 10_000

Notify = Callable[[], bool]


class NotificationRetries:
    """The notifications that this process still has to send, by name; thread-safe."""

    def __init__(self) -> None:
        self._pending: dict[str, Notify] = {}
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._stop = threading.Event()

    def add(self, name: str, notify: Notify) -> None:
        """Call ``notify`` until it returns true; it replaces a pending notification of the same name."""
        with self._lock:
            if len(self._pending) < _MAX_PENDING:
                self._pending[name] = notify
            # After a fork, the child has a copy of the thread object, but the thread does not run there.
            if self._thread is None or not self._thread.is_alive():
                self._stop = threading.Event()
                self._thread = threading.Thread(
                    target=self._retry, args=(self._stop,), name="cache-retries", daemon=True
                )
                self._thread.start()

    def clear(self) -> None:
        """Drop all pending notifications; returns when none is being sent."""
        with self._lock:
            self._pending.clear()
            self._stop.set()
            thread = self._thread
        if thread is not None:
            thread.join()

    def _retry(self, stop: threading.Event) -> None:
        while not stop.wait(RETRY_SECONDS):
            while (pending := self._pop()) is not None:
                name, notify = pending
                if not notify():
                    self._restore(name, notify)
                    break
            with self._lock:
                if not self._pending:
                    self._thread = None
                    return

    def _pop(self) -> tuple[str, Notify] | None:
        # Removed before it is sent, so that one of the same name that is added meanwhile is sent, too.
        with self._lock:
            name = next(iter(self._pending), None)
            return None if name is None else (name, self._pending.pop(name))

    def _restore(self, name: str, notify: Notify) -> None:
        with self._lock:
            if not self._stop.is_set():
                self._pending.setdefault(name, notify)


retries = NotificationRetries()
process_state.register(retries.clear)
