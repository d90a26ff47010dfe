"""What a web worker needs of memory: idle, and after 200,000 requests of all kinds.

    bin/bench --memory

One web process as `manage.py serve` starts it, a worker cluster, a simulated collection service, real MongoDB
and Redis. RSS counts pages that processes share in each of them, PSS counts each worker's part.
"""

from __future__ import annotations

import itertools
import json
import random
import re
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from http.client import HTTPConnection
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlencode, urlsplit

import psutil

from tests.benchmarks.targets import Row
from tests.http import METRICS_HEADERS
from tests.integration.questions import Question
from tests.integration.stack import Shape, Stack

REQUESTS = 200_000
LOOKS = (4_000, 80_000)  # after so many requests the memory is read, too
CONNECTIONS = 8
MAX_IDLE_MB = 120
MAX_GROWTH_PERCENT = 10
QUERIES = 60
MISSES = 2_000  # each of them is collected
SETTLE_SECONDS = 3.0
MISS_TIMEOUT_SECONDS = 120.0
_FORM_TOKEN = re.compile(r'name="csrfmiddlewaretoken" value="([^"]+)"')
ADMIN_PAGES = (
    "",
    "data/",
    "coverage/",
    "auth/user/",
    "categories/category/",
    "collector_admin/alert/",
    "collector_auth/apitoken/",
    "mengla/collection/",
    "mengla/record/",
    "panels/panelmodule/",
    "sync_tasks/synctask/",
)
LISTS = ("mengla/records", "mengla/records?action=hot", "sync-tasks", "sync-tasks/today", "auth/tokens")
SHAPE = Shape(
    web_workers=1,
    web_threads=CONNECTIONS,
    variables={"LOG_LEVEL": "WARNING", "MAX_WAITING_PER_CALLER": "100000"},
)


class Asked(NamedTuple):
    """One request, and the statuses that may answer it."""

    path: str
    headers: dict[str, str]
    statuses: tuple[int, ...]
    body: str | None = None


class Memory(NamedTuple):
    """The memory of a process, in MB."""

    rss: float
    pss: float


class Mix:
    """Makes requests of all kinds in a random order, which is the same in each run; safe between threads."""

    def __init__(self, stack: Stack, queries: Sequence[Question], etags: Sequence[str], cookie: str) -> None:
        self._random = random.Random(12)
        self._lock = threading.Lock()
        self._queries = list(zip(queries, etags, strict=True))
        self._misses = iter(stack.questions.some(MISSES))
        self._caller = {"Authorization": f"Bearer {stack.token}"}
        self._admin = {"Cookie": cookie, "Accept-Encoding": "gzip"}
        kinds: dict[Callable[[], Asked], int] = {
            self._figures: 300,
            self._figures_gzip: 300,
            self._figures_unchanged: 150,
            self._figures_by_post: 60,
            self._tree: 30,
            self._panel_config: 40,
            self._list: 30,
            self._miss: 12,
            self._invalid: 15,
            self._unknown_path: 15,
            self._unknown_token: 15,
            self._health: 10,
            self._metrics: 2,
            self._admin_page: 20,
            self._login_page: 3,
        }
        self.kinds = tuple(kinds)
        self._weights = tuple(itertools.accumulate(kinds.values()))

    def one(self) -> Asked:
        """Make a request of some kind."""
        with self._lock:
            (kind,) = self._random.choices(self.kinds, cum_weights=self._weights)
            return kind()

    def _figures(self) -> Asked:
        return Asked(self._query_path(), self._caller, (200,))

    def _figures_gzip(self) -> Asked:
        return Asked(self._query_path(), self._caller | {"Accept-Encoding": "gzip"}, (200,))

    def _figures_unchanged(self) -> Asked:
        query, etag = self._random.choice(self._queries)
        return Asked(path_of(query), self._caller | {"If-None-Match": etag}, (304,))

    def _figures_by_post(self) -> Asked:
        query, _ = self._random.choice(self._queries)
        headers = self._caller | {"Content-Type": "application/json"}
        body = {"action": query.action.value, "catId": query.cat_id, "timest": query.timest}
        return Asked("/api/mengla/query", headers, (200,), json.dumps(body))

    def _tree(self) -> Asked:
        return Asked("/api/categories", self._caller | {"Accept-Language": self._language()}, (200,))

    def _panel_config(self) -> Asked:
        return Asked("/api/panel-config", self._caller, (200,))

    def _list(self) -> Asked:
        return Asked(f"/api/{self._random.choice(LISTS)}", self._caller, (200,))

    def _miss(self) -> Asked:
        query = next(self._misses, None)
        return Asked(path_of(query), self._caller, (200, 202)) if query else self._figures()

    def _invalid(self) -> Asked:
        path = f"/api/mengla?action={self._name()}&timest={self._name()}"
        return Asked(path, self._caller | {"X-Request-ID": self._name()}, (400,))

    def _unknown_path(self) -> Asked:
        path = self._random.choice(("api", "admin", "static", "mengla"))
        return Asked(f"/{path}/{self._name()}", self._caller, (302, 404))

    def _unknown_token(self) -> Asked:
        return Asked(self._query_path(), {"Authorization": f"Bearer {self._name()}"}, (401,))

    def _health(self) -> Asked:
        return Asked(self._random.choice(("/health", "/ready")), {"User-Agent": self._name()}, (200,))

    def _metrics(self) -> Asked:
        return Asked("/metrics", METRICS_HEADERS, (200,))

    def _admin_page(self) -> Asked:
        headers = self._admin | {"Accept-Language": self._language()}
        return Asked(f"/admin/{self._random.choice(ADMIN_PAGES)}", headers, (200,))

    def _login_page(self) -> Asked:
        return Asked(f"/admin/login/?next=/admin/{self._name()}", {}, (200,))

    def _query_path(self) -> str:
        return path_of(self._random.choice(self._queries)[0])

    def _language(self) -> str:
        return self._random.choice(("en", "zh-CN,zh;q=0.9,en;q=0.8", f"{self._name()[:3]},en"))

    def _name(self) -> str:
        """A text that no request has had before."""
        return f"x{self._random.getrandbits(96):x}"


