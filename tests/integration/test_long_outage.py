"""Five minutes without the collection service cost no attempt, and readers go first after them."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator

import pytest

from apps.mengla.choices import Priority
from tests.integration.conftest import run_stack
from tests.integration.questions import Question
from tests.integration.stack import Shape, Stack
from tests.integration.waiting import wait_until

pytestmark = [pytest.mark.slow, pytest.mark.long, pytest.mark.mongo, pytest.mark.redis]

READERS = 200
FIRST_DAY, LAST_DAY, PLANNED = "2025-01-01", "2025-02-11", 504  # 42 days, 4 data sets, 3 categories
BREAKER_KEY = "mengla:breaker:collection_service"


@pytest.fixture
def patient(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """A stack whose breaker probes every ten seconds."""
    shape = Shape(
        web_workers=1,
        variables={"CB_TIMEOUT": "10", "MAX_INFLIGHT_REQUESTS": "8", "MENGLA_TIMEOUT_SECONDS": "60"},
    )
    yield from run_stack("patient", tmp_path_factory.mktemp("patient"), shape)


def breaker_reason(stack: Stack) -> str:
    with stack.redis() as client:
        return (client.hget(BREAKER_KEY, "reason") or b"").decode()


def hold(stack: Stack, run_id: str, miss: Question, *, reason: str, seconds: float) -> None:
    """Let a part of the outage last, and assert that the reason is shown everywhere and nothing ends."""
    over_at = time.monotonic() + seconds
    wait_until(
        lambda: breaker_reason(stack) == reason, timeout_seconds=seconds, what=f"the breaker says {reason}"
    )
    answer = stack.ask(miss)
    assert answer.status_code == 202
    assert answer.json()["data"]["collection"]["waiting"]["code"] == reason
    assert stack.get(f"/api/sync-tasks/{run_id}").json()["data"]["waiting"]["code"] == reason

    def is_over() -> bool:
        counted = Counter(one["status"] for one in stack.database.mengla_collections.find({}, {"status": 1}))
        assert set(counted) <= {"PENDING", "DISPATCHED"}, counted
        assert counted.total() == READERS + PLANNED
        return time.monotonic() >= over_at

    wait_until(is_over, timeout_seconds=seconds + 30, poll_seconds=2, what="this part of the outage is over")


def test_an_outage_costs_no_attempts_and_readers_are_first_after_it(patient: Stack) -> None:
    patient.simulator.set_knobs(delay_seconds=0.01)
    patient.collect(patient.questions.one())  # the id of the task is known
    patient.database.mengla_collections.delete_many({})
    patient.simulator.stop()  # connections are refused
    run_id = patient.caller.call(
        "tests.integration.run_jobs.start_backfill", first_day=FIRST_DAY, last_day=LAST_DAY
    )
    asked = patient.ask_all(patient.questions.some(READERS))
    last = list(asked.values())[-1]
    wait_until(
        lambda: patient.database.mengla_collections.count_documents({}) == READERS + PLANNED,
        timeout_seconds=60,
        what="the run is planned",
    )
    hold(patient, run_id, last, reason="connect_error", seconds=180)

    patient.simulator.set_knobs(execute_error_rate=1.0, execute_status=503, retry_after_seconds=0)
    patient.simulator.start()
    hold(patient, run_id, last, reason="service_error", seconds=60)

    patient.simulator.set_knobs(execute_status=401)
    hold(patient, run_id, last, reason="unauthorized", seconds=60)

    patient.simulator.set_knobs(execute_error_rate=0.0)
    collections = patient.database.mengla_collections
    wait_until(
        lambda: collections.count_documents({"status": {"$in": ["PENDING", "DISPATCHED"]}}) == 0,
        timeout_seconds=240,
        what="everything is collected",
    )
    ended = list(collections.find({}, {"past_tokens": 0}))
    assert {one["status"] for one in ended} == {"SUCCEEDED"}
    assert {one["attempts"] for one in ended} == {1}
    assert sum(one["refusals"] for one in ended) > 0
    readers = [one["dispatched_at"] for one in ended if one["priority"] == Priority.READER]
    planned = [one["dispatched_at"] for one in ended if one["run_ids"] == [run_id]]
    assert (len(readers), len(planned)) == (READERS, PLANNED)
    # Without an interval one update claims several: the last reader and the first of the run may be in one.
    assert max(readers) <= min(planned)
    assert sorted([*readers, *planned])[: len(readers)] == sorted(readers)
    patient.assert_stored_once(list(asked.values())[:20])
    run = patient.get(f"/api/sync-tasks/{run_id}").json()["data"]
    assert (run["status"], run["progress"]["completed"]) == ("COMPLETED", PLANNED)
