"""A load generator of our own, for a machine without wrk: one or two processes, raw sockets, epoll.

It needs more time of the processor than wrk, which the server lacks on a small machine: its rates are lower,
and ratios of fast answers are nearer to 1. Percentiles are exact: every response is timed.
"""

from __future__ import annotations

import json
import selectors
import socket
import subprocess
import sys
import time
from array import array
from base64 import b64decode, b64encode
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from tests.benchmarks.arithmetic import percentile
from tests.benchmarks.load import TIER_HEADER, Expected, Load, Request

ROOT = Path(__file__).resolve().parents[3]
MAX_PROCESSES = 2
_GRACE_SECONDS = 120
_READ_BYTES = 1 << 18
_HEAD_END = b"\r\n\r\n"


def generate(url: str, request: Request, expected: Expected, *, connections: int, seconds: float) -> Load:
    """Send requests for so many seconds over so many connections, from one process or two."""
    processes = min(MAX_PROCESSES, connections)
    orders = [
        {
            "url": url,
            "request": asdict(request) | {"body": b64encode(request.body).decode()},
            "status": expected.status,
            "tier": expected.tier,
            "connections": connections // processes + (number < connections % processes),
            "seconds": seconds,
            "first": number,
            "step": processes,
        }
        for number in range(processes)
    ]
    with ThreadPoolExecutor(processes) as threads:
        results = list(threads.map(_run_in_process, orders))
    return merge(results)


def _run_in_process(order: dict[str, Any]) -> dict[str, Any]:
    done = subprocess.run(
        [sys.executable, "-m", "tests.benchmarks.load.own"],
        cwd=ROOT,
        input=json.dumps(order),
        stdout=subprocess.PIPE,
        text=True,
        timeout=order["seconds"] + _GRACE_SECONDS,
        check=True,
    )
    return dict(json.loads(done.stdout))


def merge(results: list[dict[str, Any]]) -> Load:
    """Return the result of all processes together."""
    latencies = sorted(value for result in results for value in result["milliseconds"])
    return Load(
        requests=len(latencies),
        seconds=max(result["seconds"] for result in results),
        p50_ms=percentile(latencies, 50),
        p99_ms=percentile(latencies, 99),
        wrong=sum(result["wrong"] for result in results),
    )


class _Connection:
    """A connection with one request at a time."""

    def __init__(self, address: tuple[str, int]) -> None:
        self.socket = socket.create_connection(address, timeout=60)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._received = bytearray()
        self._expected_bytes = 0
        self.sent_at = 0.0
        self.head = b""

    def send(self, data: bytes) -> None:
        self.sent_at = time.perf_counter()
        self.socket.sendall(data)

    def receive(self) -> bool:
        """Read what has come; whether the response is complete. ``head`` is its status line and headers."""
        data = self.socket.recv(_READ_BYTES)
        if not data:
            raise ConnectionError("the server closed a connection")
        self._received += data
        if not self._expected_bytes:
            end = self._received.find(_HEAD_END)
            if end < 0:
                return False
            self.head = bytes(self._received[:end]).lower()
            self._expected_bytes = end + len(_HEAD_END) + body_length(self.head)
        if len(self._received) < self._expected_bytes:
            return False
        self._received.clear()
        self._expected_bytes = 0
        return True


def body_length(head: bytes) -> int:
    """Return the length of the body that belongs to a head in lower case."""
    if status_of(head) in (204, 304):
        return 0
    _, found, rest = head.partition(b"\r\ncontent-length:")
    if not found:
        raise ValueError("a response without Content-Length")
    return int(rest.partition(b"\r\n")[0])


def status_of(head: bytes) -> int:
    """Return the status in a head."""
    return int(head[9:12])


def requests_of(order: dict[str, Any]) -> list[bytes]:
    """Return the bytes of the requests of one process: every n-th path."""
    request = order["request"]
    body = b64decode(request["body"])
    headers = {"Host": urlsplit(order["url"]).netloc} | request["headers"]
    if body:
        headers["Content-Length"] = str(len(body))
    head = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    paths = request["paths"]
    chosen = paths[order["first"] :: order["step"]] or paths
    return [f"{request['method']} {path} HTTP/1.1\r\n{head}\r\n".encode() + body for path in chosen]


def run(order: dict[str, Any]) -> dict[str, Any]:
    """Send requests until the time is over; returns the latency of each response."""
    parts = urlsplit(order["url"])
    requests, position = requests_of(order), 0
    tier = order["tier"] and f"\r\n{TIER_HEADER}: {order['tier']}".encode()
    latencies, wrong = array("d"), 0
    connections = [_Connection((parts.hostname or "", parts.port or 80)) for _ in range(order["connections"])]
    with selectors.DefaultSelector() as selector:
        started_at = time.perf_counter()
        ends_at = started_at + order["seconds"]
        for connection in connections:
            selector.register(connection.socket, selectors.EVENT_READ, connection)
            connection.send(requests[position % len(requests)])
            position += 1
        while (now := time.perf_counter()) < ends_at:
            for key, _ in selector.select(ends_at - now):
                connection = key.data
                if not connection.receive():
                    continue
                latencies.append((time.perf_counter() - connection.sent_at) * 1000)
                head = connection.head + b"\r\n"
                if status_of(head) != order["status"] or (tier and tier + b"\r\n" not in head):
                    wrong += 1
                connection.send(requests[position % len(requests)])
                position += 1
        seconds = time.perf_counter() - started_at
    for connection in connections:
        connection.socket.close()
    return {"milliseconds": list(latencies), "seconds": seconds, "wrong": wrong}


if __name__ == "__main__":
    json.dump(run(json.load(sys.stdin)), sys.stdout)
