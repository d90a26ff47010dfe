"""The measurements: every contender in turn, round after round, in an order that rotates.

A *case* is a contender with a number of connections and of processes. In each round, the bare function and
the plain views are measured right before or after it, so that whatever else the machine does slows all of
them alike. Ratios are taken within a round.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from typing import Any

from tests.benchmarks.arithmetic import median, median_ratio
from tests.benchmarks.bare import write_answers
from tests.benchmarks.contenders import Contender, contenders, until_expected
from tests.benchmarks.kinds import BARE, PLAIN, PRODUCT, SMALL_L1
from tests.benchmarks.load import Answer, Expected, Generate, Load, Request, UnexpectedAnswer, ask
from tests.benchmarks.seed import seed
from tests.benchmarks.servers import Server, Servers

PLAIN_CONNECTIONS = 8  # a slow view gets slower with more connections, not faster
_PLAIN_TIMES_LONGER = 2
# Responses of another tier that are allowed: an entry may come into a cache between two deletions.
_WRONG_SHARE, _WRONG_COUNT = 0.01, 3
_ATTEMPTS = 3


@dataclass(frozen=True, kw_only=True)
class Case:
    """A contender with a number of connections and of processes; the loads by kind of server and round."""

    contender: Contender
    connections: int
    processes: int
    loads: dict[str, list[Load]] = field(default_factory=dict)

    @property
    def kinds(self) -> list[str]:
        """What is measured: the product, the limit, and where there is one, the plain view."""
        has_plain = self.contender.plain is not None and self.connections == PLAIN_CONNECTIONS
        return [PRODUCT, BARE, *([PLAIN] if has_plain else [])]

    def per_second(self, kind: str = PRODUCT) -> float:
        """Return the median of requests a second."""
        return median(load.per_second for load in self.loads.get(kind, []))

    def p50_ms(self, kind: str = PRODUCT) -> float:
        """Return the median of the medians, in milliseconds."""
        return median(load.p50_ms for load in self.loads.get(kind, []))

    def p99_ms(self, kind: str = PRODUCT) -> float:
        """Return the median of the 99th percentiles, in milliseconds."""
        return median(load.p99_ms for load in self.loads.get(kind, []))

    def ratio_to(self, kind: str) -> float:
        """Return the median over the rounds of our requests a second, relative to those of another kind."""
        return self.ratio_of(self.loads.get(kind, []))

    def ratio_of(self, others: Sequence[Load]) -> float:
        """Return the median over the rounds of our requests a second, relative to those of others."""
        ours = self.loads.get(PRODUCT, [])
        if len(ours) != len(others):
            return 0.0
        return median_ratio([load.per_second for load in ours], [load.per_second for load in others])

    @property
    def is_valid(self) -> bool:
        """Whether practically all responses were the expected ones."""
        return all(is_valid(load) for loads in self.loads.values() for load in loads)

    def as_json(self) -> dict[str, Any]:
        """Return everything that was measured."""
        return {
            "contender": self.contender.name,
            "connections": self.connections,
            "processes": self.processes,
            "is_valid": self.is_valid,
            "ratio_to_bare": self.ratio_to(BARE),
            "ratio_to_plain": self.ratio_to(PLAIN),
            "median": {
                kind: {
                    "requests_per_second": self.per_second(kind),
                    "p50_ms": self.p50_ms(kind),
                    "p99_ms": self.p99_ms(kind),
                }
                for kind in self.loads
            },
            "rounds": {
                kind: [
                    {
                        "requests": load.requests,
                        "requests_per_second": load.per_second,
                        "p50_ms": load.p50_ms,
                        "p99_ms": load.p99_ms,
                        "wrong": load.wrong,
                    }
                    for load in loads
                ]
                for kind, loads in self.loads.items()
            },
        }


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What is measured, and how long; ``only`` names contenders, all when it is empty."""

    rounds: int
    seconds: int
    connections: Sequence[int]
    processes: Sequence[int]
    only: Sequence[str] = ()


def is_valid(load: Load) -> bool:
    """Whether there were responses, and practically all were the expected ones."""
    return load.requests > 0 and load.wrong <= max(_WRONG_COUNT, load.requests * _WRONG_SHARE)


