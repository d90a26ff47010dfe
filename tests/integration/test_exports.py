"""Exports of a real server: slow readers, readers that go away, files that cannot be sent to their end."""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any, Self
from urllib.parse import urlencode, urlsplit

import httpx
import psutil
import pytest

from apps.core.periods import parse_period, period_range
from apps.core.storage.mongo import utc_now
from tests.integration.conftest import run_stack
from tests.integration.stack import Shape, Stack
from tests.integration.waiting import wait_until

pytestmark = [pytest.mark.slow, pytest.mark.mongo, pytest.mark.redis]
FIRST, LAST, ROWS = "20250101", "20250228", 200
PATIENCE_SECONDS = 20
PARAMETERS = {"action": "hot", "catIds": "all", "from": FIRST, "to": LAST}
MB = 1_000_000


@pytest.fixture(scope="module")
def exporting(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """One web process with a place for one export, and 11,800 rows, about 17 MB."""
    shape = Shape(web_workers=1, web_threads=4, clusters=0)
    for stack in run_stack("exports", tmp_path_factory.mktemp("exports"), shape):
        now = utc_now()
        common = {
            **{"action": "hot", "cat_id": "", "granularity": "day", "variant": "", "is_empty": False},
            **{"collected_at": now, "fresh_until": now, "expired_at": now + timedelta(days=1)},
        }
        stack.database.mengla_data.insert_many(
            {
                "_id": f"hot:all:day:{period.key}",
                "period_key": period.key,
                "data": {"list": [{"catName": os.urandom(400).hex(), "monthSales": n} for n in range(ROWS)]},
                **common,
            }
            for period in period_range(parse_period(FIRST), parse_period(LAST))
        )
        yield stack


class Reader:
    """A client that reads as it likes: it asks, and takes the head of the response and a little more."""

    def __init__(self, stack: Stack, **parameters: str) -> None:
        url = urlsplit(stack.url)
        self._socket = socket.socket()
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 16_384)
        self._socket.settimeout(PATIENCE_SECONDS)
        self._socket.connect((url.hostname, url.port))
        head = (
            f"GET /api/mengla/export?{urlencode(PARAMETERS | parameters)} HTTP/1.1\r\n"
            f"Host: {url.netloc}\r\nAuthorization: Bearer {stack.token}\r\n\r\n"
        )
        self._socket.sendall(head.encode())
        received = b""
        while b"\r\n\r\n" not in received:
            received += self._socket.recv(4096)
        self.head, _, self._body = received.partition(b"\r\n\r\n")

    @property
    def length(self) -> int:
        (line,) = [one for one in self.head.lower().split(b"\r\n") if one.startswith(b"content-length:")]
        return int(line.split(b":")[1])

    def read_to_end(self) -> bytes:
        """Read until the connection or the announced body ends."""
        parts = [self._body]
        missing = self.length - len(self._body)
        while missing > 0 and (part := self._socket.recv(1 << 20)):
            parts.append(part)
            missing -= len(part)
        return b"".join(parts)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """Go away."""
        self._socket.close()


def worker_of(stack: Stack) -> psutil.Process:
    (pid,) = stack.web.worker_pids()
    return psutil.Process(pid)


def files_of(worker: psutil.Process) -> list[Path]:
    """The temporary files without names that the process has open."""
    descriptors = Path(f"/proc/{worker.pid}/fd")
    found = []
    for one in descriptors.iterdir():
        try:
            target = str(one.readlink())
        except OSError:
            continue
        if target.startswith("/tmp/") and target.endswith("(deleted)"):  # a file made with O_TMPFILE
            found.append(one)
    return found


def wait_until_free(stack: Stack, worker: psutil.Process) -> None:
    wait_until(
        lambda: not files_of(worker), timeout_seconds=PATIENCE_SECONDS, what="the temporary file is gone"
    )
    answer = stack.get("/api/mengla/export", **PARAMETERS | {"to": FIRST})
    assert answer.status_code == 200
    assert json.loads(answer.text.splitlines()[-1])["rows"] == ROWS


def log_lines(stack: Stack, event: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in stack.log_text().splitlines() if f'"{event}"' in line]


def test_a_slow_reader_makes_no_process_large_and_frees_its_place(exporting: Stack) -> None:
    worker = worker_of(exporting)
    assert exporting.get("/api/mengla/export", **PARAMETERS).status_code == 200  # all is loaded
    before = worker.memory_info().rss
    with Reader(exporting) as reader:
        assert b" 200 OK" in reader.head
        assert reader.length > 16 * MB
        assert len(files_of(worker)) == 1
        grown = worker.memory_info().rss - before
        refused = exporting.get("/api/mengla/export", **PARAMETERS)
        assert (refused.status_code, refused.json()["error"]) == (429, "RATE_LIMITED")
        assert exporting.get("/api/categories").status_code == 200  # other threads are free
    wait_until_free(exporting, worker)
    (line,) = log_lines(exporting, "export_cut_off")
    assert line["bytes"] < reader.length and line["rows"] == ROWS * 59 and line["request_id"]
    assert grown < 10 * MB  # a few records and what Python keeps, but not the file


def test_a_file_that_cannot_be_sent_to_its_end_breaks_the_connection(exporting: Stack) -> None:
    worker = worker_of(exporting)
    with Reader(exporting) as reader:
        (file,) = files_of(worker)
        os.truncate(file, 100_000)  # as if the disk had failed
        body = reader.read_to_end()
    assert len(body) < reader.length
    wait_until_free(exporting, worker)


@pytest.mark.parametrize("form", ["ndjson", "csv", "xlsx"])
def test_every_format_arrives_whole(exporting: Stack, form: str) -> None:
    with exporting.client() as client:
        for encoding in ("identity",) if form == "xlsx" else ("identity", "gzip"):
            headers = {"Accept-Encoding": encoding}
            answer = client.get("/api/mengla/export", params=PARAMETERS | {"format": form}, headers=headers)
            assert answer.status_code == httpx.codes.OK
            assert int(answer.headers["X-MengLa-Export-Rows"]) == ROWS * 59
            if form == "ndjson":
                assert json.loads(answer.text[answer.text.rindex("\n", 0, -1) :])["end"] is True
        head = client.head("/api/mengla/export", params=PARAMETERS)
        assert (head.status_code, head.content) == (200, b"")
        # The connection is still good.
        assert client.get("/api/categories").status_code == httpx.codes.OK
