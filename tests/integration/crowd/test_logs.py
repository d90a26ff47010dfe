"""What the processes write: their doings, findable by their ids, and no secret."""

from __future__ import annotations

import json
import os
import sys
from functools import partial
from typing import Any

import httpx
import pytest

from apps.launcher.processes import ManagedProcess
from tests.integration.parts import new_client
from tests.integration.stack import Stack
from tests.integration.waiting import wait_until
from tests.parallel import own_port
from tests.programs import ROOT

pytestmark = [pytest.mark.slow, pytest.mark.mongo, pytest.mark.redis]

# A cluster looks for what is due without a request or a task.
OF_A_CLUSTER = ("apps.launcher", "apps.mengla.maintenance.watch")
OF_NO_REQUEST = ("_granian", "granian", "apps.admin.alerts.alert_thread", *OF_A_CLUSTER)
OF_NO_TASK = "apps.mengla.maintenance.watch"  # looks between two tasks


def test_no_secret_and_no_fork_warning_reaches_a_log(stack: Stack) -> None:
    """Besides this test, every stack of these tests is checked in the same way when it stops."""
    token, token_id = stack.create_token()
    wrong_password = stack.remember("a-wrong-password-of-somebody")
    with stack.client(token) as client:
        assert (
            client.get("/api/auth/me", params={"token": token, "password": wrong_password}).status_code == 400
        )
        assert client.get(f"/api/auth/tokens/{token}").status_code in (403, 405)
        assert client.get(f"/api/nothing/{token}").status_code == 404
        assert (
            client.post("/api/auth/login", json={"username": "admin", "password": wrong_password}).status_code
            == 401
        )
        assert client.post("/api/auth/login", content=f"{{{wrong_password}").status_code in (400, 415)
    assert stack.delete(f"/api/auth/tokens/{token_id}").status_code == 200
    with stack.client(token) as client:
        wait_until(
            lambda: client.get("/api/auth/me").status_code == 401,
            timeout_seconds=10,
            what="the revoked token is refused",
        )

    # An attempt whose webhook is refused: its address holds the attempt token.
    forged = stack.questions.one(wrong_signature_rate=1)
    (collection_id,) = stack.ask_all([forged])
    wait_until(
        lambda: stack.simulator.stats()["webhooks"]["failed"],
        timeout_seconds=15,
        what="the webhook is refused",
    )
    attempt_token = stack.collection(collection_id)["attempt_token"]
    stack.collect(stack.questions.one())
    stack.simulator.set_knobs(down=True)
    stack.ask_all([stack.questions.one()])
    wait_until(
        lambda: stack.simulator.stats()["requests_while_down"],
        timeout_seconds=15,
        what="the service is asked",
    )

    text = stack.log_text()
    # The logs are those of this stack, at work ...
    for event in ("collection_sent", "webhook_taken", "token_created", "token_revoked", "login"):
        assert event in text
    assert attempt_token
    # ... and hold nothing that opens a door.
    assert stack.find_leaks() == []


def test_the_search_for_leaks_finds_one(stack: Stack) -> None:
    path = stack.directory / "leak.log"
    (collection_id,) = stack.ask_all([stack.questions.one(drop_rate=1)])
    token = wait_until(
        lambda: stack.collection(collection_id)["attempt_token"], timeout_seconds=15, what="it is sent"
    )
    secret = stack.environment["WEBHOOK_SECRET"]
    lines = [
        f"POST /api/webhook/mengla-notify?token={token}",
        f"secret {secret}",
        "MongoClient opened before fork. May not be entirely fork-safe, proceed with caution.",
    ]
    path.write_text("\n".join([*lines, "harmless"]))
    assert stack.find_leaks() == lines
    path.unlink()


def lines_of(stack: Stack, pattern: str) -> list[dict[str, Any]]:
    """The JSON lines in the logs of these processes."""
    texts = [path.read_text("utf-8", "replace") for path in sorted(stack.directory.glob(pattern))]
    return [json.loads(line) for text in texts for line in text.splitlines() if line.startswith("{")]


