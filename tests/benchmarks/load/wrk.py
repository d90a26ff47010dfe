"""Measures with wrk; ``wrk.lua`` sends the requests and prints one line of numbers.

If no response header is read (a single path), the mean size of the responses shows that they are the expected
ones: a response with another status has other bytes. wrk corrects its percentiles for requests that a long
response held back, so its p99 is a little higher than that of the other generator.
"""

from __future__ import annotations

import os
import re
import subprocess
import tempfile
from pathlib import Path

from tests.benchmarks.load import Expected, Load, Request, ask

SCRIPT = Path(__file__).with_name("wrk.lua")
# On two cores a second thread of the generator would take the time of the server that is measured.
MAX_THREADS = max(1, min(2, (os.cpu_count() or 1) // 2))
_GRACE_SECONDS = 120
_SIZE_TOLERANCE = 0.05
_LINE = re.compile(r"^bench (.+)$", re.MULTILINE)


def generate(url: str, request: Request, expected: Expected, *, connections: int, seconds: float) -> Load:
    """Send requests for so many seconds over so many connections."""
    threads = min(MAX_THREADS, connections)
    with tempfile.TemporaryDirectory() as directory:
        paths, body = Path(directory, "paths"), Path(directory, "body")
        paths.write_text("".join(f"{path}\n" for path in request.paths))
        body.write_bytes(request.body)
        headers = (part for name, value in request.headers.items() for part in ("-H", f"{name}: {value}"))
        ended = subprocess.run(
            [
                *("wrk", "-t", str(threads), "-c", str(connections), "-d", f"{max(1, round(seconds))}s"),
                *("--timeout", "60s", "-s", str(SCRIPT), *headers, url, "--"),
                *(request.method, str(expected.status), expected.tier or "-"),
                *(str(paths), str(body), str(threads)),
            ],
            capture_output=True,
            text=True,
            timeout=seconds + _GRACE_SECONDS,
            check=False,
        )
    if ended.returncode != 0:
        raise RuntimeError(f"wrk failed: {ended.stdout}{ended.stderr}")
    is_static = len(request.paths) == 1
    size = ask(url, request).size if is_static else None
    return parse(ended.stdout, connections=connections, size=size)


def parse(output: str, *, connections: int, size: int | None = None) -> Load:
    """Return the result that wrk has printed.

    ``size`` is that of the expected response. If the mean size differs, all responses count as wrong.
    """
    found = _LINE.search(output)
    if found is None:
        raise RuntimeError(f"wrk printed no result: {output}")
    numbers = {name: int(value) for name, value in (pair.split("=") for pair in found[1].split())}
    requests = numbers["requests"]
    wrong = max(numbers["wrong"], numbers["status"]) + numbers["failed"]
    if size is not None and requests:
        smallest = requests * size * (1 - _SIZE_TOLERANCE)
        largest = (requests + connections) * size * (1 + _SIZE_TOLERANCE)  # some were not read to their end
        if not smallest <= numbers["bytes"] <= largest:
            wrong = requests
    return Load(
        requests=requests,
        seconds=numbers["microseconds"] / 1e6,
        p50_ms=numbers["p50"] / 1000,
        p99_ms=numbers["p99"] / 1000,
        wrong=wrong,
    )
