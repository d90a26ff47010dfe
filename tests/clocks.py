"""Hosts whose clocks are off: in this process, and as a program of its own.

``python -m tests.clocks SECONDS MODULE [ARGUMENT]...`` runs a module like ``python -m`` on such a host. All
clocks of Python but the monotonic one are moved, also in the children that the program forks.
"""

from __future__ import annotations

import runpy
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from functools import partial

import pytest
import time_machine


def move_clock(ahead_seconds: float) -> time_machine.travel:
    """Return what moves the clock of this process while it is entered or after its start."""
    return time_machine.travel(datetime.now(UTC) + timedelta(seconds=ahead_seconds), tick=True)


@contextmanager
def another_host(ahead_seconds: float) -> Iterator[None]:
    """Be a process on a host whose clock is off, and that has just connected to MongoDB."""
    from django.db import connection

    from apps.core.storage.clock import ServerClock, mongo_clock
    from apps.core.storage.database.client import Client

    with move_clock(ahead_seconds), pytest.MonkeyPatch.context() as patch:
        patch.setattr(mongo_clock, "note", partial(ServerClock.note, mongo_clock))
        with Client(**connection.get_connection_params()) as client:
            client.admin.command("ping")
        patch.undo()
        try:
            yield
        finally:
            mongo_clock.forget()


if __name__ == "__main__":
    _, ahead, name, *arguments = sys.argv
    move_clock(float(ahead)).start()
    sys.argv = [name, *arguments]
    runpy.run_module(name, run_name="__main__", alter_sys=True)
