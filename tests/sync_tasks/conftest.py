"""What the tests of runs share: a stand-in for the work behind them, and runs in any state."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from typing import Any

import pytest
from bson import ObjectId

from apps.core.storage.mongo import collection_of
from apps.sync_tasks import services
from apps.sync_tasks.choices import Trigger
from apps.sync_tasks.models import SyncTask
from apps.sync_tasks.selectors import find_run
from apps.sync_tasks.work import (
    Counts,
    Failure,
    FailureReason,
    Rate,
    Started,
    Waiting,
    get_work,
    register_work,
)


class Killed(BaseException):
    """Ends a step in its middle, as the death of the process would."""


class FakeWork:
    """Returns preset counts; records the calls; can die in any step."""

    def __init__(self) -> None:
        self.counts: dict[str, Counts] = {}
        self.pace = 0.0
        self.failed: list[Failure] = []
        self.asked: list[tuple[str, str]] = []
        self.own_records = 0
        self.dies_in = ""
        self.held_back: Waiting | None = None
        self.waits: Waiting | None = None

    def asked_for(self, step: str) -> list[str]:
        return [run_id for name, run_id in self.asked if name == step]

    def count(self, run_id: str) -> Counts:
        self._note("count", run_id)
        return self.counts.get(run_id, Counts())

    def rate(self, run_id: str, started_at: datetime) -> Rate:
        self._note("rate", run_id)
        assert started_at.tzinfo is None
        return Rate(self.pace)

    def obstacle(self) -> Waiting | None:
        self._note("obstacle", "")
        return self.held_back

    def waiting(self, run_id: str) -> Waiting | None:
        self._note("waiting", run_id)
        return self.waits

    def failures(self, run_id: str, limit: int) -> list[Failure]:
        self._note("failures", run_id)
        return self.failed[:limit]

    def count_failures(self, run_id: str) -> list[FailureReason]:
        self._note("count_failures", run_id)
        counts = Counter(failure.error for failure in self.failed)
        return [FailureReason(error, error, count) for error, count in counts.items()]

    def count_own_records(self, run_id: str) -> int:
        self._note("count_own_records", run_id)
        return self.own_records

    def cancel(self, run_id: str) -> bool:
        """What waits is cancelled, what is under way (the last two) goes on."""
        self._note("cancel", run_id)
        before = self.counts.get(run_id, Counts())
        waiting = max(0, before.active - 2)
        self.counts[run_id] = Counts(
            total=before.total,
            completed=before.completed,
            failed=before.failed,
            empty=before.empty,
            cancelled=before.cancelled + waiting,
            active=before.active - waiting,
        )
        return True

    def retry(self, run: Mapping[str, Any], requested_by: str) -> Started:
        self._note("retry", str(run["_id"]))
        return services.start_run(
            task_id=run["task_id"],
            name=run["name"],
            trigger=Trigger.MANUAL,
            requested_by=requested_by,
            parameters={"retry_of": str(run["_id"])},
            retry_of=str(run["_id"]),
        )

    def _note(self, step: str, run_id: str) -> None:
        self.asked.append((step, run_id))
        if self.dies_in == step:
            raise Killed


@contextmanager
def stand_in() -> Iterator[FakeWork]:
    """A stand-in for the work of every run, for as long as the context lasts."""
    before = get_work()
    fake = FakeWork()
    register_work(fake)
    try:
        yield fake
    finally:
        register_work(before)


@pytest.fixture
def work() -> Iterator[FakeWork]:
    """A stand-in for the work of every run."""
    with stand_in() as fake:
        yield fake


def start(task_id: str = "daily_collect", **given: Any) -> str:
    """Start a run and return its id."""
    facts = {
        "name": "Daily collection",
        "trigger": Trigger.MANUAL,
        "requested_by": "tests",
        "parameters": {"actions": ["high"]},
    }
    return services.start_run(task_id=task_id, **facts | given).run_id


def start_planned(task_id: str = "daily_collect", **given: Any) -> str:
    """Start a run and plan it."""
    run_id = start(task_id, **given)
    assert services.claim_planner_lease(run_id, token="planner", seconds=60)
    assert services.mark_planned(run_id, token="planner")
    return run_id


def end(run_id: str, counts: Counts | None = None) -> str:
    """End a planned run; by default with one completed collection."""
    assert services.finish_run(run_id, counts=counts or Counts(total=1, completed=1))
    return run_id


def get(run_id: str) -> dict[str, Any]:
    """Return the stored run."""
    run = find_run(run_id)
    assert run is not None
    return run


def change(run_id: str, **fields: Any) -> None:
    """Set fields of a stored run, as time or another process would."""
    assert collection_of(SyncTask).update_one({"_id": ObjectId(run_id)}, {"$set": fields}).matched_count


def count_runs(**criteria: Any) -> int:
    """Return how many runs are stored."""
    return collection_of(SyncTask).count_documents(criteria)
