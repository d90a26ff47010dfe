"""One trial: an installation, the faults of a seed, readers and operators, a rest, the checks."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import httpx
from pymongo.errors import PyMongoError

from tests.chaos.checks import Evidence, Verdict, run_checks
from tests.chaos.checks.evidence import JITTER_SECONDS
from tests.chaos.given import Given
from tests.chaos.installation import SHAPE, Installation
from tests.chaos.operators import FILL, RESUME, Done, Operator
from tests.chaos.readers import Reader, Taken, start_readers
from tests.chaos.sampling import Gap, Sampler
from tests.chaos.schedule import WELL, Schedule
from tests.integration.stack import Shape

_POLL_SECONDS = 0.05
_PATIENCE_SECONDS = 60.0
_READERS, _OPERATORS = 5, 2
# After the end nothing may come any more: an answer that is still on its way would be counted as missing.
_REST_SECONDS = 1.0


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What a trial does, besides its schedule."""

    schedule: Schedule
    directory: Path
    next_port: Callable[[], int]
    max_gap_seconds: float
    settle_seconds: float
    jitter_seconds: float = JITTER_SECONDS
    shape: Shape = SHAPE
    readers: int = _READERS
    operators: int = _OPERATORS


@dataclass(frozen=True, kw_only=True)
class Result:
    """What came of a trial."""

    seed: int
    seconds: float
    settled_after_seconds: float
    faults: list[str]
    requests: int
    executions: int
    reads: int
    acts: int
    collections: int
    gaps: list[Gap]
    due_share: float  # of the time in which a request could be sent
    verdicts: list[Verdict]

    @property
    def has_passed(self) -> bool:
        """Whether nothing contradicts what is promised."""
        return all(not verdict.count for verdict in self.verdicts)

    @property
    def gaps_after_faults(self) -> list[float]:
        """How long due work waited, in seconds, where a fault came before."""
        return [gap.seconds for gap in self.gaps if gap.after]


def run_trial(plan: Plan, note: Callable[[str], None]) -> Result:
    """Run one trial; ``note`` gets a line for each event.

    :raises ProcessFailedError: when the installation does not start.
    """
    began = time.monotonic()
    plan.directory.mkdir(parents=True, exist_ok=True)
    seed = plan.schedule.seed
    with Installation(seed, plan.directory, next_port=plan.next_port, shape=plan.shape) as installation:
        note(f"whole after {time.monotonic() - began:.1f} s")
        done, faults = Done(), []
        with _used(plan, installation, done) as (taken, sampler, acting, reading):
            for line in _break(plan.schedule, installation):
                faults.append(line)
                note(line)
            installation.simulator.behave(WELL)
            _until(installation, installation.is_whole, _PATIENCE_SECONDS)
            installation.simulator.behave(WELL)
            for operator in acting:
                operator.stop()
            _until(installation, lambda: not any(one.is_alive() for one in acting), _PATIENCE_SECONDS)
            _resume(acting[0], installation)
            for reader in reading:
                reader.calm_down()
            ended = time.monotonic()
            note("no more faults")
            has_settled = _until(
                installation, lambda: _is_settled(installation, sampler), plan.settle_seconds
            )
            settled_after = time.monotonic() - ended
            note(f"settled after {settled_after:.1f} s" if has_settled else "not settled")
        _until(installation, lambda: False, _REST_SECONDS)
        evidence = Evidence(
            installation=installation,
            given=Given(installation.simulator.journal_path),
            taken=taken,
            done=done,
            samples=sampler.samples,
            has_settled=has_settled,
            max_gap_seconds=plan.max_gap_seconds,
            jitter_seconds=plan.jitter_seconds,
        )
        checked = time.monotonic()
        verdicts = run_checks(evidence)
        note(f"checked in {time.monotonic() - checked:.1f} s")
        return Result(
            seed=seed,
            verdicts=verdicts,
            seconds=time.monotonic() - began,
            settled_after_seconds=settled_after,
            faults=faults,
            requests=len(evidence.given.requests),
            executions=len(evidence.given.executions),
            reads=len(taken.reads),
            acts=len(done.acts),
            collections=len(evidence.collections),
            gaps=evidence.gaps,
            due_share=sum(one.is_due for one in sampler.samples) / max(1, len(sampler.samples)),
        )


@contextmanager
def _used(
    plan: Plan, installation: Installation, done: Done
) -> Iterator[tuple[Taken, Sampler, list[Operator], list[Reader]]]:
    """Let readers and operators use the installation during the block."""
    sampler = Sampler(installation)
    sampler.start()
    acting = [Operator(number, installation, sampler, done) for number in range(plan.operators)]
    acting[0].act(FILL)
    readers, taken = start_readers(installation, plan.readers)
    for operator in acting:
        operator.start()
    try:
        yield taken, sampler, acting, readers
    finally:
        threads = [*readers, *acting]
        for one in threads:
            one.stop()
        _until(installation, lambda: not any(one.is_alive() for one in threads), _PATIENCE_SECONDS)
        sampler.stop()


def _break(schedule: Schedule, installation: Installation) -> Iterator[str]:
    """Let everything happen at its time; yields what happened."""
    began = time.monotonic()
    events = sorted([*schedule.faults, *schedule.moods], key=lambda one: one.at_seconds)
    for event in events:
        _until(installation, lambda: False, event.at_seconds - (time.monotonic() - began))
        if event in schedule.faults:
            hit = installation.break_something(event)
            yield f"{event} ({hit})"
        else:
            installation.simulator.behave(event.knobs)
            yield str(event)
    _until(installation, lambda: False, schedule.seconds - (time.monotonic() - began))


def _until(installation: Installation, is_over: Callable[[], bool], seconds: float) -> bool:
    """Be the process manager until something is over, or for so long; returns whether it is."""
    deadline = time.monotonic() + seconds
    while not is_over():
        if time.monotonic() >= deadline:
            return False
        installation.watch()
        time.sleep(_POLL_SECONDS)
    return True


def _resume(operator: Operator, installation: Installation) -> None:
    """Resume the schedules, as an operator does at the end, until it is accepted."""

    def is_resumed() -> bool:
        with suppress(httpx.HTTPError):
            act = operator.act(RESUME)
            return act is not None and act.is_accepted
        return False

    _until(installation, is_resumed, _PATIENCE_SECONDS)


def _is_settled(installation: Installation, sampler: Sampler) -> bool:
    """Whether nothing is queued, in flight or running; readers stop asking for new figures before."""
    with suppress(PyMongoError):
        database = installation.database
        open_work = {"$or": [{"active_key": {"$type": "string"}}, {"is_cache_pending": True}]}
        is_active = database.mengla_collections.find_one(open_work, {"_id": 1})
        unsettled = {"$or": [{"status": "RUNNING"}, {"totals": None}]}
        return is_active is None and database.sync_tasks.find_one(unsettled, {"_id": 1}) is None
    return False
