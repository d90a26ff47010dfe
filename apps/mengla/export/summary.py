"""What an export holds and what it lacks: counted while it is written."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from apps.core.periods import Period
from apps.mengla.choices import ALL_CATEGORIES


class PeriodList:
    """Periods of categories, in their order: successive ones are kept as a range."""

    def __init__(self) -> None:
        self.count = 0
        self._ranges: dict[str, list[tuple[Period, Period]]] = {}
        self._last_index: int | None = None
        self._last_cat_id: str | None = None

    def add(self, cat_id: str, period: Period) -> None:
        """Add a period; those of one category come in their order."""
        self.count += 1
        index = period.index
        ranges = self._ranges.setdefault(cat_id, [])
        if cat_id == self._last_cat_id and self._last_index == index - 1:
            ranges[-1] = (ranges[-1][0], period)
        else:
            ranges.append((period, period))
        self._last_cat_id, self._last_index = cat_id, index

    def ranges(self) -> Iterator[tuple[str, str, str]]:
        """Yield category, first and last period of each range, as they are written."""
        for cat_id, ranges in self._ranges.items():
            for first, last in ranges:
                yield cat_id or ALL_CATEGORIES, first.dashed, last.dashed

    def to_json(self) -> list[dict[str, Any]]:
        """Return the categories with their periods: ``2025-01``, or ``2025-03..2025-06``."""
        return [
            {"catId": cat_id or ALL_CATEGORIES, "periods": [_range_text(*one) for one in ranges]}
            for cat_id, ranges in self._ranges.items()
        ]

    def text(self, *, max_length: int) -> str:
        """Return the same as one line of ASCII: ``4200: 2025-01, 2025-03..2025-06; 17027: 2025-02``.

        It ends with ``...`` where it would be longer than ``max_length``.
        """
        text = ""
        for cat_id, ranges in self._ranges.items():
            before = f"{text}; " if text else ""
            text = f"{before}{cat_id or ALL_CATEGORIES}: {', '.join(_range_text(*one) for one in ranges)}"
            if len(text) > max_length:
                whole = text[: max_length - len("...")]
                return f"{whole.rpartition(' ')[0]}..."
        return text


@dataclass(slots=True)
class Summary:
    """The counts of an export."""

    rows: int = 0
    records: int = 0  # stored ones, empty ones too
    missing: PeriodList = field(default_factory=PeriodList)  # no record is stored
    empty: PeriodList = field(default_factory=PeriodList)  # the service had no figures
    provisional: PeriodList = field(default_factory=PeriodList)  # collected before the period was over

    def to_json(self) -> dict[str, Any]:
        """Return the counts and the names of the periods, for the end of a file."""
        return {
            "rows": self.rows,
            "records": self.records,
            "missing": self.missing.to_json(),
            "empty": self.empty.to_json(),
            "provisional": self.provisional.to_json(),
        }


def _range_text(first: Period, last: Period) -> str:
    return first.dashed if first == last else f"{first.dashed}..{last.dashed}"
