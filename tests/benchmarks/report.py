"""The tables and the JSON file of a run."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from itertools import groupby
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from tests.benchmarks.rounds import Case
from tests.benchmarks.servers import BARE, PLAIN
from tests.benchmarks.targets import Row, Target

WIDTH = 120


def show(
    machine: Mapping[str, Any], cases: Sequence[Case], rows: Sequence[Row], found: Sequence[Target]
) -> None:
    """Print the tables."""
    console = Console(width=WIDTH)
    for name, value in machine.items():
        console.print(f"{name.replace('_', ' '):<16}{value}")

    def group(case: Case) -> tuple[int, int]:
        return case.processes, case.connections

    for (processes, connections), members in groupby(sorted(cases, key=group), group):
        console.print(
            _of_cases(f"{_many(processes, 'process')}, {_many(connections, 'connection')}", [*members])
        )
    if rows:
        table = _table("Other figures", "what", "measured", "unit")
        for row in rows:
            table.add_row(row.name, number(row.value), row.unit)
        console.print(table)
    if found:
        table = _table("Targets", "target", "wanted", "measured", "holds")
        for one in found:
            table.add_row(
                one.name, one.wanted, f"{number(one.measured)} {one.unit}", "yes" if one.holds else "NO"
            )
        console.print(table)


def write(path: Path, facts: Mapping[str, Any]) -> None:
    """Write the JSON file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(facts, indent=1, ensure_ascii=False) + "\n", "utf-8")


def number(value: float) -> str:
    """Return a figure with about three digits."""
    if abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}"


def _of_cases(title: str, cases: Sequence[Case]) -> Table:
    names = (
        "request",
        "per second",
        "p50 ms",
        "p99 ms",
        "bare, per second",
        "share",
        "plain, per second",
        "times",
    )
    table = _table(title, *names)
    for case in cases:
        has_plain = bool(case.loads.get(PLAIN))
        table.add_row(
            case.contender.name + ("" if case.is_valid else " (other responses!)"),
            *(number(value) for value in (case.per_second(), case.p50_ms(), case.p99_ms())),
            number(case.per_second(BARE)),
            number(case.ratio_to(BARE)),
            number(case.per_second(PLAIN)) if has_plain else "",
            number(case.ratio_to(PLAIN)) if has_plain else "",
        )
    return table


def _table(title: str, first: str, *others: str) -> Table:
    table = Table(title=title, title_justify="left")
    table.add_column(first)
    for name in others:
        table.add_column(name, justify="right")
    return table


def _many(count: int, name: str) -> str:
    plural = {"process": "processes"}.get(name, f"{name}s")
    return f"{count} {name if count == 1 else plural}"
