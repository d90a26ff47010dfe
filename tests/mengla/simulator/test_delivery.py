"""Webhooks are delivered with retries, and a stop ends everything under way."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable
from contextlib import closing
from typing import Any

import httpx
import pytest

from apps.mengla.simulator import executions, plan, server
from apps.mengla.simulator.knobs import Knobs
from apps.mengla.simulator.query import Query
from apps.mengla.simulator.server import Simulator, SimulatorRefused
from apps.mengla.simulator.state import SimulatorConfig
from tests.mengla.simulator.support import TASK_ID, Asker, Receiver


def wait_until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def failure_of(ask: Asker, sim: dict[str, Any] | None) -> BaseException:
    try:
        ask.execute(sim=sim)
    except (httpx.TransportError, AssertionError) as error:
        return error
    return AssertionError("it was answered")


@pytest.mark.parametrize("refused_method", ["GET", "POST"])
def test_failed_delivery_is_tried_again(ask: Asker, refused_method: str) -> None:
    refusals = iter([503, 503])
    ask.receiver.answer = lambda call: next(refusals, 200) if call.method == refused_method else 200
    ask.collect()
    counted = ask.simulator.stats()["webhooks"]
    assert (counted["delivered"], counted["retries"], counted["failed"]) == (1, 2, 0)
    assert len(ask.receiver.posts) == (3 if refused_method == "POST" else 1)


@pytest.mark.parametrize(("status", "attempts"), [(403, 1), (500, 4)])
def test_delivery_is_given_up(ask: Asker, status: int, attempts: int) -> None:
    ask.receiver.answer = lambda call: status if call.method == "POST" else 200
    ask.collect()
    assert len(ask.receiver.posts) == attempts
    counted = ask.simulator.stats()
    assert (counted["webhooks"]["failed"], counted["webhooks"]["delivered"]) == (1, 0)
    assert str(status) in counted["last_webhook_error"]


def test_no_listening_server_is_a_failed_delivery(ask: Asker, receiver: Receiver) -> None:
    with socket.create_server(("127.0.0.1", 0)) as unused:
        free_port = unused.getsockname()[1]
    body = {"parameters": ask.parameters(), "webhookUrl": f"http://127.0.0.1:{free_port}/"}
    assert ask.http.post(f"/api/managed-tasks/{TASK_ID}/execute", json=body).status_code == 200
    assert ask.simulator.wait_idle(10)
    counted = ask.simulator.stats()
    assert (counted["webhooks"]["failed"], counted["webhooks"]["probes_failed"]) == (1, 4)


def test_a_connection_is_used_again_until_the_receiver_closes_it(simulator: Simulator) -> None:
    receiver = Receiver(keeps_connections=True)
    answers = iter([200, 200, 200, 0])
    receiver.answer = lambda _call: next(answers, 200)
    try:
        with closing(Asker(simulator, receiver)) as ask:
            for cat_id in ("13", "14"):
                ask.collect(catId=cat_id)
    finally:
        receiver.stop()
    # The call whose connection was closed is sent over a new one at once; it is not a failed delivery.
    assert [call.method for call in receiver.calls] == ["GET", "POST", "GET", "POST", "POST"]
    assert len(set(receiver.addresses[:4])) == 1
    assert receiver.addresses[4] != receiver.addresses[3]
    counted = simulator.stats()["webhooks"]
    assert (counted["delivered"], counted["retries"], counted["failed"]) == (2, 0, 0)


def test_stop_ends_everything_under_way_and_start_takes_the_same_port(receiver: Receiver) -> None:
    held = threading.Event()
    receiver.answer = lambda _call: 200 if held.wait(10) else 500
    simulator = Simulator(SimulatorConfig(knobs=Knobs(delay_seconds=0)))
    simulator.start()
    port = simulator.port
    with closing(Asker(simulator, receiver)) as ask:
        ask.execute()  # its probe is held open
        wait_until(lambda: len(receiver.calls) == 1)
        ask.execute(sim={"delay_seconds": 3600})
        ask.execute(sim={"delay_seconds": 3600})  # queues
        hung: list[BaseException] = []
        caller = threading.Thread(target=lambda: hung.append(failure_of(ask, {"hang_seconds": 3600})))
        caller.start()
        wait_until(lambda: len(simulator.stats()["recent_keys"]) == 4)
        started = time.monotonic()
        simulator.stop()
        assert time.monotonic() - started < 5
        caller.join(5)
        assert isinstance(hung[0], httpx.TransportError)
        with pytest.raises(httpx.ConnectError):
            ask.http.get("/")
        held.set()
        simulator.stop()  # harmless
        simulator.start()
        try:
            assert simulator.port == port
            assert ask.http.get("/stats").json()["outstanding"] == 0
        finally:
            simulator.stop()


def test_too_many_waiting_executions_are_refused(ask: Asker, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(executions, "MAX_OPEN_EXECUTIONS", 2)
    ask.simulator.set_knobs(delay_seconds=3600)
    answers = [ask.post(catId=str(number)) for number in range(3)]
    assert [answer.status_code for answer in answers] == [200, 200, 503]
    assert answers[2].headers["Retry-After"] == "5"


def test_too_many_connections_are_closed_and_room_comes_back(
    ask: Asker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server, "MAX_CONNECTIONS", 2)
    address = ("127.0.0.1", ask.simulator.port)
    with socket.create_connection(address, 5) as first, socket.create_connection(address, 5) as second:
        for connection in (first, second):
            connection.sendall(b"GET /stats HTTP/1.1\r\n\r\n")
            assert connection.recv(12) == b"HTTP/1.1 200"
        with pytest.raises(httpx.TransportError):
            ask.http.get("/stats")
    wait_until(lambda: not isinstance(failure_of(ask, None), httpx.TransportError))


def test_a_fault_of_the_simulator_costs_one_execution_only(
    ask: Asker, monkeypatch: pytest.MonkeyPatch, written_log: Any
) -> None:
    real = plan.result_of

    def broken(query: Query, **options: bool) -> dict[str, Any]:
        if query.cat_id == "13":
            raise ZeroDivisionError
        return real(query, **options)

    monkeypatch.setattr(plan, "result_of", broken)
    ask.execute(catId="13")
    assert ask.collect(catId="14")["status"] == "completed"
    assert len(ask.receiver.posts) == 1
    assert "ZeroDivisionError" in str(written_log())


def test_production_is_refused() -> None:
    simulator = Simulator(SimulatorConfig(env="production"))
    with pytest.raises(SimulatorRefused, match="production"):
        simulator.start()
    with pytest.raises(RuntimeError):
        _ = simulator.executions
    assert "hidden" not in repr(SimulatorConfig(api_key="hidden", webhook_secret="hidden"))
