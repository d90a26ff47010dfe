"""Runs the chosen parts of the benchmarks, one after another; needs Django set up."""

from __future__ import annotations

import argparse
import importlib
import importlib.util
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

from tests.benchmarks import duplicates, machine, memory, report
from tests.benchmarks.load import generator
from tests.benchmarks.rounds import Case, Plan, Rounds, tell
from tests.benchmarks.seed import empty_servers
from tests.benchmarks.servers import Servers
from tests.benchmarks.targets import Row, targets

# Each has functions ``measure_...`` that need no argument, and return rows or numbers by their names.
SCALE_MODULES = ("queue", "scale")
PARTS = ("scale", "memory", "duplicates")
# Of the numbers that have a name only: what it means, its unit and its target.
NUMBERS = {
    "claims_per_second": ("claims, 4 processes, 100,000 pending", "/s", "at least 1,000"),
    "planning_seconds": ("planning 115,000 collections", "s", "at most 15"),
    "collections_per_second": ("dispatch and webhook, collections", "/s", "at least 150"),
}
Measure = Callable[[], "Iterable[Row | tuple[Any, ...]] | dict[str, float]"]


def run(options: argparse.Namespace, directory: Path) -> None:
    """Measure what the options choose, print the tables, and write the JSON file."""
    name, generate = generator(options.generator)
    plan = Plan(
        rounds=options.rounds,
        seconds=options.seconds,
        connections=options.connections,
        processes=options.processes,
        only=[one for one in options.only if not _is_part(one)],
    )
    cases: list[Case] = []
    rows: list[Row] = []
    if plan.only or not options.only:
        empty_servers()
        with Servers(directory / "load") as servers:
            cases = Rounds(servers, plan, generate).run()
    if options.memory or "memory" in options.only:
        empty_servers()
        with Servers(directory / "memory") as servers:
            requests = memory.REQUESTS // (100 if options.quick else 1)
            rows += memory.measure(servers, generate, requests=requests)
    for label, measure in scale_functions():
        if options.scale or {"scale", label} & set(options.only):
            tell(f"measuring {label}")
            empty_servers()
            rows += rows_of(label, measure())
    if options.duplicates or "duplicates" in options.only:
        empty_servers()
        rows += duplicates.measure()
    facts = machine.describe(name)
    found = targets(cases, rows)
    report.show(facts, cases, rows, found)
    report.write(
        options.json,
        {
            "machine": facts,
            "options": {"rounds": plan.rounds, "seconds": plan.seconds},
            "requests": [case.as_json() for case in cases],
            "rows": [row._asdict() for row in rows],
            "targets": [one.as_json() for one in found],
        },
    )
    tell(f"The results are in {options.json}")


def scale_functions() -> Iterator[tuple[str, Measure]]:
    """Yield the functions of the scale figures by their names, without ``measure_``."""
    for name in SCALE_MODULES:
        path = f"tests.benchmarks.{name}"
        if importlib.util.find_spec(path) is None:
            continue
        for function_name, function in vars(importlib.import_module(path)).items():
            if function_name.startswith("measure_"):
                yield function_name.removeprefix("measure_"), function


def rows_of(label: str, result: Iterable[Row | tuple[Any, ...]] | dict[str, float]) -> list[Row]:
    """Return what a scale function has returned as rows."""
    if isinstance(result, dict):
        return [
            Row(NUMBERS[name][0], value, *NUMBERS[name][1:])
            if name in NUMBERS
            else Row(f"{label}: {name}", value)
            for name, value in result.items()
        ]
    return [Row(*row) for row in result]


def _is_part(name: str) -> bool:
    return name in PARTS or any(name == label for label, _ in scale_functions())
