"""The program of the web server, ``python -m config.web_server``: granian, without lost stop signals."""

from __future__ import annotations

import signal
import threading
import warnings
from collections.abc import Callable

STOPS = frozenset({signal.SIGTERM, signal.SIGINT})


def deliver_stop_signals(*, before_stop: Callable[[], object] = lambda: None) -> None:
    """Start a thread that calls the handler of each SIGTERM and SIGINT of this process at once.

    ``before_stop`` is called before the handler of SIGTERM, which it so delays.

    Without it a stop signal can be lost in two ways. A worker is a fork: until it sets its own handlers, it
    has those of its parent, which ignore the signal. And Python runs a handler only when the main thread
    executes Python code again, but granian's main thread may have begun to wait without a timeout.

    So the signals are blocked in all threads and forks, and the thread waits for them. A fork must call this
    function again, because it does not inherit the thread.
    """
    for number in STOPS:
        signal.signal(number, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_BLOCK, STOPS)
    threading.Thread(target=_call_handlers, args=(before_stop,), name="stops", daemon=True).start()


def _call_handlers(before_stop: Callable[[], object]) -> None:
    while True:
        number = signal.sigwait(STOPS)
        handler = signal.getsignal(number)
        if callable(handler):
            if number == signal.SIGTERM:
                before_stop()
            handler(number, None)
        else:  # no handler is set yet, so no request is in progress
            signal.pthread_sigmask(signal.SIG_UNBLOCK, {number})
            signal.raise_signal(number)


def leave_the_proxy() -> None:
    """Prepare a worker for its end, so that no request is lost; returns when it can stop listening."""
    # Imported here: a worker must receive signals before anything is loaded, and its parent needs nothing.
    from django.conf import settings

    from apps.core.web.draining import drain

    drain(settings.DRAIN_SECONDS)


if __name__ == "__main__":
    from granian.cli import cli

    # granian forks its workers. The other thread holds no lock then: it waits for a signal.
    warnings.filterwarnings("ignore", r"This process .* is multi-threaded, use of fork", DeprecationWarning)
    deliver_stop_signals()
    cli(auto_envvar_prefix="GRANIAN")  # the same call as in granian's own entry point
