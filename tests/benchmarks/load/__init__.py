"""The load generators: ``wrk`` if there is one, else a small one of our own (``own``).

Both keep their connections, one request at a time on each, and count the responses that are not as expected.
"""

from __future__ import annotations

import http.client
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from urllib.parse import urlsplit

TIER_HEADER = "x-mengla-source"
_CHECK_TIMEOUT_SECONDS = 60.0


@dataclass(frozen=True, kw_only=True)
class Request:
    """What is requested: one path, or several in turn."""

    paths: tuple[str, ...]
    method: str = "GET"
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""


@dataclass(frozen=True, kw_only=True)
class Expected:
    """How every response must be; ``tier`` is the value of the header X-MengLa-Source, None for any."""

    status: int = 200
    tier: str | None = None


@dataclass(frozen=True, kw_only=True)
class Load:
    """The result of one measurement; ``wrong`` counts responses with another status or tier."""

    requests: int
    seconds: float
    p50_ms: float
    p99_ms: float
    wrong: int = 0

    @property
    def per_second(self) -> float:
        """The requests answered in a second."""
        return self.requests / self.seconds if self.seconds else 0.0


@dataclass(frozen=True, kw_only=True)
class Answer:
    """One response in full."""

    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes

    @property
    def tier(self) -> str | None:
        """The value of the header X-MengLa-Source."""
        return dict(self.headers).get(TIER_HEADER)

    @property
    def size(self) -> int:
        """About the bytes that it takes on the wire."""
        return len(self.body) + sum(len(name) + len(value) + 4 for name, value in self.headers) + 20

    def is_as(self, expected: Expected) -> bool:
        """Whether its status and its tier are the expected ones."""
        return self.status == expected.status and expected.tier in (None, self.tier)


class UnexpectedAnswer(Exception):
    """A response was not as expected."""


Generate = Callable[..., Load]


def ask(url: str, request: Request, *, number: int = 0) -> Answer:
    """Send one request and read its response in full; the names of its headers are in lower case."""
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.netloc, timeout=_CHECK_TIMEOUT_SECONDS)
    try:
        path = request.paths[number % len(request.paths)]
        connection.request(request.method, path, body=request.body or None, headers=dict(request.headers))
        answer = connection.getresponse()
        body = answer.read()
        headers = tuple((name.lower(), value) for name, value in answer.getheaders())
        return Answer(status=answer.status, headers=headers, body=body)
    finally:
        connection.close()


def generator(name: str = "") -> tuple[str, Generate]:
    """Return the name and the function of the generator: the named one, or else the best there is."""
    from tests.benchmarks.load import own, wrk

    if name == "own" or (not name and shutil.which("wrk") is None):
        return "own", own.generate
    return "wrk", wrk.generate
