"""What a run collects: a plan is plain data, and its queries are derived from it (pure).

The order of the queries is fixed, so that planning continues where a killed planner stopped.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from apps.core.periods import Granularity, Period, count_periods, parse_period, period_range
from apps.mengla.choices import Action, Priority
from apps.mengla.queries.data_query import DataQuery

ALL_ACTIONS = tuple(Action)


class SkipPolicy(StrEnum):
    """Which queries a run skips because their records are stored."""

    FRESH = "fresh"  # skip stored figures that are fresh
    # Skip stored figures of any age: only gaps are filled. Provisional figures whose period is over are gaps.
    PRESENT = "present"
    NOTHING = "nothing"  # collect everything again


@dataclass(frozen=True, slots=True)
class Span:
    """A range of periods of one granularity; trends begin at ``trend_start`` instead of ``start``."""

    start: Period
    end: Period
    trend_start: Period

    @property
    def granularity(self) -> Granularity:
        """The granularity of the periods."""
        return self.start.granularity


@dataclass(frozen=True, slots=True)
class Plan:
    """What a run of a task collects: every action for every category and period of the spans.

    ``cat_ids`` may hold "" for all categories together; ``period`` is a text for people.
    """

    task_id: str
    spans: tuple[Span, ...]
    cat_ids: tuple[str, ...]
    actions: tuple[Action, ...]
    skip: SkipPolicy
    priority: Priority
    period: str = ""

    def queries(self) -> Iterator[DataQuery]:
        """Yield the queries: the newest period first, single periods before trends."""
        for span in self.spans:
            for period in reversed(period_range(span.start, span.end)):
                for cat_id in self.cat_ids:
                    for action in self._single_period_actions:
                        yield DataQuery(action, cat_id, period, period)
            if Action.INDUSTRY_TREND in self.actions:
                for first, last in reversed(years_of(span.trend_start, span.end)):
                    for cat_id in self.cat_ids:
                        yield DataQuery(Action.INDUSTRY_TREND, cat_id, first, last)

    def count(self) -> int:
        """Return the number of queries that :meth:`queries` yields, without building them."""
        total = 0
        for span in self.spans:
            singles = count_periods(span.start, span.end) * len(self._single_period_actions)
            trends = len(years_of(span.trend_start, span.end)) * (Action.INDUSTRY_TREND in self.actions)
            total += (singles + trends) * len(self.cat_ids)
        return total

    def to_json(self) -> dict[str, Any]:
        """Return what is stored as the run's ``parameters``: all but the fields that the run has itself."""
        return {
            "spans": [
                [span.granularity.value, span.start.key, span.end.key, span.trend_start.key]
                for span in self.spans
            ],
            "cat_ids": list(self.cat_ids),
            "actions": [action.value for action in self.actions],
            "skip": self.skip.value,
            "priority": int(self.priority),
        }

    @classmethod
    def of_run(cls, run: Mapping[str, Any]) -> Plan:
        """Return the plan that a run was started with, from the run's document."""
        stored = run["parameters"]
        return cls(
            task_id=run["task_id"],
            spans=tuple(_span(*parts) for parts in stored["spans"]),
            cat_ids=tuple(stored["cat_ids"]),
            actions=tuple(Action(value) for value in stored["actions"]),
            skip=SkipPolicy(stored["skip"]),
            priority=Priority(stored["priority"]),
            period=run["period"],
        )

    @property
    def _single_period_actions(self) -> list[Action]:
        return [action for action in self.actions if action != Action.INDUSTRY_TREND]


def years_of(start: Period, end: Period) -> list[tuple[Period, Period]]:
    """Split a range into calendar years, because one trend query covers at most a year.

    A range of years is not split.
    """
    if start.granularity is Granularity.YEAR:
        return [(start, end)]
    parts: list[tuple[Period, Period]] = []
    first = start
    while (last := min(_last_of_year(first), end)) < end:
        parts.append((first, last))
        first = last.next()
    return [*parts, (first, end)]


def first_of_year(period: Period) -> Period:
    """Return the first period of the same granularity in the period's calendar year."""
    year = period.first_day.year
    first_keys = {
        Granularity.DAY: f"{year}0101",
        Granularity.MONTH: f"{year}01",
        Granularity.QUARTER: f"{year}Q1",
        Granularity.YEAR: f"{year}",
    }
    return parse_period(first_keys[period.granularity], period.granularity)


def _last_of_year(period: Period) -> Period:
    year = period.first_day.year
    last_keys = {
        Granularity.DAY: f"{year}1231",
        Granularity.MONTH: f"{year}12",
        Granularity.QUARTER: f"{year}Q4",
        Granularity.YEAR: f"{year}",
    }
    return parse_period(last_keys[period.granularity], period.granularity)


def _span(granularity: str, start: str, end: str, trend_start: str) -> Span:
    length = Granularity(granularity)
    return Span(parse_period(start, length), parse_period(end, length), parse_period(trend_start, length))
