"""The harness of the benchmarks still works: its arithmetic, its generators, its command line. No load."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import SimpleNamespace

import pytest

from tests.benchmarks import report
from tests.benchmarks.arithmetic import median, median_ratio, percentile
from tests.benchmarks.contenders import until_expected
from tests.benchmarks.figures import chosen
from tests.benchmarks.load import Expected, Request, UnexpectedAnswer, own, wrk
from tests.benchmarks.rounds import Case, rotated
from tests.benchmarks.targets import Row, Target, targets
from tests.programs import run_python

BODY = b"x" * 5000
PRINTED = """Running 1s test @ http://127.0.0.1:8000
  2 threads and 8 connections
Requests/sec:   1990.00

bench requests=2000 microseconds=1005000 bytes=10600000 p50=3900 p99=9123 wrong=0 status=0 failed=0
"""


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    seen: set[str] = set()

    def do_GET(self) -> None:
        self.seen.add(self.path)
        is_odd = self.path.endswith("odd")
        self.send_response(404 if is_odd else 200)
        self.send_header("X-MengLa-Source", "l1")
        self.send_header("Content-Length", str(len(BODY)))
        self.end_headers()
        self.wfile.write(BODY)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def url() -> Iterator[str]:
    Handler.seen = set()
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()
    thread.join()


def test_percentiles_medians_and_ratios() -> None:
    assert [percentile(range(1, 101), percent) for percent in (50, 99, 100)] == [50, 99, 100]
    assert (percentile([7.0], 99), percentile([], 99)) == (7.0, 0.0)
    assert (median([3, 1, 2]), median([])) == (2, 0.0)
    assert median_ratio([1, 4, 9], [2, 4, 0]) == pytest.approx(0.75)


def test_what_wrk_prints_is_read() -> None:
    load = wrk.parse(PRINTED, connections=8, size=5300)
    assert (load.requests, load.wrong, load.p50_ms, load.p99_ms) == (2000, 0, 3.9, 9.123)
    assert load.per_second == pytest.approx(1990, abs=1)
    assert wrk.parse(PRINTED, connections=8, size=52_000).wrong == 2000  # other bytes than expected
    assert wrk.parse(PRINTED.replace("wrong=0", "wrong=3"), connections=8).wrong == 3
    with pytest.raises(RuntimeError, match="no result"):
        wrk.parse("unable to connect", connections=8)


def test_our_own_generator_counts_and_checks_every_response(url: str) -> None:
    request = Request(paths=("/a", "/b", "/c"), headers={"Accept": "*/*"})
    load = own.generate(url, request, Expected(tier="l1"), connections=3, seconds=0.2)
    assert Handler.seen == {"/a", "/b", "/c"}
    assert load.requests >= 3
    assert load.wrong == 0
    assert 0 < load.p50_ms <= load.p99_ms
    for path, expected in (("/a", Expected(tier="l2")), ("/odd", Expected(tier="l1"))):
        other = own.generate(url, Request(paths=(path,)), expected, connections=1, seconds=0.1)
        assert other.wrong == other.requests > 0


def test_one_response_is_checked_in_full(url: str) -> None:
    answer = until_expected(url, Request(paths=("/a",)), Expected(tier="l1"))
    assert (answer.body, answer.tier) == (BODY, "l1")
    assert len(BODY) < answer.size < len(BODY) * 1.05  # what is compared with the bytes that wrk has read
    with pytest.raises(UnexpectedAnswer, match=r"expected .*l2.*got 200, tier l1"):
        until_expected(url, Request(paths=("/a",)), Expected(tier="l2"), attempts=2)


def test_each_round_begins_with_another_case() -> None:
    cases = list(range(10))
    rounds = [rotated(cases, number, 5) for number in range(5)]
    assert [order[0] for order in rounds] == [0, 2, 4, 6, 8]
    assert all(sorted(order) == cases for order in rounds)
    assert rotated([], 3, 5) == []


def test_figures_are_compared_with_their_targets() -> None:
    rows = [
        Row("claims", 1500.0, "/s", "at least 1,000"),
        Row("planning", 19.4, "s", "at most 15"),
        Row("x", 1),
    ]
    found = targets(list[Case](), rows)
    assert [(one.name, one.holds) for one in found] == [("claims", True), ("planning", False)]
    with pytest.raises(ValueError, match="no bound"):
        assert Target(name="x", wanted="fast", measured=1).holds


def test_a_figure_may_be_a_row_a_number_with_a_name_or_two_times() -> None:
    (claims,) = chosen(["claims"])
    rows = claims.rows({"claims_per_second": 1200.0, "ms_per_claim": 3.0, "claims": 10})
    assert [(row.value, row.target) for row in rows] == [(1200.0, "at least 1,000"), (3.0, "")]
    assert claims.rows([("idle", 110.0, "MB", "at most 120")]) == [Row("idle", 110.0, "MB", "at most 120")]
    two_times = SimpleNamespace(name="page /admin/mengla/record/?p=899", few_ms=40.0, many_ms=60.0)
    assert [(row.value, row.target) for row in claims.rows([two_times])] == [
        (40.0, ""),
        (60.0, "at most 100"),
        (1.5, ""),
    ]
    assert [one.name for one in chosen(["scale"])] == ["claims", "planning", "dispatch", "lists"]


def test_the_tables_of_an_earlier_run_can_be_shown(tmp_path: Path) -> None:
    load = {"requests_per_second": 14_000.4, "p50_ms": 0.51, "p99_ms": 1.9}
    case = {
        **{"contender": "L1 hit", "connections": 8, "processes": 1, "is_valid": True},
        **{
            "ratio_to_bare": 0.6,
            "ratio_to_plain": 48.0,
            "median": {"product": load, "bare": load, "plain": load},
        },
    }
    row = Row("claims", 1500.0, "/s", "at least 1,000")
    facts = {
        "machine": {"cores": 2},
        "requests": [case],
        "rows": [row._asdict()],
        "targets": [one.as_json() for one in targets([], [row])],
    }
    report.write(tmp_path / "run.json", facts)
    done = run_python("-m", "tests.benchmarks", "--show", str(tmp_path / "run.json"), "--markdown")
    assert "| L1 hit | 14,000 | 0.51 | 1.9 | 14,000 | 1.9 | 0.6 | 14,000 | 48.0 |" in done.stdout, done.stderr
    assert "| claims | at least 1,000 | 1,500 /s | yes |" in done.stdout


def test_the_command_line_explains_itself() -> None:
    done = run_python("-m", "tests.benchmarks", "--help")
    assert done.returncode == 0
    for option in ("--rounds", "--seconds", "--only", "--connections", "--processes", "--quick", "--json"):
        assert option in done.stdout
    assert run_python("-m", "tests.benchmarks", "--rounds", "0").returncode == 2
