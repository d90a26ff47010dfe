"""What other processes are still to be told of the caches, because Redis did not take it: told soon, behind.

A thread tries again until Redis has taken everything, and ends. What a process owes ends with it; for that
case whoever wrote to the database has left a note there, or has told its caller.
"""

from __future__ import annotations

import threading
from collections.abc import Callable

from apps.core import process_state

RETRY_SECONDS = 0.4
_MAX_OWED = 10_000

Tell = Callable[[], bool]


class Debts:
    """The news one process owes the others, each by its name; safe between threads."""

    def __init__(self) -> None:
        self._owed: dict[str, Tell] = {}
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._stop = threading.Event()

    def owe(self, news: str, tell: Tell) -> None:
        """Have it told again until ``tell`` returns true; news of one name are told once."""
        with self._lock:
            if len(self._owed) < _MAX_OWED:
                self._owed[news] = tell
            # After a fork the copy of the thread is not alive.
            if self._thread is None or not self._thread.is_alive():
                self._stop = threading.Event()
                self._thread = threading.Thread(
                    target=self._pay, args=(self._stop,), name="cache-debts", daemon=True
                )
                self._thread.start()

    def forget(self) -> None:
        """Owe nothing any more; returns when nothing is being told."""
        with self._lock:
            self._owed.clear()
            self._stop.set()
            thread = self._thread
        if thread is not None:
            thread.join()

    def _pay(self, stop: threading.Event) -> None:
        while not stop.wait(RETRY_SECONDS):
            while (owed := self._take()) is not None:
                news, tell = owed
                if not tell():
                    self._put_back(news, tell)
                    break
            with self._lock:
                if not self._owed:
                    self._thread = None
                    return

    def _take(self) -> tuple[str, Tell] | None:
        # Before it is told: the same news that comes meanwhile is owed anew.
        with self._lock:
            news = next(iter(self._owed), None)
            return None if news is None else (news, self._owed.pop(news))

    def _put_back(self, news: str, tell: Tell) -> None:
        with self._lock:
            if not self._stop.is_set():
                self._owed.setdefault(news, tell)


debts = Debts()
process_state.register(debts.forget)
