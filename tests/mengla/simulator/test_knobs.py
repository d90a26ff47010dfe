"""The simulator fails, delays and damages answers exactly as its knobs say."""

from __future__ import annotations

import threading
import time

import httpx
import pytest

from apps.mengla.simulator.knobs import InvalidKnobs
from apps.mengla.upstream.signature import is_valid
from tests.mengla.simulator.support import SECRET, Asker


def test_knobs_change_at_run_time_all_or_nothing(ask: Asker) -> None:
    changed = ask.http.post("/knobs", json={"failure_rate": 1, "heartbeats": 2}).json()
    assert (changed["failure_rate"], changed["heartbeats"]) == (1.0, 2)
    for bad in (
        {"failure_rate": 0, "drop_rate": 1.5},
        {"failure_rate": 0, "no_such_knob": 1},
        {"failure_rate": "0"},
        {"failure_rate": True},
        {"delay_seconds": 10**400},
        {"early": 1},
        {"garbage_kind": "xml"},
        {"task_id": "a/b"},
        [],
        None,
    ):
        assert ask.http.post("/knobs", json=bad).status_code == 400
    assert ask.http.post("/knobs", content=b"{").status_code == 400
    assert ask.http.get("/knobs").json()["failure_rate"] == 1.0
    assert ask.http.post("/knobs/reset").json()["failure_rate"] == 0.0
    with pytest.raises(InvalidKnobs, match="drop_rate: must be a share"):
        ask.simulator.set_knobs(drop_rate=-1)


def test_pages_of_tasks_are_as_short_as_it_likes(ask: Asker) -> None:
    ask.simulator.set_knobs(decoy_tasks=24, max_page_size=20)
    pages = [ask.http.get(f"/api/managed-tasks?page={n}&limit=100").json()["data"] for n in (1, 2, 3)]
    assert [len(page["tasks"]) for page in pages] == [20, 5, 0]
    assert {(page["total"], page["limit"]) for page in pages} == {(25, 20)}


def test_a_byte_order_mark_is_sent_with_responses_and_signed_with_webhooks(ask: Asker) -> None:
    ask.simulator.set_knobs(bom=True)
    bom = b"\xef\xbb\xbf"
    assert ask.http.get("/api/managed-tasks").content.startswith(bom + b"{")
    assert ask.http.get("/api/managed-tasks?page=0").content.startswith(bom + b"{")
    assert ask.http.get("/knobs").content.startswith(b"{")
    ask.post()
    assert ask.simulator.wait_idle(10)
    result = ask.receiver.calls[-1]
    assert result.body.startswith(bom + b"{")
    assert is_valid(result.body, result.headers["x-signature-256"], SECRET)


def test_knobs_of_one_request_leave_the_others_alone(ask: Asker) -> None:
    assert ask.collect(sim={"failure_rate": 1})["status"] == "failed"
    assert ask.collect()["status"] == "completed"
    assert ask.simulator.stats()["keys"] == {"hot:17027494:MONTH:2025-06": 2}


def test_failed_execution_says_why(ask: Asker) -> None:
    body = ask.collect(sim={"failure_rate": 1})
    assert (body["status"], body["resultData"]) == ("failed", None)
    assert "simulated failure" in body["message"]


def test_dropped_execution_never_calls_back(ask: Asker) -> None:
    ask.execute(sim={"drop_rate": 1})
    assert ask.simulator.wait_idle(10)
    assert ask.receiver.calls == []
    assert ask.simulator.stats()["webhooks"]["dropped"] == 1


@pytest.mark.parametrize("delay_seconds", [0, 0.05])
def test_duplicate_is_the_same_body_twice(ask: Asker, delay_seconds: float) -> None:
    ask.execute(sim={"duplicate_rate": 1, "duplicate_delay_seconds": delay_seconds})
    assert ask.simulator.wait_idle(10)
    first, second = ask.receiver.posts
    assert first.body == second.body
    assert first.headers["x-signature-256"] == second.headers["x-signature-256"]
    counted = ask.simulator.stats()["webhooks"]
    assert (counted["delivered"], counted["duplicated"]) == (1, 1)


