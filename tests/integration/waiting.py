"""Waits for a condition: polls it until a deadline, and names it when it fails."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

POLL_SECONDS = 0.03
T = TypeVar("T")


def wait_until(
    condition: Callable[[], T], *, timeout_seconds: float, what: str, poll_seconds: float = POLL_SECONDS
) -> T:
    """Return the first true value of the condition; an AssertionError when the time is over."""
    deadline = time.monotonic() + timeout_seconds
    while not (value := condition()):
        assert time.monotonic() < deadline, f"not within {timeout_seconds:g} s: {what}"
        time.sleep(poll_seconds)
    return value


def at_once(calls: Iterable[Callable[[], T]]) -> list[T]:
    """Run all calls at the same time, each in a thread of its own, and return their results in order."""
    wanted = list(calls)
    with ThreadPoolExecutor(max(1, len(wanted))) as pool:
        return [future.result() for future in [pool.submit(call) for call in wanted]]


def timed(call: Callable[[], T]) -> tuple[T, float]:
    """Return the result of a call and how many seconds it took."""
    started = time.monotonic()
    result = call()
    return result, time.monotonic() - started
