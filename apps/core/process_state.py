"""What a process remembers by itself, and how it forgets that.

Each memory (a cache, a note of an outage, a timer) registers how it is forgotten beside its definition:

    known_callers = CallerCache()
    process_state.register(known_callers.clear)

What a process makes at its first use, because it takes settings to make it, is :func:`made_once`:

    @process_state.made_once
    def process_hashing_limit() -> HashingLimit: ...

So whoever needs a process that has just started, as every test does, need not know what there is to forget.
Connections are none of it: a process that has just started would open the same ones.
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
    """Have this called by :func:`forget_all`; returns it, so that it can decorate a function."""
    _memories.append(forget)
    return forget


def made_once(make: Callable[[], T]) -> Callable[[], T]:
    """Remember what a function makes; it is called once, however many threads begin at the same moment."""
    made: list[T] = []
    lock = threading.Lock()

    @wraps(make)
    def get() -> T:
        for one in made:  # nearly always there, and then no thread waits for another
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
    """Make this process one that has just started, as far as its memory goes."""
    # The last first: what ends a thread comes after what that thread may still note an outage in.
    for forget in reversed(_memories):
        forget()
