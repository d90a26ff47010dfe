"""The seconds that the product promises, and how they are checked while a server hangs."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial

import httpx

from tests.integration.waiting import at_once, timed

PROMISED_SECONDS = 3.0


def in_time(call: Callable[[], httpx.Response], *, seconds: float = PROMISED_SECONDS) -> httpx.Response:
    """Call, and assert that the answer came within the promised time."""
    answer, needed = timed(call)
    assert needed < seconds, f"{answer.request.url} took {needed:.1f} s: {answer.status_code}"
    return answer


def check_in_an_outage(
    clients: Mapping[int, Sequence[httpx.Client]], checks: Sequence[Callable[[httpx.Client], None]]
) -> None:
    """Make all checks at each process at the same moment, each with a client of its own, and once more.

    The first ones learn of the outage, the second ones know of it.
    """
    calls = [partial(*one) for some in clients.values() for one in zip(checks, some, strict=True)]
    at_once(calls)
    at_once(calls)
