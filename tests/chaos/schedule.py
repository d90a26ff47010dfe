"""What happens in a trial and when: the faults, and how the collection service behaves. The seed decides."""

from __future__ import annotations

import itertools
import random
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

WEB, WEB_WORKER, CLUSTER, SENTINEL, WORKER = "web", "web worker", "cluster", "sentinel", "worker"
WAITING, MONITOR, PUSHER, DISPATCHER = "waiting worker", "monitor", "pusher", "dispatcher"
SERVICE, REDIS, MONGO, BOTH, CLUSTERS = "service", "Redis", "MongoDB", "MongoDB and Redis", "both clusters"
KILL, PAUSE = "kill -9", "stop"
# The kinds of faults: each seed has several of them, and six seeds in a row have all.
KINDS = (
    *((KILL, target) for target in (WEB, WEB_WORKER, CLUSTER, SENTINEL, WORKER, WAITING, MONITOR, PUSHER)),
    *((KILL, target) for target in (DISPATCHER, CLUSTERS, SERVICE, REDIS, MONGO)),
    *((PAUSE, target) for target in (REDIS, MONGO, BOTH)),
)
FAULTS_AT_LEAST, FAULTS_AT_MOST = 6, 8
_FIRST_FAULT_AT = 2.0
# The last part of the time has no new fault, so that those before it are over at the end.
_QUIET_SECONDS = 4.0
_PAUSE_SECONDS = (1.0, 5.0)
_PAIR_SHARE = 0.3

# Rows say which query and which execution they are of, so that no reader gets those of another unnoticed.
MARKED: Mapping[str, Any] = {"echo": True, "stamp": True, "concurrency": 64}
WELL: Mapping[str, Any] = {**MARKED, "delay_seconds": 0.05}
# What is always wrong during the faults.
_ALWAYS = {**MARKED, "delay_seconds": 0.1, "jitter_seconds": 0.6, "heartbeats": 1}
_ALWAYS |= {"duplicate_rate": 0.1, "failure_rate": 0.03, "drop_rate": 0.02}
MOODS: Mapping[str, Mapping[str, Any]] = {
    "works": {},
    "fails": {"failure_rate": 0.4},
    "drops": {"drop_rate": 0.25},
    "doubles": {"duplicate_rate": 1.0, "duplicate_delay_seconds": 0.4},
    "answers early": {"early": True},
    # Later than MENGLA_TIMEOUT_SECONDS: the next attempt is under way when the answer to the first one comes.
    "answers late": {"late_seconds": 5.5},
    "sends garbage": {"garbage_rate": 0.2, "empty_rate": 0.2},
    "refuses with 500": {"execute_error_rate": 0.4, "execute_status": 500},
    "refuses with 503": {"execute_error_rate": 0.4, "execute_status": 503},
    "refuses with 429": {"execute_error_rate": 0.4, "execute_status": 429},
    "hangs": {"hang_seconds": 0.8},
    "closes connections": {"down": True},
}
_MOOD_SECONDS = (3.0, 6.0)
# So many more times it works: otherwise the breaker would be open most of the time.
_WORKING = 6


@dataclass(frozen=True)
class Fault:
    """One fault; ``choice`` decides which of several processes it hits. Only a pause has ``seconds``."""

    at_seconds: float
    how: str
    target: str
    choice: int
    seconds: float = 0.0

    def __str__(self) -> str:
        lasting = f" for {self.seconds:.1f} s" if self.seconds else ""
        return f"{self.at_seconds:5.1f} s  {self.how} {self.target}{lasting}"


@dataclass(frozen=True)
class Mood:
    """How the collection service behaves from a time on."""

    at_seconds: float
    name: str

    @property
    def knobs(self) -> Mapping[str, Any]:
        """Return all its knobs."""
        return _ALWAYS | MOODS[self.name]

    def __str__(self) -> str:
        return f"{self.at_seconds:5.1f} s  the service {self.name}"


@dataclass(frozen=True)
class Schedule:
    """All that happens in one trial."""

    seed: int
    seconds: float
    faults: tuple[Fault, ...]
    moods: tuple[Mood, ...]

    def __str__(self) -> str:
        events = sorted([*self.faults, *self.moods], key=lambda one: one.at_seconds)
        return "\n".join(str(one) for one in events)


def make_schedule(seed: int, seconds: float) -> Schedule:
    """Return the schedule of a seed; the same for the same numbers, in every version of Python."""
    luck = random.Random(f"chaos-{seed}")
    return Schedule(seed, seconds, tuple(_faults(seed, seconds, luck)), tuple(_moods(seconds, luck)))


def _faults(seed: int, seconds: float, luck: random.Random) -> Iterator[Fault]:
    """Yield the faults in their order; some come in pairs at the same moment."""
    count = luck.randint(FAULTS_AT_LEAST, FAULTS_AT_MOST)
    kinds = _dealt(seed, count)
    luck.shuffle(kinds)
    last = max(_FIRST_FAULT_AT, seconds - _QUIET_SECONDS)
    moments = sorted(luck.uniform(_FIRST_FAULT_AT, last) for _ in kinds)
    step = (last - _FIRST_FAULT_AT) / max(1, count)
    for number, (how, target) in enumerate(kinds):
        # Spread over the time, so that most faults are met by a whole installation.
        spread = _FIRST_FAULT_AT + step * number
        at_seconds = (moments[number] + 2 * spread) / 3
        if number % 2 and luck.random() < _PAIR_SHARE:
            at_seconds = (moments[number - 1] + 2 * (spread - step)) / 3
        lasting = luck.uniform(*_PAUSE_SECONDS) if how == PAUSE else 0.0
        yield Fault(round(at_seconds, 2), how, target, luck.randrange(1000), round(lasting, 2))


def _dealt(seed: int, count: int) -> list[tuple[str, str]]:
    """Return the kinds of a seed: consecutive seeds take the next ones of a shuffled row, so all come."""
    first = seed * FAULTS_AT_LEAST
    rows = (_row(first // len(KINDS) + step) for step in itertools.count())
    dealt = itertools.islice(itertools.chain.from_iterable(rows), first % len(KINDS), None)
    return list(itertools.islice(dealt, count))


def _row(number: int) -> list[tuple[str, str]]:
    return random.Random(f"chaos-row-{number}").sample(KINDS, len(KINDS))


def _moods(seconds: float, luck: random.Random) -> Iterator[Mood]:
    at_seconds = 0.0
    names = [*MOODS, *["works"] * _WORKING]
    while at_seconds < seconds:
        yield Mood(round(at_seconds, 2), luck.choice(names))
        at_seconds += luck.uniform(*_MOOD_SECONDS)