def path_of(query: Question) -> str:
    """Return the address of the figures of a query."""
    return f"/api/mengla?{urlencode(query.parameters)}"


def memory_of(pid: int) -> Memory:
    """Read the memory of a process."""
    info = psutil.Process(pid).memory_full_info()
    return Memory(info.rss / 2**20, info.pss / 2**20)


def send(stack: Stack, mix: Mix, count: int) -> None:
    """Send so many requests over all connections.

    :raises SystemExit: when a response has another status than expected.
    """
    numbers = iter(range(count))
    failures: list[str] = []

    def work() -> None:
        parts = urlsplit(stack.url)
        connection = HTTPConnection(parts.hostname or "", parts.port, timeout=60)
        while not failures and next(numbers, None) is not None:
            asked = mix.one()
            try:
                connection.request("POST" if asked.body else "GET", asked.path, asked.body, asked.headers)
                response = connection.getresponse()
                response.read()
            except OSError as error:
                failures.append(f"{asked.path}: {error!r}")
                return
            if response.status not in asked.statuses:
                failures.append(f"{asked.path}: expected {asked.statuses}, got {response.status}")
        connection.close()

    threads = [threading.Thread(target=work) for _ in range(CONNECTIONS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failures:
        raise SystemExit(failures[0])


def admin_cookie(stack: Stack) -> str:
    """Log in to the admin as an operator would, and return the header of its cookies."""
    with stack.client() as client:
        page = client.get("/admin/login/").text
        found = _FORM_TOKEN.search(page)
        assert found is not None, page
        form = {
            "username": "admin",
            "password": stack.environment["ADMIN_PASSWORD"],
            "csrfmiddlewaretoken": found[1],
        }
        client.post("/admin/login/", data=form)
        return "; ".join(f"{name}={value}" for name, value in client.cookies.items())


def measure(stack: Stack, *, count: int = REQUESTS) -> list[Row]:
    """Measure the only web worker of a stack that has just started."""
    (pid,) = stack.web.worker_pids()
    time.sleep(SETTLE_SECONDS)
    idle = memory_of(pid)
    queries = stack.questions.some(QUERIES)
    stack.ask_all(queries)
    etags = [stack.collect(query).headers["ETag"] for query in queries]
    mix = Mix(stack, queries, etags, admin_cookie(stack))
    started_at = time.perf_counter()
    taken: dict[int, Memory] = {}
    done = 0
    for until in sorted({min(one, count) for one in (*LOOKS, count)}):
        send(stack, mix, until - done)
        done = until
        taken[until] = memory_of(pid)
    seconds = time.perf_counter() - started_at
    time.sleep(SETTLE_SECONDS)
    after = taken[count] = memory_of(pid)
    assert stack.web.worker_pids() == {pid}, "the worker was replaced"
    first = next(iter(taken))
    return [
        Row("a web worker, idle (RSS)", idle.rss, "MB", f"at most {MAX_IDLE_MB}"),
        Row("a web worker, idle (PSS)", idle.pss, "MB"),
        *(Row(f"after {number:,} mixed requests (RSS)", one.rss, "MB") for number, one in taken.items()),
        Row(f"after {count:,} mixed requests (PSS)", after.pss, "MB"),
        Row("growth from idle", _percent(idle, after), "%", f"at most {MAX_GROWTH_PERCENT}"),
        Row(
            f"growth from {first:,} to {count:,} requests",
            _percent(taken[first], after),
            "%",
            f"at most {MAX_GROWTH_PERCENT}",
        ),
        Row("mixed requests a second", count / seconds, "1/s"),
    ]


def rows(*, count: int = REQUESTS) -> list[Row]:
    """Start a stack, measure its web worker, and return the lines of the table."""
    with tempfile.TemporaryDirectory() as directory, Stack("memory", Path(directory), SHAPE) as stack:
        return measure(stack, count=count)


def _percent(before: Memory, after: Memory) -> float:
    return (after.rss / before.rss - 1) * 100
