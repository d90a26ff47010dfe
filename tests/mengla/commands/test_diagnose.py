"""`manage.py diagnose`: every check with its state, latency and advice, within a bounded time."""

from __future__ import annotations

import json
import re
import time
from typing import Any

import pytest
import redis
from django.test import Client
from django.utils.translation import override
from django_q.signing import SignedPackage
from django_q.status import Stat, Status
from pymongo.errors import OperationFailure
from redis.exceptions import InvalidResponse

from apps.core.liveness import clocks
from apps.core.liveness.processes import note_heartbeat
from apps.core.scheduling.schedules import schedule_id, sync_schedules
from apps.core.storage.flags import SCHEDULER_PAUSED, set_flag
from apps.core.storage.mongo import named_collection, utc_now
from apps.mengla.dispatch.waiting import Waiting, WaitingCode
from apps.mengla.monitoring import diagnose as service
from apps.mengla.monitoring import diagnose_checks
from apps.mengla.simulator.server import Simulator
from apps.mengla.upstream import breaker
from apps.mengla.upstream.spacing import Turn
from tests.clocks import another_host
from tests.mengla.commands.diagnosis import CHECKS, SECRET, checks_of
from tests.mengla.commands.support import run
from tests.mengla.support import change, claim, enqueue, hot
from tests.parallel import own_port

pytestmark = [pytest.mark.django_db, pytest.mark.mongo, pytest.mark.redis]


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
    assert rows[-1] == "All checks passed."


@pytest.mark.usefixtures("_healthy")
def test_nothing_is_executed_and_nothing_is_changed(service: Simulator) -> None:
    queued = enqueue(hot())
    diagnose()
    assert service.stats()["execute_requests"] == 0
    assert claim()["_id"] == queued


@pytest.fixture
def _unreachable(settings: Any) -> None:
    """Whatever else listens on this machine, our own webhook does not."""
    settings.MENGLA_WEBHOOK_URL = f"http://127.0.0.1:{own_port()}/api/webhook/mengla-notify"


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
        breaker.record_failure("connect_error")
    checks = diagnose()
    assert checks["breaker"]["detail"].startswith("open; next probe in ")
    assert checks["collection_service"]["is_ok"]  # it is asked all the same


@pytest.mark.usefixtures("_healthy")
@pytest.mark.parametrize(
    ("reason", "found", "advice"),
    [
        ("unauthorized", "refused the key", "Correct COLLECT_SERVICE_API_KEY; requests resume"),
        ("unknown_task", "no task of this name", "Correct COLLECT_TASK_NAME; requests resume"),
        ("rejected", "simulator", "Correct COLLECT_SERVICE_URL; requests resume"),
        ("timeout", "not answered", "Check the service, and that it reaches MENGLA_WEBHOOK_URL."),
        ("connect_error", "unreachable", "Check the service and COLLECT_SERVICE_URL."),
        ("execution_failed", "failed every collection", "Check the service: it accepts executions"),
    ],
)
def test_an_open_breaker_says_why_and_what_to_do(
    reason: str, found: str, advice: str, redis_client: redis.Redis
) -> None:
    facts = {"state": "open", "opened_at": int(time.time() * 1000), "since": 1735700580000, "failures": 1}
    redis_client.hset(breaker.KEY, mapping=facts | {"reason": reason})
    check = diagnose()["breaker"]
    assert check["detail"].startswith("open; next probe in ")
    assert found in check["detail"]
    assert check["detail"].endswith("since 2025-01-01 11:03.")
    assert check["advice"].startswith(advice)


@pytest.mark.usefixtures("_healthy")
def test_a_pause_that_the_service_asked_for_is_no_hang() -> None:
    turn = Turn()
    assert turn.claim() == 0
    turn.end(pause_seconds=90)
    check = diagnose()["collection_service"]
    assert check["is_ok"]
    assert check["detail"].startswith("not checked: The collection service asked for a pause until ")


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
def test_a_webhook_address_of_another_server_is_a_failure(settings: Any, service: Simulator) -> None:
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


# --- Clocks ---------------------------------------------------------------------------------------


@pytest.mark.usefixtures("_healthy")
@pytest.mark.parametrize(("ahead_seconds", "word"), [(90.0, "ahead of"), (-90.0, "behind")])
def test_a_clock_that_is_off_is_told(client: Client, ahead_seconds: float, word: str) -> None:
    with another_host(ahead_seconds):
        note_heartbeat()
        check = diagnose()["clocks"]
        assert check["advice"] == "Synchronize the clocks of all hosts (NTP)."
        for server in ("MongoDB", "Redis"):
            (told,) = [one for one in check["detail"].split(". ") if server in one]
            assert re.search(rf"is (89|90) s {word} that of {server}", told + "."), told
        response = client.get("/ready")
        assert (response.status_code, len(response.json()["warnings"])) == (200, 2)
    assert diagnose()["clocks"]["is_ok"]
    assert client.get("/ready").json()["warnings"] == []
    # Other hosts hear of it from the heartbeats of its workers.
    (beat,) = named_collection("core_heartbeats").find()
    named_collection("core_heartbeats").insert_one(beat | {"_id": "far-host"})
    assert diagnose()["clocks"]["detail"].startswith("The clock of far-host is ")
    (warning,) = client.get("/ready").json()["warnings"]
    assert "far-host" in warning
    set_heartbeat = named_collection("core_heartbeats").update_one
    set_heartbeat({"_id": "far-host"}, {"$set": {"beat_at": utc_now().replace(year=2020)}})
    assert diagnose()["clocks"]["is_ok"]


def test_a_server_that_hangs_keeps_the_clocks_unknown(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_arguments: object) -> None:
        raise redis.ConnectionError

    monkeypatch.setattr(clocks, "redis_time", fail)
    assert client.get("/ready").json()["warnings"] == []


def test_facts_and_remarks_are_joined_as_the_language_does(monkeypatch: pytest.MonkeyPatch) -> None:
    reason = Waiting(WaitingCode.OUTSIDE_WINDOW, "x", retry_after_seconds=1)
    monkeypatch.setattr(diagnose_checks, "outside_window", lambda: reason)
    assert diagnose_checks.check_queue() == "0 queued, 0 in flight. x"
    with override("zh-hans"):
        assert diagnose_checks.check_queue().endswith("。x")
