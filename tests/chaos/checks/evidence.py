"""What a trial leaves for its checks, and the list of checks."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cached_property
from typing import Any

from tests.chaos.given import Given
from tests.chaos.installation import Installation, Outage
from tests.chaos.operators import Done
from tests.chaos.readers import Taken
from tests.chaos.sampling import Gap, Sample, gaps_of

Document = dict[str, Any]
# How much later than it was sent a request may be noted, on a machine with other work.
JITTER_SECONDS = 0.1


@dataclass
class Evidence:
    """All that is known of a trial at its end."""

    installation: Installation
    given: Given
    taken: Taken
    done: Done
    samples: list[Sample]
    has_settled: bool
    max_gap_seconds: float
    jitter_seconds: float = JITTER_SECONDS

    @cached_property
    def collections(self) -> list[Document]:
        """All stored collections."""
        return list(self.installation.database.mengla_collections.find())

    @cached_property
    def records(self) -> list[Document]:
        """All stored records."""
        return list(self.installation.database.mengla_data.find())

    @cached_property
    def runs(self) -> list[Document]:
        """All stored runs."""
        return list(self.installation.database.sync_tasks.find())

    @property
    def faults(self) -> list[Outage]:
        """All faults."""
        return self.installation.outages

    @cached_property
    def gaps(self) -> list[Gap]:
        """How long due work waited for the next request."""
        return gaps_of(self.samples, self.given.calls, self.installation.outages)

    def hit(self, *targets: str) -> bool:
        """Whether a fault hit one of these parts."""
        return any(any(True for _ in self.installation.outages_of(target)) for target in targets)


Find = Callable[[Evidence], Iterator[str]]


@dataclass(frozen=True)
class Check:
    """One invariant; ``find`` yields what contradicts it."""

    name: str
    promise: str
    find: Find


@dataclass
class Verdict:
    """What a check has found: how many contradictions, and the first of them."""

    check: Check
    count: int = 0
    examples: list[str] = field(default_factory=list)


CHECKS: list[Check] = []
_EXAMPLES = 10


def check(
    promise: str,
) -> Callable[[Callable[[Evidence], Iterator[str]]], Callable[[Evidence], Iterator[str]]]:
    """Register a check under the name of its function."""

    def register(find: Find) -> Find:
        CHECKS.append(Check(find.__name__, promise, find))
        return find

    return register


def run_checks(evidence: Evidence) -> list[Verdict]:
    """Run all checks; returns what they have found, also if nothing."""
    verdicts = []
    for one in CHECKS:
        found = list(one.find(evidence))
        verdicts.append(Verdict(one, len(found), found[:_EXAMPLES]))
    return verdicts


def seconds_of(instant: datetime) -> float:
    """Return a stored instant, UTC without zone, in seconds since 1970."""
    return instant.replace(tzinfo=UTC).timestamp()
