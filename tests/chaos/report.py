"""What bin/chaos prints: a table of the trials, what contradicts the promises, a summary."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from rich.console import Console
from rich.table import Table

from tests.chaos.trial import Result

WIDTH = 110
COLUMNS = (
    *("seed", "seconds", "settled", "faults", "requests"),
    *("reads", "actions", "collections", "worst gap"),
)


def show(results: Sequence[Result], console: Console) -> None:
    """Print the table and the summary."""
    table = Table(box=None, pad_edge=False)
    names = (
        "seed",
        "seconds",
        "settled",
        "faults",
        "requests",
        "reads",
        "actions",
        "collections",
        "worst gap",
    )
    for name in names:
        table.add_column(name, justify="right")
    table.add_column("result")
    for one in results:
        table.add_row(
            *(str(one.seed), f"{one.seconds:.0f}", f"{one.settled_after_seconds:.1f}"),
            *(str(number_of_faults(one)), str(one.requests), str(one.reads), str(one.acts)),
            *(str(one.collections), f"{worst_gap(one):.1f}"),
            "ok" if one.has_passed else "FAILED",
        )
    console.print(table)
    for one in results:
        show_problems(one, console)
    console.print(summary(results))


def verdict_of(result: Result) -> str:
    """Return in one line whether a trial passed, or which checks failed."""
    failed = [verdict.check.name for verdict in result.verdicts if verdict.count]
    return f"FAILED: {', '.join(failed)}" if failed else "ok"


def show_problems(result: Result, console: Console) -> None:
    """Print what contradicts the promises in one trial."""
    for verdict in result.verdicts:
        if verdict.count:
            found = verdict.check
            console.print(
                f"\nseed {result.seed}: {verdict.count} times not true: {found.promise} ({found.name})"
            )
            for example in verdict.examples:
                console.print(f"  - {example}", highlight=False, markup=False)


def summary(results: Sequence[Result]) -> str:
    """Return one paragraph about all trials."""
    gaps = sorted(seconds for one in results for seconds in one.gaps_after_faults)
    passed = sum(one.has_passed for one in results)
    parts = [
        f"{passed} of {len(results)} seeds passed {len(results[0].verdicts)} checks each",
        f"{sum(map(number_of_faults, results))} faults",
        f"{sum(one.requests for one in results)} requests to the service",
        f"{sum(one.reads for one in results)} reads",
        f"{sum(one.acts for one in results)} actions",
    ]
    text = ", ".join(parts) + "."
    if gaps:
        after = sorted(after_each_fault(results))
        text += (
            f"\nFrom the end of a fault to the next request: median {statistics.median(after):.1f} s, "
            f"90 % within {_percentile(after, 0.9):.1f} s, longest {after[-1]:.1f} s; "
            f"longest wait of due work at any time {gaps[-1]:.1f} s."
        )
    return text


def after_each_fault(results: Sequence[Result]) -> list[float]:
    """Return the longest wait after each fault until the next one, in seconds."""
    found: list[float] = []
    for one in results:
        longest: dict[float, float] = {}
        for gap in one.gaps:
            if gap.after:
                longest[gap.fault_at] = max(gap.seconds, longest.get(gap.fault_at, 0.0))
        found += longest.values()
    return found or [0.0]


def worst_gap(result: Result) -> float:
    """Return the longest time that due work waited for a request, in seconds."""
    return max((gap.seconds for gap in result.gaps), default=0.0)


def number_of_faults(result: Result) -> int:
    """Return how many faults there were; changes of the service's mood are none."""
    return sum("  the service " not in line for line in result.faults)


def as_json(results: Sequence[Result]) -> list[dict[str, Any]]:
    """Return everything for a JSON file."""
    return [
        {
            **{name: value for name, value in asdict(one).items() if name not in ("verdicts", "gaps")},
            "worst_gap_seconds": worst_gap(one),
            "gaps": [asdict(gap) for gap in sorted(one.gaps, key=lambda gap: -gap.seconds)[:20]],
            "checks": {
                verdict.check.name: {"count": verdict.count, "examples": verdict.examples}
                for verdict in one.verdicts
            },
            "has_passed": one.has_passed,
        }
        for one in results
    ]


def _percentile(values: Sequence[float], share: float) -> float:
    return values[min(len(values) - 1, int(share * len(values)))]
