"""The journal: what came and what was sent, in a file that outlives the simulator."""

from __future__ import annotations

import dataclasses
import json
import time
from pathlib import Path
from typing import Any

import pytest

from apps.mengla.simulator.data import result_of
from apps.mengla.simulator.query import parse_parameters
from apps.mengla.simulator.server import Simulator
from tests.mengla.simulator.support import SECRET, Asker, Receiver


def lines_of(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def events_of(path: Path) -> list[str]:
    return [line["event"] for line in lines_of(path)]


def journaled(simulator: Simulator, path: Path) -> Simulator:
    return Simulator(dataclasses.replace(simulator.config, journal_path=path))


def test_it_says_what_came_and_what_was_sent(
    simulator: Simulator, receiver: Receiver, tmp_path: Path
) -> None:
    path = tmp_path / "journal"
    before = time.time()
    with journaled(simulator, path) as running:
        ask = Asker(running, receiver)
        first = ask.execute()
        assert running.wait_idle(10)
        ask.post(sim={"execute_error_rate": 1, "execute_status": 503})
        dropped = ask.execute(sim={"drop_rate": 1})
        assert running.wait_idle(10)
        ask.close()
    lines = lines_of(path)
    assert all(before - 1 < line["at"] < time.time() + 1 for line in lines)
    requests = [line["request"] for line in lines if line["event"] == "request"]
    assert len(set(requests)) == 3
    by_event = {line["event"]: line for line in lines}
    assert (by_event["refused"]["request"], by_event["refused"]["status"]) == (requests[1], 503)
    accepted = {line["execution"]: line for line in lines if line["event"] == "accepted"}
    assert list(accepted) == [first, dropped]
    assert accepted[first]["request"] == requests[0]
    assert accepted[first]["parameters"]["catId"] == "17027494"
    sent = by_event["sent"]
    # The receiver of this test sends no body.
    assert (sent["execution"], sent["result"], sent["status"], sent["receipt"]) == (
        *(first, "figures"),
        *(200, None),
    )
    ended = {line["execution"]: line["is_dropped"] for line in lines if line["event"] == "ended"}
    assert ended == {first: False, dropped: True}
    assert SECRET not in path.read_text()


def test_it_says_that_a_webhook_was_not_taken(
    simulator: Simulator, receiver: Receiver, tmp_path: Path
) -> None:
    path = tmp_path / "journal"
    receiver.answer = lambda call: 503 if call.method == "POST" and len(receiver.posts) < 2 else 200
    with journaled(simulator, path) as running:
        ask = Asker(running, receiver)
        ask.execute(sim={"failure_rate": 1})
        assert running.wait_idle(10)
        ask.close()
    sent = [(line["result"], line["status"]) for line in lines_of(path) if line["event"] == "sent"]
    assert sent == [("failure", 503), ("failure", 200)]


def test_the_next_simulator_continues_it(simulator: Simulator, receiver: Receiver, tmp_path: Path) -> None:
    path = tmp_path / "journal"
    for _ in range(2):
        with journaled(simulator, path) as running:
            ask = Asker(running, receiver)
            ask.execute()
            assert running.wait_idle(10)
            ask.close()
    events = events_of(path)
    assert len(events) == 12
    for half in (events[:6], events[6:]):
        # The response and the execution are in threads of their own.
        assert [event for event in half if event != "responding"] == [
            *("request", "accepted", "ended", "sending", "sent")
        ]
        assert half.index("responding") > half.index("accepted")


def test_a_journal_that_cannot_be_written_is_refused(simulator: Simulator, tmp_path: Path) -> None:
    refused = journaled(simulator, tmp_path / "missing" / "journal")
    with pytest.raises(FileNotFoundError):
        refused.start()
    with pytest.raises(RuntimeError):
        _ = refused.executions


def test_rows_can_carry_the_id_of_their_execution(ask: Asker) -> None:
    body = ask.collect(sim={"stamp": True})
    rows = body["resultData"]["hotList"]["data"]["list"]
    assert {row["_execution"] for row in rows} == {body["executionId"]}
    query = parse_parameters(ask.parameters())
    assert body["resultData"] == result_of(query, execution_id=body["executionId"])
    assert "_execution" not in str(result_of(query))
