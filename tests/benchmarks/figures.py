"""The figures that are not requests: each is measured by one function, which needs no argument.

A function is called in a process with Django, an empty database and an empty Redis. It returns rows (name,
value, unit, target), numbers by their names, or times with few and with many documents.
"""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from tests.benchmarks.targets import Row

Meaning = tuple[str, str, str]  # of a number: what it is, its unit, its target


@dataclass(frozen=True, kw_only=True)
class Figures:
    """What one function measures; ``part`` is the option that chooses it."""

    name: str
    part: str
    module: str
    function: str
    numbers: Mapping[str, Meaning] = field(default_factory=dict)

    def find(self) -> Callable[[], Any] | None:
        """Return the function, or None when this tree does not have it."""
        path = f"{__package__}.{self.module}"
        if importlib.util.find_spec(path) is None:
            return None
        return getattr(importlib.import_module(path), self.function, None)

    def rows(self, result: Any) -> list[Row]:
        """Return what the function has returned as rows."""
        if isinstance(result, Mapping):
            return [Row(label, result[name], *rest) for name, (label, *rest) in self.numbers.items()]
        return [row for one in result for row in _rows_of(one)]


FIGURES = (
    Figures(
        name="claims",
        part="scale",
        module="queue",
        function="measure_claims",
        numbers={
            "claims_per_second": ("claims by 4 processes, 100,000 pending", "/s", "at least 1,000"),
            "ms_per_claim": ("one claim", "ms", ""),
        },
    ),
    Figures(
        name="planning",
        part="scale",
        module="queue",
        function="measure_planning",
        numbers={
            "seconds": ("planning of 115,000 collections", "s", "at most 15"),
            "peak_mb": ("peak memory of the planner", "MB", ""),
        },
    ),
    Figures(
        name="dispatch",
        part="scale",
        module="queue",
        function="measure_dispatch",
        numbers={
            "collections_per_second": ("dispatch and webhook, 8 slots", "collections/s", "at least 150"),
        },
    ),
    Figures(name="lists", part="scale", module="scale", function="run"),
    Figures(name="memory", part="memory", module="memory", function="rows"),
    Figures(name="duplicates", part="duplicates", module="duplicates", function="measure"),
    Figures(name="exports", part="exports", module="exports", function="measure"),
)
PARTS = tuple(dict.fromkeys(one.part for one in FIGURES))
_MAX_TIMES = "at most 2"
# Of these, the time with many documents has a bound of its own.
_MAX_MS = {"collect-health": "at most 100", "p=899": "at most 100"}  # page 900


def chosen(names: Iterable[str]) -> Iterator[Figures]:
    """Yield those of these names and parts."""
    wanted = set(names)
    return (one for one in FIGURES if {one.name, one.part} & wanted)


def _rows_of(one: Any) -> Iterator[Row]:
    if not hasattr(one, "many_ms"):
        yield Row(*one)
        return
    bound = next((bound for name, bound in _MAX_MS.items() if name in one.name), "")
    yield Row(f"{one.name}, 1,000 records", one.few_ms, "ms")
    yield Row(f"{one.name}, 1,000,000 records", one.many_ms, "ms", bound)
    yield Row(
        f"{one.name}, 1,000,000 / 1,000", one.many_ms / one.few_ms, "times", "" if bound else _MAX_TIMES
    )
