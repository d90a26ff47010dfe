"""The promised figures, compared with the measured ones. It is a report: nothing fails."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from tests.benchmarks.contenders import L1_HIT
from tests.benchmarks.kinds import BARE, PLAIN, PRODUCT
from tests.benchmarks.rounds import Case

REPLAYED = (L1_HIT, "L1 hit, gzip", "L1 hit, 304", "category tree", "panel configuration")
LIMIT_PER_SECOND = 25_000
_BOUND = re.compile(r"at (least|most) ([\d.,]+)")


class Row(NamedTuple):
    """A figure that is no request: what the functions of ``queue``, ``scale`` and ``memory`` return.

    ``target`` is a text such as "at least 1,000" or "at most 4", or "" when nothing is promised.
    """

    name: str
    value: float
    unit: str = ""
    target: str = ""


@dataclass(frozen=True, kw_only=True)
class Target:
    """A promise and what was measured."""

    name: str
    wanted: str
    measured: float
    unit: str = ""

    @property
    def holds(self) -> bool:
        """Whether the measured figure is within the bound."""
        found = _BOUND.search(self.wanted)
        if found is None:
            raise ValueError(f"no bound: {self.wanted!r}")
        bound = float(found[2].replace(",", ""))
        return self.measured >= bound if found[1] == "least" else self.measured <= bound

    def as_json(self) -> dict[str, Any]:
        """Return all facts."""
        return {
            "target": self.name,
            "wanted": self.wanted,
            "measured": self.measured,
            "unit": self.unit,
            "holds": self.holds,
        }


def targets(cases: Iterable[Case], rows: Sequence[Row]) -> list[Target]:
    """Return all targets that these measurements can tell of."""
    found = {(case.contender.name, case.connections, case.processes): case for case in cases}
    return [
        *_of_replayed(found),
        *_of_whole_way(found),
        *_of_two_processes(found),
        *(
            Target(name=row.name, wanted=row.target, measured=row.value, unit=row.unit)
            for row in rows
            if row.target
        ),
    ]


Cases = dict[tuple[str, int, int], Case]


def _of_replayed(cases: Cases) -> Iterable[Target]:
    for name in REPLAYED:
        if case := cases.get((name, 8, 1)):
            yield Target(
                name=f"{name}: share of the bare server, 8 connections",
                wanted="at least 0.5",
                measured=case.ratio_to(BARE),
            )
            if case.loads.get(PLAIN):
                yield Target(
                    name=f"{name}: times the plain view, 8 connections",
                    wanted="at least 25",
                    measured=case.ratio_to(PLAIN),
                )
        if (case := cases.get((name, 64, 1))) and case.p50_ms():
            yield Target(
                name=f"{name}: p99 / p50, 64 connections",
                wanted="at most 4",
                measured=case.p99_ms() / case.p50_ms(),
            )


def _of_whole_way(cases: Cases) -> Iterable[Target]:
    limit = cases.get((L1_HIT, 8, 1))
    for name, wanted in (("L2 hit", 3000), ("L3 hit", 1500), ("miss (202)", 1000)):
        case = cases.get((name, 8, 1))
        if case is None or limit is None:
            continue
        yield Target(
            name=f"{name}: where the bare server does {LIMIT_PER_SECOND:,}/s, 8 connections",
            wanted=f"at least {wanted:,}",
            measured=case.ratio_of(limit.loads[BARE]) * LIMIT_PER_SECOND,
            unit="/s",
        )


def _of_two_processes(cases: Cases) -> Iterable[Target]:
    for name in (L1_HIT, "L2 hit", "L3 hit"):
        one, two = cases.get((name, 64, 1)), cases.get((name, 64, 2))
        if one is not None and two is not None:
            yield Target(
                name=f"{name}: two processes / one, 64 connections",
                wanted="at least 1.8",
                measured=two.ratio_of(one.loads[PRODUCT]),
            )
