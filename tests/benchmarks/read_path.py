"""How much faster a stored answer is served than a built one, measured over HTTP in one run.

    bin/_run -m apps.launcher.embedded exec -- .venv/bin/python -m tests.benchmarks

One web process, one client on one connection, real MongoDB and Redis. Each way of answering
is asked in turn, round after round, so that whatever else the machine does slows all of them alike. Printed
are medians and their ratio to an answer that is built from MongoDB; the numbers of another machine differ,
the ratios hardly do. Results of a run stand in docs/benchmarks.md.
"""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Callable
from http.client import HTTPConnection
from pathlib import Path
from urllib.parse import urlencode, urlsplit

from rich.console import Console
from rich.table import Table

from tests.integration.questions import Question
from tests.integration.stack import Shape, Stack

ROUNDS = 300
WARM_UP_ROUNDS = 30
SHAPE = Shape(web_workers=1, web_threads=2, variables={"LOG_LEVEL": "WARNING", "L1_CACHE_MAX_SIZE": "1"})
BUILT = "Built from MongoDB (L3)"


class Reader:
    """One client on one connection, which reads every answer to its end."""

    def __init__(self, stack: Stack) -> None:
        parts = urlsplit(stack.url)
        self._connection = HTTPConnection(parts.hostname or "", parts.port)
        self._headers = {"Authorization": f"Bearer {stack.token}", "Accept-Encoding": "gzip"}

    def get(self, path: str, *, etag: str | None = None) -> tuple[int, str | None, str | None, int]:
        """Return status, tier, ETag and bytes of the body."""
        headers = self._headers | ({"If-None-Match": etag} if etag else {})
        self._connection.request("GET", path, headers=headers)
        answer = self._connection.getresponse()
        size = len(answer.read())
        return answer.status, answer.headers.get("X-MengLa-Source"), answer.headers.get("ETag"), size


def path_of(question: Question) -> str:
    """Return the address of a question."""
    return f"/api/mengla/?{urlencode(question.parameters)}"


def measure(stack: Stack) -> tuple[dict[str, float], int]:
    """Return the median seconds of each way of answering, and the bytes of the answer."""
    one, other = stack.questions.some(2)
    stack.collect(one)
    stack.collect(other)
    reader = Reader(stack)
    etag, size = reader.get(path_of(one))[2:]
    cache = stack.redis()

    def drop_l2() -> None:
        for key in cache.scan_iter("mengla:data:*"):
            cache.delete(key)

    # What is done before the clock starts, what is asked, and what must come of it. L1 holds one answer only,
    # so that asking for another one pushes the first out.
    ways: dict[str, tuple[Callable[[], object], Callable[[], tuple[int, str | None]], tuple[int, str]]] = {
        BUILT: (
            lambda: (reader.get(path_of(other)), drop_l2()),
            lambda: reader.get(path_of(one))[:2],
            (200, "l3"),
        ),
        "From Redis (L2)": (
            lambda: reader.get(path_of(other)),
            lambda: reader.get(path_of(one))[:2],
            (200, "l2"),
        ),
        "From the process (L1)": (
            lambda: reader.get(path_of(one)),
            lambda: reader.get(path_of(one))[:2],
            (200, "l1"),
        ),
        "Not modified (L1, 304)": (
            lambda: reader.get(path_of(one)),
            lambda: reader.get(path_of(one), etag=etag)[:2],
            (304, "l1"),
        ),
        "/health (Django alone)": (
            lambda: None,
            lambda: (reader.get("/health")[0], "-"),
            (200, "-"),
        ),
    }
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    for number in range(WARM_UP_ROUNDS + ROUNDS):
        for name, (prepare, ask, expected) in ways.items():
            prepare()
            started_at = time.perf_counter()
            found = ask()
            duration = time.perf_counter() - started_at
            if number < WARM_UP_ROUNDS:  # the process may still learn that the figures have just come
                continue
            if found != expected:
                raise SystemExit(f"{name}: expected {expected}, got {found}")
            seconds[name].append(duration)
    cache.close()
    return {name: statistics.median(each) for name, each in seconds.items()}, size


def main() -> None:
    """Measure, and print a table."""
    with tempfile.TemporaryDirectory() as directory, Stack("benchmark", Path(directory), SHAPE) as stack:
        medians, size = measure(stack)
    table = Table(title=f"Median of {ROUNDS} answers of {size:,} bytes (gzip)")
    table.add_column("Way")
    table.add_column("ms", justify="right")
    table.add_column("times as fast as L3", justify="right")
    for name, median in medians.items():
        table.add_row(name, f"{median * 1000:.2f}", f"{medians[BUILT] / median:.1f}")
    Console(width=90).print(table)
