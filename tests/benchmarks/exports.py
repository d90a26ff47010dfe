"""What an export of a million rows needs: seconds to its first and last byte, size, and memory.

    bin/bench --only exports

One web process as ``manage.py serve`` starts it, and 10,000 stored rankings of 100 rows, as large as the
simulator's, none like another. A client reads each format once.
"""

from __future__ import annotations

import random
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import psutil

from apps.core.periods import parse_period
from apps.core.storage.mongo import utc_now
from apps.mengla.choices import Action
from apps.mengla.export.query import ExportFormat
from apps.mengla.queries.data_query import DataQuery
from apps.mengla.simulator.data import ranking_rows
from apps.mengla.simulator.query import parse_parameters
from tests.benchmarks.targets import Row
from tests.http import NO_CERTIFICATES
from tests.integration.stack import Shape, Stack

CATEGORIES, DAYS, ROWS = 10, 1000, 100
FIRST_DAY = parse_period("20220101")
TIMEOUT_SECONDS = 900.0
_POLL_SECONDS = 0.02
_MB = 1_000_000


def fill(stack: Stack) -> list[str]:
    """Store the rankings; returns the categories."""
    pick = random.Random(15)
    query = DataQuery(Action.HOT, "10000", FIRST_DAY, FIRST_DAY)
    example = ranking_rows(parse_parameters(query.service_parameters()))
    now = utc_now()
    roots = stack.get("/api/categories").json()["data"]
    nodes = [node for root in roots for node in (root, *root["children"])]
    cat_ids = [str(node["catId"]) for node in nodes[:CATEGORIES]]
    for cat_id in cat_ids:
        query = DataQuery(Action.HOT, cat_id, FIRST_DAY, FIRST_DAY)
        for begin in range(0, DAYS, 100):
            stack.database.mengla_data.insert_many(
                {
                    "_id": query.record_id(period),
                    **{"action": "hot", "cat_id": cat_id, "granularity": "day", "period_key": period.key},
                    **{"variant": "", "is_empty": False, "collected_at": now, "fresh_until": now},
                    **{"updated_at": now, "expired_at": now + timedelta(days=9)},
                    "data": {"list": [_varied(example[n % len(example)], pick) for n in range(ROWS)]},
                }
                for period in map(FIRST_DAY.shift, range(begin, begin + 100))
            )
    return cat_ids


def _varied(row: dict[str, Any], pick: random.Random) -> dict[str, Any]:
    return {
        key: round(value * pick.random(), 2) if isinstance(value, float) else value
        for key, value in row.items()
    }


@contextmanager
def peak_of(process: psutil.Process) -> Iterator[list[float]]:
    """Yield a list that gets, at the end, the peak RSS of the block above that of its beginning, in MB."""
    idle, peaks = process.memory_info().rss, [0]
    found: list[float] = []
    is_over = threading.Event()

    def look() -> None:
        while not is_over.wait(_POLL_SECONDS):
            peaks[0] = max(peaks[0], process.memory_info().rss)

    thread = threading.Thread(target=look)
    thread.start()
    try:
        yield found
    finally:
        is_over.set()
        thread.join()
        found.append((peaks[0] - idle) / _MB)


def measure() -> Iterator[Row]:
    """Read each format once, and yield what it took."""
    with tempfile.TemporaryDirectory(prefix="bench-exports-") as directory:
        shape = Shape(web_workers=1, web_threads=16, clusters=0, variables={"LOG_LEVEL": "WARNING"})
        with Stack("exports", Path(directory), shape) as stack:
            cat_ids = fill(stack)
            (pid,) = stack.web.worker_pids()
            worker = psutil.Process(pid)
            last = FIRST_DAY.shift(DAYS - 1)
            days = {"from": FIRST_DAY.dashed, "to": last.dashed}
            asked = {"action": "hot", "catIds": ",".join(cat_ids), **days}
            for form in ExportFormat:
                yield from _one(stack, worker, asked | {"format": form.value})


def _one(stack: Stack, worker: psutil.Process, asked: dict[str, str]) -> Iterator[Row]:
    name = f"export of {CATEGORIES * DAYS * ROWS:,} rows, {asked['format']}"
    size = 0
    headers = {"Authorization": f"Bearer {stack.token}", "Accept-Encoding": "identity"}
    options: dict[str, Any] = {"timeout": TIMEOUT_SECONDS, "verify": NO_CERTIFICATES, "trust_env": False}
    used = sum(worker.cpu_times()[:2])
    with peak_of(worker) as peak, httpx.Client(**options) as client:
        began_at = time.perf_counter()
        address = f"{stack.url}/api/mengla/export"
        with client.stream("GET", address, params=asked, headers=headers) as answer:
            answer.raise_for_status()
            first_at = time.perf_counter()
            for piece in answer.iter_raw():
                size += len(piece)
        ended_at = time.perf_counter()
    assert int(answer.headers["X-MengLa-Export-Rows"]) == CATEGORIES * DAYS * ROWS
    yield Row(f"{name}: first byte", round(first_at - began_at, 1), "s")
    yield Row(f"{name}: last byte", round(ended_at - began_at, 1), "s")
    yield Row(f"{name}: processor time", round(sum(worker.cpu_times()[:2]) - used, 1), "s")
    yield Row(f"{name}: size", round(size / _MB, 1), "MB")
    yield Row(f"{name}: peak memory above idle", round(peak[0], 1), "MB")
