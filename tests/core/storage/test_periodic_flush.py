"""The thread that flushes; what is flushed has tests of its own."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from apps.core.storage.periodic_flush import PeriodicFlush

_start = PeriodicFlush.start  # the tests replace it


def test_when_no_thread_can_be_started_the_next_call_tries_again(monkeypatch: pytest.MonkeyPatch) -> None:
    timer = PeriodicFlush("flush-of-a-test", lambda: None, seconds=3600, forget=lambda: None)

    def refuse(_thread: Any) -> None:
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", refuse)
        _start(timer)
    for _ in range(2):
        _start(timer)
        assert [one.name for one in threading.enumerate()].count("flush-of-a-test") == 1