def rotated(items: Sequence[Any], number: int, count: int) -> list[Any]:
    """Return the items in the order of one of ``count`` rounds: each round begins at another one."""
    if not items:
        return []
    first = number * max(1, len(items) // count) % len(items)
    return [*items[first:], *items[:first]]


class Rounds:
    """Measures the cases of a plan on servers that run."""

    def __init__(self, servers: Servers, plan: Plan, generate: Generate) -> None:
        self._servers = servers
        self._plan = plan
        self._generate = generate

    def run(self) -> list[Case]:
        """Seed, start the servers, measure; returns the cases."""
        token = seed()
        for processes in self._plan.processes:
            for kind in (PRODUCT, SMALL_L1, PLAIN):
                self._servers.start(kind, processes)
        chosen = self._prepare(token)
        cases = [
            Case(contender=contender, connections=connections, processes=processes)
            for contender in chosen
            for connections in self._plan.connections
            for processes in self._plan.processes
        ]
        began_at = time.monotonic()
        for number in range(self._plan.rounds):
            for case in rotated(cases, number, self._plan.rounds):
                self._measure_case(case, number)
            for server in self._servers.started.values():
                server.empty_log()
            minutes = (time.monotonic() - began_at) / 60
            tell(f"round {number + 1} of {self._plan.rounds} after {minutes:.1f} minutes")
        return cases

    def _prepare(self, token: str) -> list[Contender]:
        """Return the chosen contenders; every cache is filled, and the bare function knows their answers."""
        first = self._servers.started[PRODUCT, self._plan.processes[0]]
        names, every = set(self._plan.only), contenders(token, first.url)
        if unknown := names - {one.name for one in every}:
            known = ", ".join(one.name for one in every)
            raise SystemExit(f"Unknown: {', '.join(sorted(unknown))}. These are known: {known}.")
        chosen = [one for one in every if not names or one.name in names]
        answers = {}
        for contender in chosen:
            answer = self._prepare_one(contender)
            answers[contender.bare.paths[0]] = (answer.status, answer.headers, answer.body)
        write_answers(self._servers.answers_path, answers)
        for processes in self._plan.processes:
            self._servers.start(BARE, processes)
        return chosen

    def _prepare_one(self, contender: Contender) -> Answer:
        server = self._servers.started[contender.server, self._plan.processes[0]]
        if contender.expected.tier == "l2":
            for number in range(len(contender.request.paths)):
                ask(server.url, contender.request, number=number)
        with contender.around():
            answer = until_expected(server.url, contender.request, contender.expected)
        if contender.plain is not None:
            self._compare_with_plain(contender)
        return answer

    def _compare_with_plain(self, contender: Contender) -> None:
        """Make sure that the plain view returns the same data."""
        assert contender.plain is not None
        processes = self._plan.processes[0]
        ours = ask(self._servers.started[PRODUCT, processes].url, contender.plain)
        theirs = ask(self._servers.started[PLAIN, processes].url, contender.plain)
        if theirs.status != ours.status or json.loads(theirs.body) != json.loads(ours.body):
            raise UnexpectedAnswer(f"{contender.name}: the plain view has other data: {theirs.body[:300]!r}")

    def _measure_case(self, case: Case, number: int) -> None:
        for kind in rotated(case.kinds, number, len(case.kinds)):
            contender, seconds = case.contender, self._plan.seconds
            request, expected, server_kind = contender.request, contender.expected, contender.server
            if kind == BARE:
                request, server_kind = contender.bare, BARE
                # One request again and again needs no check of each response.
                expected = replace(expected, tier=None)
            elif kind == PLAIN:
                assert contender.plain is not None
                request, server_kind, expected = contender.plain, PLAIN, Expected()
                seconds *= _PLAIN_TIMES_LONGER
            server = self._servers.started[server_kind, case.processes]
            around = contender.around if kind == PRODUCT else nullcontext
            for attempt in range(_ATTEMPTS):
                with around():
                    load = self._measure(server, request, expected, case.connections, seconds)
                if is_valid(load):
                    break
                tell(
                    f"{contender.name} ({kind}): {load.wrong} of {load.requests} wrong, attempt {attempt + 1}"
                )
            case.loads.setdefault(kind, []).append(load)

    def _measure(
        self, server: Server, request: Request, expected: Expected, connections: int, seconds: float
    ) -> Load:
        until_expected(server.url, request, expected)
        load = self._generate(server.url, request, expected, connections=connections, seconds=seconds)
        until_expected(server.url, request, expected)
        return load


def tell(text: str) -> None:
    """Report progress on stderr; the tables go to stdout."""
    sys.stderr.write(f"{text}\n")
    sys.stderr.flush()
