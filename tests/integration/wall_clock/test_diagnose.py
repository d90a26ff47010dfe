"""`manage.py diagnose` ends in time when servers do not respond."""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import cache, partial

import pytest

from tests.integration.stack import Stack
from tests.integration.waiting import at_once
from tests.mengla.commands.diagnosis import SECRET, checks_of
from tests.mengla.commands.support import Ended
from tests.programs import run_python

pytestmark = [pytest.mark.slow, pytest.mark.django_db, pytest.mark.mongo, pytest.mark.redis]

# What the product promises for a diagnosis when nothing answers, start of Python included.
PROMISED_SECONDS = 15


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
    ended = run_python(
        "manage.py", "diagnose", "--json", env=os.environ | environment, timeout_seconds=PROMISED_SECONDS
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


@cache
def diagnoses() -> dict[str, Ended]:
    """How the command ended when nothing answered, and when one server hung; all of them run at once."""
    with black_hole() as port:
        silent = addresses(port)
        cases = {"all hang": silent, "all are down": addresses(1)} | {
            name: {name: address} for name, address in silent.items()
        }
        ended = at_once(partial(diagnose_process, **environment) for environment in cases.values())
    return dict(zip(cases, ended, strict=True))


@pytest.mark.parametrize("case", ["all hang", "all are down"])
def test_it_ends_in_time_when_nothing_answers(case: str) -> None:
    checks = checks_of(diagnoses()[case])
    assert [name for name, one in checks.items() if one["is_ok"]] == ["environment", "logins"]
    for variable in ("MONGO_URI", "REDIS_URI"):
        assert all(variable in checks[name]["advice"] for name in DEPENDING[variable])


@pytest.mark.parametrize("variable", list(DEPENDING))
def test_one_that_hangs_is_told_apart_from_the_others(variable: str) -> None:
    checks = checks_of(diagnoses()[variable])
    assert all(not checks[name]["is_ok"] for name in DEPENDING[variable])
    if variable != "MONGO_URI":
        assert checks["mongodb"]["is_ok"]
    if variable != "REDIS_URI":
        assert checks["redis"]["is_ok"]


def test_diagnose_finds_a_running_product_well(exposed: Stack) -> None:
    """Alone, for it gives each check three seconds, and one of them only computes."""
    diagnosing = diagnose_process(**exposed.environment)
    assert diagnosing.code == 0, diagnosing.out
    assert diagnosing.result["is_ok"]
