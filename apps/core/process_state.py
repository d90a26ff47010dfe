"""A registry of the state that a process keeps in memory, and of how it is cleared.

Each piece of state (a cache, a noted outage, a timer) registers, beside its definition, how it is cleared:

    known_callers = CallerCache()
    process_state.register(known_callers.clear)

An object that needs settings, and so is made at its first use, is :func:`made_once`:

    @process_state.made_once
    def process_hashing_limit() -> HashingLimit: ...

A test that needs the state of a newly started process calls :func:`forget_all`, and need not know the pieces.
Connections are not registered: a newly started process would open the same ones.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from functools import wraps
from typing import TypeVar

T = TypeVar("T")
Forget = TypeVar("Forget", bound=Callable[[], object])

_memories: list[Callable[[], object]] = []


def register(forget: Forget) -> Forget:
    """Add a function that :func:`forget_all` calls; returns it, so that this can be a decorator."""
    _memories.append(forget)
    return forget


def made_once(make: Callable[[], T]) -> Callable[[], T]:
    """Call the function once and cache its result, even if several threads call it at the same time."""
    made: list[T] = []
    lock = threading.Lock()

    @wraps(make)
    def get() -> T:
        for one in made:  # the usual case, without a lock
            return one
        with lock:
            if not made:
                made.append(make())
            return made[0]

    @register
    def forget() -> None:
        with lock:
            made.clear()

    return get


def forget_all() -> None:
    """Reset the registered state to that of a newly started process."""
    # In reverse order: a thread is ended before the state is cleared that the thread may still change.
    for forget in reversed(_memories):
        forget()
