"""Flushes what a process gathers in its memory: again and again, and once more when the process ends.

Gathering spares every request a round trip or a write of its own. What has been gathered since the last flush
is lost only if the process is killed by SIGKILL or crashes.
"""

from __future__ import annotations

import contextlib
import logging
import os
import threading
import time
from collections.abc import Callable
from multiprocessing.util import Finalize

logger = logging.getLogger(__name__)


class PeriodicFlush:
    """Calls a function every ``seconds`` in one daemon thread of the process, and at its graceful end.

    :meth:`start` is cheap enough to be called for everything that is gathered. A fork has no thread until its
    own first call; ``forget`` is called in the fork first, because what it has inherited belongs to its
    parent.

    A graceful end is the end of the main thread, as after SIGTERM in a process of granian, which returns when
    its requests have ended. The functions with the highest ``priority`` are called first.
    """

    def __init__(
        self,
        name: str,
        flush: Callable[[], object],
        *,
        seconds: float,
        forget: Callable[[], object],
        priority: int = 0,
    ) -> None:
        self._seconds = seconds
        self._name = name
        self._flush = flush
        self._forget = forget
        self._priority = priority
        self._lock = threading.Lock()
        self._is_started = False
        os.register_at_fork(after_in_child=self._begin_in_fork)

    def start(self) -> None:
        """Start the thread, if this process has none yet; if it cannot have one now, the next call tries."""
        if self._is_started:
            return
        with self._lock, contextlib.suppress(RuntimeError):
            if not self._is_started:
                threading.Thread(target=self._run, name=self._name, daemon=True).start()
                # Works in the forks of multiprocessing, too, which do not call the functions of atexit.
                Finalize(None, self._flush, exitpriority=self._priority)
                self._is_started = True

    def _run(self) -> None:
        while True:
            time.sleep(self._seconds)
            try:
                self._flush()
            except Exception:
                logger.exception("flush_failed", extra={"flush": self._name})  # the next round tries again

    def _begin_in_fork(self) -> None:
        self._lock = threading.Lock()
        self._is_started = False
        self._forget()
