"""Ends a command cleanly at SIGINT (Ctrl-C) and SIGTERM."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

_SIGNALS = (signal.SIGINT, signal.SIGTERM)
# The terminal and a parent process may both send the first signal. A later one is a second request.
_REPEATED_SIGNAL_SECONDS = 1.0


class Stopped(BaseException):
    """A signal stopped the command. Like KeyboardInterrupt, it is not caught by ``except Exception``."""

    def __init__(self, signal_name: str) -> None:
        super().__init__(signal_name)
        self.signal_name = signal_name


class StopSignals:
    """Turns the first signal into :class:`Stopped`, at once or at the end of a :meth:`deferred` block.

    The command should then end at once. Another signal, more than a second after the first, ends the process
    without any handling.
    """

    def __init__(self) -> None:
        self._received: signal.Signals | None = None
        self._received_at = 0.0
        self._is_deferred = False

    @contextmanager
    def deferred(self) -> Iterator[None]:
        """Do not interrupt the block; a signal during the block stops the command after it."""
        self._is_deferred = True
        already = self._received
        try:
            yield
        finally:
            self._is_deferred = False
        if self._received is not None and already is None:
            raise Stopped(self._received.name)

    def handle(self, number: int, _frame: FrameType | None) -> None:
        """Handle SIGINT or SIGTERM."""
        if self._received is None:
            self._received, self._received_at = signal.Signals(number), time.monotonic()
            if not self._is_deferred:
                raise Stopped(self._received.name)
        elif time.monotonic() - self._received_at > _REPEATED_SIGNAL_SECONDS:
            signal.signal(number, signal.SIG_DFL)
            os.kill(os.getpid(), number)


@contextmanager
def stop_signals() -> Iterator[StopSignals]:
    """Handle the signals within the block; Python allows this in the main thread only."""
    signals = StopSignals()
    if threading.current_thread() is not threading.main_thread():
        yield signals
        return
    former = {number: signal.signal(number, signals.handle) for number in _SIGNALS}
    try:
        yield signals
    finally:
        for number, handler in former.items():
            signal.signal(number, handler)
