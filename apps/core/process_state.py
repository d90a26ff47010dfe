"""What a process remembers by itself, and how it forgets that.

Each memory (a cache, a note of an outage, a timer) registers how it is forgotten beside its definition:

    known_facts = FactsCache()
    process_state.register(known_facts.clear)

So whoever needs a process that has just started, as every test does, need not know what there is to forget.
Connections are none of it: a process that has just started would open the same ones.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

Forget = TypeVar("Forget", bound=Callable[[], object])

_memories: list[Callable[[], object]] = []


def register(forget: Forget) -> Forget:
    """Have this called by :func:`forget_all`; returns it, so that it can decorate a function."""
    _memories.append(forget)
    return forget


def forget_all() -> None:
    """Make this process one that has just started, as far as its memory goes."""
    # The last first: what ends a thread comes after what that thread may still note an outage in.
    for forget in reversed(_memories):
        forget()