def test_one_question_is_followed_through_all_processes(stack: Stack) -> None:
    request_id = f"followed-{os.getpid()}"
    question = stack.questions.one()
    with stack.client() as client:
        answer = client.get("/api/mengla/", params=question.parameters, headers={"X-Request-ID": request_id})
    assert answer.headers["X-Request-ID"] == request_id
    collection_id = stack.collection_id_of(question, answer)
    assert stack.wait_until_ended([collection_id]) == {"SUCCEEDED"}
    hit = stack.collect(question)

    def about(pattern: str, event: str, **facts: Any) -> list[dict[str, Any]]:
        return [
            line
            for line in lines_of(stack, pattern)
            if line["event"] == event and facts.items() <= line.items()
        ]

    def written(pattern: str, event: str, **facts: Any) -> list[dict[str, Any]]:
        """The same, when there are some: a line may be written after what it tells of is seen."""
        lines = partial(about, pattern, event, **facts)
        return wait_until(lines, timeout_seconds=5, what=f"the line {event}")

    # The reader's request: its access line names the collection.
    (asked,) = written("web*.log", "request", request_id=request_id)
    assert (asked["logger"], asked["method"]) == ("collector.access", "GET")
    assert asked["status"] == answer.status_code
    assert (asked["path"], asked["collection_id"]) == ("/api/mengla/", collection_id)
    assert asked["milliseconds"] > 0
    # The worker's request to the service.
    (sent,) = written("cluster*.log", "collection_sent", collection_id=collection_id)
    assert (sent["task"], sent["logger"]) == ("apps.mengla.tasks.dispatch", "apps.mengla.dispatch.dispatcher")
    assert sent["task_id"]
    # The webhook: what was done and its access line, tied by the id of the request.
    (taken,) = written("web*.log", "webhook_taken", collection_id=collection_id)
    calls = written("web*.log", "request", request_id=taken["request_id"])
    assert [(call["path"], call["collection_id"]) for call in calls] == [
        ("/api/webhook/mengla-notify", collection_id)
    ]
    # A hit says from where it came.
    (served,) = written("web*.log", "request", request_id=hit.headers["X-Request-ID"])
    assert (served["tier"], served["freshness"]) == (
        hit.headers["X-MengLa-Source"],
        hit.headers["X-MengLa-Freshness"],
    )


def test_every_line_of_a_request_and_of_a_task_names_it(stack: Stack) -> None:
    stack.create_token()
    stack.simulator.set_knobs(failure_rate=1)
    stack.wait_until_ended(stack.ask_all(stack.questions.some(2)))
    # The server's own lines and those of the watches belong to no request and to no task.
    web = [line for line in lines_of(stack, "web*.log") if not line["logger"].startswith(OF_NO_REQUEST)]
    workers = [
        line
        for line in lines_of(stack, "cluster*.log")
        if line["logger"].startswith("apps.mengla.") and line["logger"] != OF_NO_TASK
    ]
    assert {"collector.access", "apps.mengla.ingest.receive"} <= {line["logger"] for line in web}
    assert workers
    assert [line for line in web if not line.get("request_id")] == []
    assert [line for line in workers if not (line.get("task") and line.get("task_id"))] == []
    failed = [line for line in web if line["event"] == "collection_attempt_failed"]
    assert failed and all(line["collection_id"] and line["request_id"] for line in failed)


def test_the_simulator_as_a_process_writes_no_secret_either(stack: Stack) -> None:
    port, token = own_port(), stack.remember("attempt-token-given-to-a-simulator-0123456789")
    password = stack.remember("passw0rd-in-an-address")
    simulator = ManagedProcess(
        [
            *(sys.executable, "manage.py", "simulate_collector", "--port", str(port)),
            *("--delay-seconds", "0.05", "--wrong-signature-rate", "1", "--heartbeats", "2"),
        ],
        name="simulator",
        log_path=stack.directory / "simulator.log",
        env=stack.environment | {"LOG_LEVEL": "DEBUG"},
        cwd=ROOT,
    ).start()
    try:
        simulator.wait_until_ready(f"http://127.0.0.1:{port}/stats", timeout_seconds=30)
        key = stack.environment["COLLECT_SERVICE_API_KEY"]
        parameters = stack.questions.one().query.service_parameters()
        with new_client(f"http://127.0.0.1:{port}", key) as client:
            (*_, task) = client.get("/api/managed-tasks").json()["data"]["tasks"]
            for address in (stack.url, f"http://user:{password}@127.0.0.1:1"):
                url = f"{address}/api/webhook/mengla-notify?token={token}"
                body = {"parameters": parameters, "webhookUrl": url}
                answer = client.post(f"/api/managed-tasks/{task['id']}/execute", json=body)
                assert answer.status_code < 300, answer.text
            wait_until(
                lambda: (
                    client.get("/stats").json()["webhooks"]["retries"]
                    or client.get("/stats").json()["webhooks"]["failed"]
                ),
                timeout_seconds=15,
                what="both receivers have refused",
            )
        with httpx.Client(trust_env=False) as stranger:
            stranger.get(f"http://127.0.0.1:{port}/api/managed-tasks?token={token}")
    finally:
        simulator.stop()
    assert "webhook attempt" in (stack.directory / "simulator.log").read_text()
    assert stack.find_leaks() == []