def test_heartbeats_come_first_and_in_order(ask: Asker) -> None:
    ask.execute(sim={"heartbeats": 3, "delay_seconds": 0.06})
    assert ask.simulator.wait_idle(10)
    bodies = [call.json for call in ask.receiver.posts]
    assert [body["status"] for body in bodies] == ["queued", "running", "running", "completed"]
    assert len({body["executionId"] for body in bodies}) == 1
    assert all(body["simulated"] is True for body in bodies)


def test_early_result_arrives_before_the_execute_answer(ask: Asker) -> None:
    held = threading.Event()
    ask.receiver.answer = lambda call: 200 if call.method == "GET" or held.wait(5) else 500
    answers: list[str] = []
    caller = threading.Thread(target=lambda: answers.append(ask.execute(sim={"early": True})))
    caller.start()
    (result,) = ask.receiver.wait_for_posts(1)
    assert answers == []  # the webhook is held open, so the execute request cannot have been answered
    held.set()
    caller.join(10)
    assert answers == [result.json["executionId"]]


def test_late_result_does_not_hold_up_the_next_execution(ask: Asker) -> None:
    ask.execute(sim={"late_seconds": 3600})
    prompt = ask.execute()
    (first,) = ask.receiver.wait_for_posts(1)
    assert first.json["executionId"] == prompt


def test_late_result_comes_in_the_end(ask: Asker) -> None:
    late = ask.execute(sim={"late_seconds": 0.1})
    (first,) = ask.receiver.wait_for_posts(1)
    assert first.json["executionId"] == late


def test_wrong_signature_is_wrong_for_the_body(ask: Asker) -> None:
    ask.collect(sim={"wrong_signature_rate": 1})
    (call,) = ask.receiver.posts
    assert call.headers["x-signature-256"].startswith("sha256=")
    assert not is_valid(call.body, call.headers["x-signature-256"], SECRET)


@pytest.mark.parametrize("kind", ["html", "list", "string"])
def test_garbage_is_signed_and_no_result(ask: Asker, kind: str) -> None:
    ask.execute(sim={"garbage_rate": 1, "garbage_kind": kind})
    assert ask.simulator.wait_idle(10)
    (call,) = ask.receiver.posts
    assert is_valid(call.body, call.headers["x-signature-256"], SECRET)
    if kind == "html":
        assert call.body.startswith(b"<!DOCTYPE html>")
        assert call.headers["content-type"].startswith("text/html")
    elif kind == "list":
        assert isinstance(call.json, list)
    else:
        assert isinstance(call.json["resultData"], str)


def test_execute_errors_carry_retry_after_where_it_belongs(ask: Asker) -> None:
    limited = ask.post(sim={"execute_error_rate": 1, "execute_status": 429, "retry_after_seconds": 7})
    assert (limited.status_code, limited.headers["Retry-After"]) == (429, "7")
    broken = ask.post(sim={"execute_error_rate": 1})
    assert (broken.status_code, "Retry-After" in broken.headers) == (500, False)
    counted = ask.simulator.stats()
    assert (counted["execute_errors"], counted["executions"]) == (2, 0)
    assert counted["keys"] == {"hot:17027494:MONTH:2025-06": 2}


def test_hanging_request_is_answered_after_the_hang(ask: Asker) -> None:
    started = time.monotonic()
    ask.execute(sim={"hang_seconds": 0.2})
    assert time.monotonic() - started >= 0.2


def test_down_service_closes_connections_and_comes_back(ask: Asker) -> None:
    assert ask.http.post("/knobs", json={"down": True}).status_code == 200
    for call in (lambda: ask.http.get("/api/managed-tasks"), ask.post):
        with pytest.raises(httpx.TransportError):
            call()
    assert ask.simulator.stats()["requests_while_down"] == 2
    assert ask.http.post("/knobs", json={"down": False}).status_code == 200
    assert ask.collect()["status"] == "completed"


def test_rates_hit_the_same_requests_in_every_run(ask: Asker) -> None:
    ask.simulator.set_knobs(execute_error_rate=0.3)

    def run() -> list[int]:
        ask.simulator.reset_stats()
        return [ask.post(catId=str(number)).status_code for number in range(60)]

    first = run()
    assert first == run()
    assert 5 < first.count(500) < 35
