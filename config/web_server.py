"""The program of the web server, ``python -m config.web_server``: granian, with stops that are never lost."""

from __future__ import annotations

import signal
import threading

STOPS = frozenset({signal.SIGTERM, signal.SIGINT})


def hear_stops() -> None:
    """Hand each SIGTERM and SIGINT of this process to its handler, from now on and whatever it is doing.

    A worker is a fork, and until it has handlers of its own it has those of its parent, which swallow a stop.
    And Python runs a handler in the main thread, once that comes back: one that is just falling asleep for
    good, as granian's does, does not. So the signals are blocked, in all threads and in all forks, where they
    wait for the thread that is started here; a fork must call this again.
    """
    for number in STOPS:
        signal.signal(number, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_BLOCK, STOPS)
    threading.Thread(target=_hand_on, name="stops", daemon=True).start()


def _hand_on() -> None:
    while True:
        number = signal.sigwait(STOPS)
        handler = signal.getsignal(number)
        if callable(handler):
            handler(number, None)
        else:  # nothing has begun yet that would have to be finished
            signal.pthread_sigmask(signal.SIG_UNBLOCK, {number})
            signal.raise_signal(number)


if __name__ == "__main__":
    from granian.cli import cli

    hear_stops()
    cli(auto_envvar_prefix="GRANIAN")  # as granian starts itself
