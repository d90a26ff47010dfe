"""Lets a command end cleanly at SIGINT (Ctrl-C) and SIGTERM."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

_SIGNALS = (signal.SIGINT, signal.SIGTERM)
# A doubled signal (a terminal's and a parent's) is one wish; one that comes later is impatience.
_REPEATED_SIGNAL_SECONDS = 1.0


class Stopped(BaseException):
    """The command was told to stop; like KeyboardInterrupt no ``except Exception`` keeps it."""

    def __init__(self, signal_name: str) -> None:
        super().__init__(signal_name)
        self.signal_name = signal_name


class StopSignals:
    """Turns the first signal into :class:`Stopped`, at once or at the end of a :meth:`deferred` block.

    What follows a stop should take no time. A further signal, more than a second after the first, ends the
    process as if nobody had listened.
    """

    def __init__(self) -> None:
        self._received: signal.Signals | None = None
        self._received_at = 0.0
        self._is_deferred = False

    @contextmanager
    def deferred(self) -> Iterator[None]:
        """Do not interrupt the block; a signal that comes meanwhile stops the command after it."""
        self._is_deferred = True
        already = self._received
        try:
            yield
        finally:
            self._is_deferred = False
        if self._received is not None and already is None:
            raise Stopped(self._received.name)

    def handle(self, number: int, _frame: FrameType | None) -> None:
        """Take one signal; the handler of both."""
        if self._received is None:
            self._received, self._received_at = signal.Signals(number), time.monotonic()
            if not self._is_deferred:
                raise Stopped(self._received.name)
        elif time.monotonic() - self._received_at > _REPEATED_SIGNAL_SECONDS:
            signal.signal(number, signal.SIG_DFL)
            os.kill(os.getpid(), number)


@contextmanager
def stop_signals() -> Iterator[StopSignals]:
    """Listen to the signals within the block; only a main thread can."""
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
