"""What the remover of duplicates needs for a large collection: seconds, and memory of the command.

    bin/bench --only duplicates

1,000,000 documents in the forms of the former program and ours, 100,000 of them duplicates, in a collection
of its own; the command runs as operators run it. Results of a run stand
in docs/performance.md, and a test asserts with fewer documents that memory does not grow with them.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import islice
from typing import Any

from apps.core.storage.mongo import named_collection
from tests.benchmarks.targets import Row
from tests.programs import ROOT

COLLECTION = "benchmark_duplicates"
DOCUMENTS = 1_000_000
_BEGIN = datetime(2025, 7, 1)
_ONE_IN = 10  # of so many documents one answers a question again


# At the end the process tells its own peak. What the system tells of a child counts its parent's memory, too.
_PROGRAM = """
import atexit, re, runpy, sys
from pathlib import Path

def tell():
    print(re.search(r"VmHWM:\\s+(\\d+) kB", Path("/proc/self/status").read_text())[1], file=sys.stderr)

atexit.register(tell)
sys.argv[0] = "manage.py"
sys.path.insert(0, "")
runpy.run_path("manage.py", run_name="__main__")
"""


@dataclass(frozen=True)
class Run:
    """A run of the command: its output, and its cost."""

    reported: dict[str, Any]
    seconds: float
    peak_mb: float


def fill(name: str, count: int, *, row_count: int = 3) -> int:
    """Store so many documents, a tenth of them duplicates; returns how many of these."""
    documents = named_collection(name)
    documents.drop()
    made = _documents(count, row_count)
    while batch := list(islice(made, 5000)):
        documents.insert_many(batch, ordered=False)
    return count // _ONE_IN


def _documents(count: int, row_count: int) -> Iterator[dict[str, Any]]:
    rows = [{"catName": "x" * 40, "monthSales": number} for number in range(row_count)]
    for number in range(count):
        is_again = number % _ONE_IN == 0
        question = number + 1 if is_again else number
        is_empty = is_again and number % 3 == 0
        data = {"list": []} if is_empty else {"hotList": {"code": 0, "data": {"list": rows}}}
        written_at = _BEGIN + timedelta(seconds=count - number)
        if number % 2:
            yield {
                "action": "hot",
                "cat_id": str(question // 100),
                "granularity": "month",
                "period_key": f"{1900 + question % 100}06",
                "updated_at": written_at,
                "data": data,
            }
        else:
            yield {
                "action": "hot",
                "catId": str(question // 100),
                "dateType": "MONTH",
                "timest": f"{1900 + question % 100}-06",
                "collected_at": written_at,
                "data": data,
            }


def run_command(name: str, *arguments: str) -> Run:
    """Run ``manage.py remove_duplicates`` as a process on the database of this one."""
    database = named_collection(name).database.name
    started_at = time.perf_counter()
    ended = subprocess.run(
        [sys.executable, "-c", _PROGRAM, "remove_duplicates", "--collection", name, "--json", *arguments],
        cwd=ROOT,
        env=os.environ | {"MONGO_DB": database},
        capture_output=True,
        text=True,
        check=True,
    )
    peak_mb = int(ended.stderr.split()[-1]) / 1024
    return Run(json.loads(ended.stdout), time.perf_counter() - started_at, peak_mb)


def measure() -> Iterator[Row]:
    """Yield seconds and memory of each run."""
    fill(COLLECTION, DOCUMENTS)
    try:
        for label, arguments in (("dry run", ("--dry-run",)), ("--yes", ("--yes",)), ("again", ("--yes",))):
            run = run_command(COLLECTION, *arguments)
            name = f"remove_duplicates, {DOCUMENTS:,} documents, {label}"
            yield Row(f"{name}: duplicates", run.reported["duplicates"])
            yield Row(f"{name}: deleted", run.reported["deleted"])
            yield Row(f"{name}: time", run.seconds, "s")
            yield Row(f"{name}: peak memory of the command", run.peak_mb, "MB")
    finally:
        named_collection(COLLECTION).drop()
