"""What the collection service was asked for and what it gave, by its journal."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from apps.core.periods import parse_period
from apps.mengla.choices import Action
from apps.mengla.queries.data_query import DataQuery
from apps.mengla.simulator.data import result_of
from apps.mengla.simulator.query import Query, parse_parameters
from apps.mengla.upstream.payloads import split_trend_points, unwrap

FIGURES, EMPTY = "figures", "empty"
# Receipts of the webhook that say: it is stored, or it will be.
STORED, PARKED = "stored", "parked"


@dataclass(frozen=True)
class Sending:
    """One attempt to send a result; ``ended`` and the response are absent if the service was killed."""

    began: float
    ended: float | None
    status: int | None
    receipt: str | None


@dataclass(eq=False)
class Execution:
    """One execution, in seconds since 1970. ``number`` orders those that arrived at the same time."""

    id: str
    number: int
    arrived: float
    parameters: Mapping[str, Any]
    result: str = ""
    responded: float | None = None
    ended: float | None = None
    sendings: list[Sending] = field(default_factory=list)

    @cached_property
    def query(self) -> Query:
        """The query as the service understood it."""
        extra = self.parameters["extra"]
        named = {name: value for name, value in self.parameters.items() if name != "extra"}
        return parse_parameters(named | extra)

    @cached_property
    def identity(self) -> str:
        """The same as the product calls it."""
        query = self.query
        found = DataQuery(Action(query.action), query.cat_id, query.first, query.last, query.product_id)
        return found.identity

    @cached_property
    def figures(self) -> dict[str, Any]:
        """The figures it gave, by the key of the record; a trend has several."""
        query = self.query
        data = unwrap(Action(query.action), result_of(query, echo=True, execution_id=self.id)).data
        asked = DataQuery(Action(query.action), query.cat_id, query.first, query.last, query.product_id)
        if not asked.is_trend:
            return {asked.record_id(asked.start): data}
        points = split_trend_points(data, granularity=asked.granularity)
        return {asked.record_id(period): points[period.key] for period in asked.periods}

    @property
    def record_ids(self) -> list[str]:
        """The keys of its records, also if it gave none."""
        query = self.query
        asked = DataQuery(Action(query.action), query.cat_id, query.first, query.last, query.product_id)
        return asked.record_ids

    @property
    def was_sent(self) -> bool:
        """Whether its result may have reached the product."""
        return bool(self.sendings)

    def receipts(self) -> set[str]:
        """Return what the product said it had done with the result."""
        return {one.receipt for one in self.sendings if one.receipt}


class Given:
    """The whole journal of a trial."""

    def __init__(self, path: Path) -> None:
        self.requests: list[float] = []  # when execute requests arrived
        self.calls: list[float] = []  # when any request arrived
        self.executions: dict[str, Execution] = {}
        self.refused = 0
        arrivals: dict[str, float] = {}
        open_sendings: dict[str, list[float]] = {}
        for line in _lines(path):
            event, at = line["event"], line["at"]
            if event in ("list", "request"):
                self.calls.append(at)
            if event == "request":
                self.requests.append(at)
                arrivals[line["request"]] = at
            elif event == "refused":
                self.refused += 1
            elif event == "accepted":
                new = Execution(
                    line["execution"],
                    len(self.executions),
                    arrivals.get(line["request"], at),
                    line["parameters"],
                )
                self.executions[new.id] = new
            elif event == "responding":
                self.executions[line["execution"]].responded = at
            elif event == "ended":
                self.executions[line["execution"]].ended = at
            elif event == "sending":
                self.executions[line["execution"]].result = line["result"]
                open_sendings.setdefault(line["execution"], []).append(at)
            elif event == "sent":
                began = open_sendings[line["execution"]].pop(0)
                sending = Sending(began, at, line["status"], line["receipt"])
                self.executions[line["execution"]].sendings.append(sending)
        # The service was killed while it sent these: the product may have taken them.
        for execution_id, unfinished in open_sendings.items():
            sendings = [Sending(began, None, None, None) for began in unfinished]
            self.executions[execution_id].sendings += sendings
        self.requests.sort()
        self.calls.sort()

    @cached_property
    def by_record(self) -> dict[str, list[Execution]]:
        """The executions that concern a record, by its key, in the order of their requests."""
        found: dict[str, list[Execution]] = {}
        for execution in self.in_order():
            for record_id in execution.record_ids:
                found.setdefault(record_id, []).append(execution)
        return found

    @cached_property
    def by_identity(self) -> dict[str, list[Execution]]:
        """The executions of a query, in the order of their requests."""
        found: dict[str, list[Execution]] = {}
        for execution in self.in_order():
            found.setdefault(execution.identity, []).append(execution)
        return found

    def in_order(self) -> list[Execution]:
        """Return all executions in the order of their requests."""
        return sorted(self.executions.values(), key=lambda one: (one.arrived, one.number))

    def figures_of(self, execution_id: str, record_id: str) -> Any:
        """Return what an execution gave for a record; None if it is none of its records or unknown."""
        execution = self.executions.get(execution_id)
        return None if execution is None else execution.figures.get(record_id)


def execution_ids_in(data: Any) -> set[str]:
    """Return the ids of the executions that rows or points are stamped with; "" for one without a stamp."""
    items: Iterable[Any]
    if isinstance(data, list):
        items = data
    elif isinstance(data, Mapping) and "list" in data:
        items = data["list"]
    elif isinstance(data, Mapping):
        items = [one for value in data.values() if isinstance(value, list) for one in value] or [data]
    else:
        return {""}
    return {one.get("_execution", "") if isinstance(one, Mapping) else "" for one in items}


def record_id_of(query: DataQuery, point: Mapping[str, Any]) -> str:
    """Return the key of the record of a trend's point."""
    return query.record_id(parse_period(str(point["timest"]), query.granularity))


def _lines(path: Path) -> Iterator[dict[str, Any]]:
    """Yield the lines of the journal; a broken one can only be the last one of a killed service."""
    if not path.exists():
        return
    for line in path.read_text("utf-8").splitlines():
        try:
            yield json.loads(line)
        except ValueError:
            continue
