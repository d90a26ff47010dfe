"""The tables of a run, made of its JSON file: for a terminal, or as Markdown for docs/performance.md."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table as RichTable

from tests.benchmarks.kinds import BARE, PLAIN, PRODUCT

WIDTH = 120
Facts = Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class Table:
    """A table: a title, the names of the columns, and the rows; all columns but the first hold numbers."""

    title: str
    names: Sequence[str]
    rows: Sequence[Sequence[str]]


def write(path: Path, facts: Facts) -> None:
    """Write the JSON file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(facts, indent=1, ensure_ascii=False) + "\n", "utf-8")


def show(facts: Facts, *, is_markdown: bool = False) -> None:
    """Print the machine and all tables."""
    console = Console(width=None if is_markdown else WIDTH, soft_wrap=is_markdown, highlight=False)
    for name, value in facts["machine"].items():
        console.print(f"{name.replace('_', ' '):<16}{value}", markup=False)
    for table in tables(facts):
        if is_markdown:
            console.print(f"\n{markdown(table)}", markup=False)
            continue
        shown = RichTable(*table.names[:1], title=table.title, title_justify="left")
        for name in table.names[1:]:
            shown.add_column(name, justify="right")
        for row in table.rows:
            shown.add_row(*row)
        console.print(shown)


def markdown(table: Table) -> str:
    """Return a table as Markdown."""
    lines = [table.names, ["---", *["--:"] * (len(table.names) - 1)], *table.rows]
    return "\n".join([f"{table.title}:", "", *(f"| {' | '.join(line)} |" for line in lines)])


def tables(facts: Facts) -> Iterator[Table]:
    """Yield the tables of everything that was measured."""

    def group(case: Facts) -> tuple[int, int]:
        return case["processes"], case["connections"]

    for (processes, connections), cases in groupby(sorted(facts["requests"], key=group), group):
        title = f"{_many(processes, 'process')}, {_many(connections, 'connection')}"
        yield _of_requests(title, list(cases))
    if facts["rows"]:
        yield Table(
            title="Other figures",
            names=("what", "measured", "unit"),
            rows=[(row["name"], number(row["value"]), row["unit"]) for row in facts["rows"]],
        )
    if facts["targets"]:
        yield Table(
            title="Targets",
            names=("target", "wanted", "measured", "holds"),
            rows=[
                (
                    one["target"],
                    one["wanted"],
                    f"{number(one['measured'])} {one['unit']}".strip(),
                    "yes" if one["holds"] else "NO",
                )
                for one in facts["targets"]
            ],
        )


def number(value: float) -> str:
    """Return a figure with about three digits."""
    if abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if abs(value) >= 10 else f"{value:.3g}"


def _of_requests(title: str, cases: Sequence[Facts]) -> Table:
    names = ("request", "per second", "p50 ms", "p99 ms", "bare, per second", "bare, p99 ms", "share")
    rows = []
    for case in cases:
        median = case["median"]
        ours, plain = median[PRODUCT], median.get(PLAIN)
        rows.append(
            (
                case["contender"] + ("" if case["is_valid"] else " (other responses!)"),
                *(number(ours[name]) for name in ("requests_per_second", "p50_ms", "p99_ms")),
                number(median[BARE]["requests_per_second"]),
                number(median[BARE]["p99_ms"]),
                number(case["ratio_to_bare"]),
                number(plain["requests_per_second"]) if plain else "",
                number(case["ratio_to_plain"]) if plain else "",
            )
        )
    return Table(title=title, names=(*names, "plain, per second", "times"), rows=rows)


def _many(count: int, name: str) -> str:
    plural = {"process": "processes"}.get(name, f"{name}s")
    return f"{count} {name if count == 1 else plural}"
