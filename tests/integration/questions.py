"""Queries that were never sent before, and the figures that the simulator returns for them."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import Any

from apps.core.periods import parse_period
from apps.mengla.choices import Action
from apps.mengla.queries.data_query import DataQuery
from apps.mengla.simulator.data import result_of
from apps.mengla.simulator.query import parse_parameters
from apps.mengla.upstream.payloads import split_trend_points, unwrap

CATEGORIES = ("4200", "4300", "4400")  # of the sample tree
RANKINGS = (Action.HIGH, Action.HOT, Action.CHANCE)
FIRST_DAY = date(2021, 1, 1)


@dataclass(frozen=True)
class Question:
    """One question, as a client asks it; ``sim`` holds knobs for this question only."""

    action: Action
    cat_id: str
    timest: str
    start: str = ""
    sim: Mapping[str, Any] = field(default_factory=dict)

    @property
    def parameters(self) -> dict[str, str]:
        """The query string of ``GET /mengla/``."""
        parameters = {"action": self.action.value, "primaryCatId": self.cat_id, "timest": self.timest}
        if self.start:
            parameters |= {"starRange": self.start, "endRange": self.timest}
        if self.sim:
            parameters["extra"] = json.dumps({"_sim": self.sim})
        return parameters

    @property
    def query(self) -> DataQuery:
        """The same as the product understands it."""
        end = parse_period(self.timest)
        start = parse_period(self.start) if self.start else end
        extra = {"_sim": dict(self.sim)} if self.sim else {}
        return DataQuery(self.action, self.cat_id, start, end, extra=extra)

    @property
    def identity(self) -> str:
        """The name of this question in the collections."""
        return self.query.identity

    @property
    def expected_records(self) -> dict[str, Any]:
        """The figures the simulator sends for it, by the key of the record that should hold them."""
        query = self.query
        data = unwrap(query.action, result_of(parse_parameters(query.service_parameters()))).data
        if not query.is_trend:
            return {query.record_id(query.start): data}
        points = split_trend_points(data, granularity=query.granularity)
        return {query.record_id(period): points[period.key] for period in query.periods}


class Questions:
    """Hands out questions, never the same one twice."""

    def __init__(self) -> None:
        days = (FIRST_DAY + timedelta(days=offset) for offset in itertools.count())
        self._days: Iterator[tuple[date, Action, str]] = (
            (day, action, cat_id) for day in days for action in RANKINGS for cat_id in CATEGORIES
        )
        self._years = itertools.product(range(2000, 2100), RANKINGS, CATEGORIES)

    def one(self, **sim: Any) -> Question:
        """A ranking of a day; keywords are knobs of the simulator for this question only."""
        day, action, cat_id = next(self._days)
        return Question(action, cat_id, day.isoformat(), sim=sim)

    def some(self, count: int, **sim: Any) -> list[Question]:
        """Several rankings of days."""
        return [self.one(**sim) for _ in range(count)]

    def trend(self, days: int = 5) -> Question:
        """A trend over days."""
        day, _, cat_id = next(self._days)
        end = day + timedelta(days=days - 1)
        return Question(Action.INDUSTRY_TREND, cat_id, end.isoformat(), start=day.isoformat())

    def soon_stale(self) -> Question:
        """A ranking of a year, which a stack lets become stale within a second."""
        year, action, cat_id = next(self._years)
        return Question(action, cat_id, str(year))
