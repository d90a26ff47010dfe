"""The tests' own rules: workers share nothing, and no others run beside tests of the wall clock."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from tests.parallel import (
    REDIS_DATABASES_PER_WORKER,
    Scheduling,
    beside_others,
    own_mongo_db,
    own_port,
    own_redis_uri,
    redis_database,
    stack_redis_uris,
    without_others,
)

PATIENCE_SECONDS = 20
REDIS = "redis://:secret@127.0.0.1:6379/2"


def become(monkeypatch: pytest.MonkeyPatch, worker: str) -> None:
    monkeypatch.setenv("PYTEST_XDIST_WORKER", worker)


def test_no_two_workers_share_a_database_or_a_port(monkeypatch: pytest.MonkeyPatch) -> None:
    names, databases, ports = [], [], []
    for worker in ("gw0", "gw1", "gw12"):
        become(monkeypatch, worker)
        names.append(own_mongo_db("tests"))
        monkeypatch.setenv("REDIS_URI", own_redis_uri(REDIS))
        databases += [redis_database(own_redis_uri(REDIS)), *map(redis_database, stack_redis_uris())]
        ports += [own_port(), own_port()]
    assert names == ["tests_gw0", "tests_gw1", "tests_gw12"]
    assert len(set(databases)) == len(databases) == 3 * REDIS_DATABASES_PER_WORKER
    assert len(set(ports)) == len(ports)
    assert min(databases) == 2


def test_one_process_alone_uses_what_it_was_given(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PYTEST_XDIST_WORKER", raising=False)
    assert own_mongo_db("tests") == "tests"
    assert own_redis_uri(REDIS) == REDIS


def test_tests_of_the_wall_clock_and_others_never_run_together(tmp_path: Path) -> None:
    entered: list[str] = []
    both_are_in, both_may_end = threading.Barrier(3), threading.Barrier(3)

    def measure() -> None:
        with without_others(tmp_path):
            entered.append("measuring")
            both_are_in.wait(PATIENCE_SECONDS)
            both_may_end.wait(PATIENCE_SECONDS)

    def run() -> None:
        with beside_others(tmp_path):
            entered.append("late")

    measuring = [threading.Thread(target=measure) for _ in range(2)]
    late = threading.Thread(target=run)
    with beside_others(tmp_path), beside_others(tmp_path):
        entered.append("together")
        for thread in measuring:
            thread.start()
            thread.join(0.1)
        assert entered == ["together"]
    both_are_in.wait(PATIENCE_SECONDS)
    late.start()
    late.join(0.1)
    assert entered == ["together", "measuring", "measuring"]
    both_may_end.wait(PATIENCE_SECONDS)
    for thread in (*measuring, late):
        thread.join(PATIENCE_SECONDS)
    assert entered == ["together", "measuring", "measuring", "late"]


def test_what_waits_to_measure_holds_nobody_up(tmp_path: Path) -> None:
    is_measuring = threading.Event()

    def measure() -> None:
        with without_others(tmp_path):
            is_measuring.set()

    thread = threading.Thread(target=measure)
    with beside_others(tmp_path):
        thread.start()
        for _ in range(5):
            with beside_others(tmp_path):
                assert not is_measuring.wait(0.02)
    thread.join(PATIENCE_SECONDS)
    assert is_measuring.is_set()


@pytest.mark.parametrize(
    ("one", "other", "are_together"),
    [
        (
            "tests/integration/wall_clock/test_a.py::test_x",
            "tests/integration/wall_clock/test_b.py::test_y",
            True,
        ),
        (
            "tests/integration/wall_clock/test_a.py::test_x",
            "tests/integration/wall_clock/outages/test_b.py::test_y",
            False,
        ),
        ("tests/integration/crowd/test_a.py::test_x", "tests/integration/crowd/test_b.py::test_y", True),
        ("tests/browser/test_pages.py::test_x", "tests/browser/test_operating.py::test_y[a/b::c]", True),
        ("tests/auth/oidc/test_login.py::test_x", "tests/auth/oidc/test_provider.py::test_y", True),
        ("tests/deploy/test_nginx.py::TestRunning::test_x", "tests/deploy/test_nginx.py::test_y", True),
        ("tests/integration/test_runs.py::test_x", "tests/integration/test_runs.py::test_y", True),
        ("tests/integration/test_runs.py::test_x", "tests/integration/test_commands.py::test_x", False),
        ("tests/core/test_cron.py::TestIt::test_x[1::2]", "tests/core/test_cron.py::TestIt::test_x[2]", True),
        ("tests/core/test_cron.py::TestIt::test_x", "tests/core/test_cron.py::TestIt::test_y", False),
    ],
)
def test_tests_of_one_stack_stay_together(one: str, other: str, are_together: bool) -> None:
    split = Scheduling.__new__(Scheduling)._split_scope
    assert (split(one) == split(other)) == are_together
