"""`manage.py diagnose`: every check with its state, latency and advice, within a bounded time."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest
import redis
from django_q.signing import SignedPackage
from django_q.status import Stat, Status
from pymongo.errors import OperationFailure
from redis.exceptions import InvalidResponse

from apps.core.flags import SCHEDULER_PAUSED, set_flag
from apps.core.mongo import named_collection, utc_now
from apps.core.ports import free_port
from apps.core.schedules import schedule_id, sync_schedules
from apps.mengla.services import diagnose as service
from apps.mengla.simulator.server import Simulator
from apps.mengla.upstream import breaker
from tests.mengla.commands.support import Ended, run
from tests.mengla.support import change, claim, enqueue, hot

pytestmark = [pytest.mark.django_db, pytest.mark.mongo, pytest.mark.redis]
ROOT = Path(__file__).resolve().parents[3]
CHECKS = [
    *("environment", "mongodb", "migrations", "redis", "collection_service", "breaker"),
    *("worker", "tick", "schedules", "queue", "webhook"),
]
# What the product promises for a diagnosis when nothing answers, start of Python included.
PROMISED_SECONDS = 15
SECRET = "secret-word"


def checks_of(ended: Ended) -> dict[str, dict[str, Any]]:
    """The checks by name, each well-formed."""
    result = ended.result
    assert [one["name"] for one in result["checks"]] == CHECKS
    for one in result["checks"]:
        assert set(one) == {"name", "is_ok", "latency_ms", "detail", "advice"}
        assert one["detail"]
        assert one["latency_ms"] >= 0
        assert (
            bool(one["advice"]) is not one["is_ok"]
        )  # what to do is said of what fails, and of nothing else
    assert result["is_ok"] is all(one["is_ok"] for one in result["checks"])
    assert ended.code == (0 if result["is_ok"] else 1)
    return {one["name"]: one for one in result["checks"]}


def diagnose() -> dict[str, dict[str, Any]]:
    return checks_of(run("diagnose", "--json"))


@pytest.fixture
def _healthy(service: Simulator, redis_client: redis.Redis) -> None:
    """Everything a diagnosis looks at is there, and a worker has just given the sign of life of django-q2."""
    sync_schedules()
    cluster = Status(pid=1, cluster_id="tests")
    cluster.host, cluster.workers, cluster.status = "host-1", [2, 3, 4, 5], "Idle"
    redis_client.set(Stat.get_key("tests"), SignedPackage.dumps(cluster, True))


# --- Well, and not well ---------------------------------------------------------------------------


@pytest.mark.usefixtures("_healthy")
def test_all_is_well() -> None:
    checks = diagnose()
    assert {name for name, one in checks.items() if not one["is_ok"]} == set()
    assert checks["worker"]["detail"] == "host-1: 4 processes, Idle"
    ended = run("diagnose")
    assert (ended.code, ended.err) == (0, "")
    titles, *rows = ended.out.splitlines()
    assert titles.split() == ["check", "state", "ms", "found"]
    assert [row.split()[:2] for row in rows[: len(CHECKS)]] == [[name, "ok"] for name in CHECKS]
    assert rows[-1] == "All is well."


@pytest.mark.usefixtures("_healthy")
def test_nothing_is_executed_and_nothing_is_changed(service: Simulator) -> None:
    queued = enqueue(hot())
    diagnose()
    assert service.stats()["execute_requests"] == 0
    assert claim()["_id"] == queued


@pytest.fixture
def _unreachable(settings: Any) -> None:
    """Whatever else listens on this machine, our own webhook does not."""
    settings.MENGLA_WEBHOOK_URL = f"http://127.0.0.1:{free_port()}/api/webhook/mengla-notify"


@pytest.mark.usefixtures("_unreachable")
def test_a_product_that_was_never_started_is_told_what_to_do() -> None:
    checks = diagnose()
    failed = {name: one["advice"] for name, one in checks.items() if not one["is_ok"]}
    assert set(failed) == {"collection_service", "worker", "tick", "schedules", "webhook"}
    assert failed["collection_service"] == "Set COLLECT_SERVICE_URL."
    assert "manage.py qcluster" in failed["worker"]
    assert "manage.py sync_schedules" in failed["tick"] == failed["schedules"]
    assert "MENGLA_WEBHOOK_URL" in failed["webhook"]


@pytest.mark.usefixtures("_unreachable")
def test_what_to_do_is_said_once_for_all_it_mends() -> None:
    ended = run("diagnose")
    assert (ended.code, ended.err) == (1, "")
    lines = ended.out.splitlines()
    assert "tick, schedules: Run `manage.py sync_schedules`." in lines
    assert lines[-1] == f"5 of {len(CHECKS)} checks failed."


@pytest.mark.usefixtures("_healthy")
def test_a_paused_scheduler_is_told() -> None:
    set_flag(SCHEDULER_PAUSED, is_set=True, changed_by="tests")
    assert diagnose()["schedules"]["detail"].endswith("paused")


@pytest.mark.usefixtures("_healthy")
def test_a_tick_that_does_not_come_is_a_failure() -> None:
    named_collection("django_q_schedule").update_one(
        {"_id": schedule_id("tick")}, [{"$set": {"next_run": {"$subtract": ["$next_run", 600_000]}}}]
    )
    assert "qcluster" in diagnose()["tick"]["advice"]


@pytest.mark.usefixtures("_healthy")
def test_overdue_requests_are_a_failure() -> None:
    enqueue(hot())
    change(claim(), lease_until=utc_now().replace(year=2020))
    assert "worker" in diagnose()["queue"]["advice"]


@pytest.mark.usefixtures("_healthy")
def test_an_open_breaker_is_a_failure(settings: Any) -> None:
    for _ in range(settings.CB_FAILURE_THRESHOLD):
        breaker.record_failure()
    checks = diagnose()
    assert checks["breaker"]["detail"].startswith("open after")
    assert checks["collection_service"]["is_ok"]  # it is asked all the same


@pytest.mark.usefixtures("_healthy")
@pytest.mark.parametrize(
    ("name", "value", "word"),
    [
        ("COLLECT_SERVICE_API_KEY", "another-key", "COLLECT_SERVICE_API_KEY"),
        ("COLLECT_TASK_NAME", "no such task", "COLLECT_TASK_NAME"),
        ("COLLECT_SERVICE_URL", "http://127.0.0.1:1", "COLLECT_SERVICE_URL"),
    ],
)
def test_a_service_that_refuses_is_a_failure(name: str, value: str, word: str, settings: Any) -> None:
    setattr(settings, name, value)
    check = diagnose()["collection_service"]
    assert word in check["advice"]
    assert "another-key" not in check["detail"]


@pytest.mark.usefixtures("_healthy")
def test_a_webhook_address_that_leads_to_somebody_else_is_a_failure(
    settings: Any, service: Simulator
) -> None:
    settings.MENGLA_WEBHOOK_URL = f"{service.url}/nobody?token={SECRET}"
    check = diagnose()["webhook"]
    assert not check["is_ok"]
    assert SECRET not in check["detail"]


@pytest.mark.parametrize(
    ("name", "error", "word"),
    [
        ("mongodb", OperationFailure(f"Authentication failed for {SECRET}", 18), "MONGO_URI"),
        ("redis", InvalidResponse(f"Protocol Error: {SECRET}"), "REDIS_URI"),
    ],
)
def test_a_server_that_refuses_us_is_told_with_the_variable_to_correct(
    name: str, error: Exception, word: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse() -> str:
        raise error

    monkeypatch.setattr(service, "CHECKS", {**service.CHECKS, name: refuse})
    check = diagnose()[name]
    assert word in check["advice"]
    assert type(error).__name__ in check["detail"]
    assert SECRET not in json.dumps(check)


@pytest.mark.parametrize("given", [("redis",), ("--force",), ("--dry-run",), ("\udcff",)])
def test_it_takes_no_arguments(given: tuple[str, ...]) -> None:
    ended = run("diagnose", *given)
    assert (ended.code, ended.out) == (2, "")


# --- Servers that do not answer -------------------------------------------------------------------


@contextmanager
def black_hole() -> Iterator[int]:
    """A port that takes every connection and never says anything."""
    kept: list[socket.socket] = []

    def accept() -> None:
        with ExitStack() as stack:
            while True:
                try:
                    kept.append(stack.enter_context(listener.accept()[0]))
                except OSError:
                    return

    listener = socket.create_server(("127.0.0.1", 0))
    thread = threading.Thread(target=accept)
    thread.start()
    try:
        yield int(listener.getsockname()[1])
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        thread.join()


def diagnose_process(**environment: str) -> Ended:
    """Run the real command, for no longer than is promised."""
    ended = subprocess.run(
        [sys.executable, "manage.py", "diagnose", "--json"],
        cwd=ROOT,
        env=os.environ | environment,
        capture_output=True,
        text=True,
        timeout=PROMISED_SECONDS,
        check=False,
    )
    assert SECRET not in ended.stdout + ended.stderr
    return Ended(ended.returncode, ended.stdout, ended.stderr)


def addresses(port: int) -> dict[str, str]:
    return {
        "MONGO_URI": f"mongodb://user:{SECRET}@127.0.0.1:{port}/",
        "REDIS_URI": f"redis://:{SECRET}@127.0.0.1:{port}/0",
        "COLLECT_SERVICE_URL": f"http://127.0.0.1:{port}",
        "MENGLA_WEBHOOK_URL": f"http://127.0.0.1:{port}/api/webhook/mengla-notify",
    }


DEPENDING = {
    "MONGO_URI": {"mongodb", "migrations", "tick", "schedules", "queue"},
    "REDIS_URI": {"redis", "breaker", "worker"},
    "COLLECT_SERVICE_URL": {"collection_service"},
    "MENGLA_WEBHOOK_URL": {"webhook"},
}


@pytest.mark.slow
@pytest.mark.parametrize("is_hanging", [True, False])
def test_it_ends_in_time_when_nothing_answers(is_hanging: bool) -> None:
    with ExitStack() as stack:
        port = stack.enter_context(black_hole()) if is_hanging else 1
        checks = checks_of(diagnose_process(**addresses(port)))
    assert [name for name, one in checks.items() if one["is_ok"]] == ["environment"]
    for variable in ("MONGO_URI", "REDIS_URI"):
        assert all(variable in checks[name]["advice"] for name in DEPENDING[variable])


@pytest.mark.slow
@pytest.mark.parametrize("variable", list(DEPENDING))
def test_one_that_hangs_is_told_apart_from_the_others(variable: str) -> None:
    with black_hole() as port:
        checks = checks_of(diagnose_process(**{variable: addresses(port)[variable]}))
    assert all(not checks[name]["is_ok"] for name in DEPENDING[variable])
    if variable != "MONGO_URI":
        assert checks["mongodb"]["is_ok"]
    if variable != "REDIS_URI":
        assert checks["redis"]["is_ok"]
