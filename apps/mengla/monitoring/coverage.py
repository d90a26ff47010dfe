"""Which figures are stored, period by period: present, empty or missing, stale, provisional, in flight."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

from django.utils.translation import gettext as _

from apps.categories.selectors import check_categories, list_level1_ids
from apps.core.batches import batches
from apps.core.errors import InvalidInput
from apps.core.periods import Granularity, Period, count_periods, period_range
from apps.core.storage.mongo import collection_of, utc_now
from apps.mengla.choices import Action
from apps.mengla.models import Collection
from apps.mengla.queries.data_query import DataQuery
from apps.mengla.queries.plans import ALL_ACTIONS
from apps.mengla.runs.collect import Selection
from apps.mengla.store.selectors import record_states

MAX_CELLS = 200_000
_BATCH_RECORDS = 5000
_BATCH_TRENDS = 200


class CellState(StrEnum):
    """What is stored of one period."""

    PRESENT = "present"
    EMPTY = "empty"
    MISSING = "missing"


@dataclass(frozen=True, slots=True)
class Cell:
    """The state of one action, category and period."""

    state: CellState = CellState.MISSING
    is_stale: bool = False  # stored, and due for a refresh
    is_provisional: bool = False  # stored, but collected before the period was over
    is_due: bool = False  # provisional although the period is over: fills and gap checks collect it
    is_in_flight: bool = False  # a collection of it is pending or dispatched


@dataclass(frozen=True, slots=True)
class Totals:
    """How many cells are in each state.

    Every cell is ``present``, ``empty`` or ``missing``. The other numbers count some of them again.
    """

    present: int
    empty: int
    missing: int
    stale: int
    in_flight: int
    provisional: int = 0
    due: int = 0  # provisional although the period is over

    @property
    def all(self) -> int:
        """How many cells there are."""
        return self.present + self.empty + self.missing


@dataclass(frozen=True, slots=True)
class Coverage:
    """The cells of some actions, categories ("" for all together) and periods, first to last."""

    granularity: Granularity
    actions: tuple[Action, ...]
    cat_ids: tuple[str, ...]
    periods: tuple[Period, ...]
    cells: Mapping[tuple[str, str, str], Cell]  # by action, category, period key; absent: missing

    def cell(self, action: str, cat_id: str, period_key: str) -> Cell:
        """Return one cell."""
        return self.cells.get((action, cat_id, period_key), _MISSING)

    def rows(self) -> Iterator[tuple[Action, str, list[Cell]]]:
        """Yield each action and category with its cells, first period to last."""
        for action in self.actions:
            for cat_id in self.cat_ids:
                yield action, cat_id, [self.cell(action, cat_id, period.key) for period in self.periods]

    def combined(self) -> dict[str, dict[str, CellState]]:
        """Return the state of all categories together, by action and period key.

        It is missing while the figures of any category are missing, and empty when all categories are empty.
        """
        states: dict[str, dict[str, CellState]] = {action.value: {} for action in self.actions}
        for period in self.periods:
            for action in self.actions:
                found = {self.cell(action, cat_id, period.key).state for cat_id in self.cat_ids}
                states[action][period.key] = next(state for state in _WORST_FIRST if state in found)
        return states

    def totals(self) -> Totals:
        """Count all cells."""
        return count_cells(cell for _action, _cat_id, cells in self.rows() for cell in cells)


_MISSING = Cell()
_WORST_FIRST = (CellState.MISSING, CellState.PRESENT, CellState.EMPTY)


def count_cells(cells: Iterable[Cell]) -> Totals:
    """Count these cells."""
    listed = list(cells)
    by_state = dict.fromkeys(CellState, 0)
    for cell in listed:
        by_state[cell.state] += 1
    return Totals(
        present=by_state[CellState.PRESENT],
        empty=by_state[CellState.EMPTY],
        missing=by_state[CellState.MISSING],
        stale=sum(cell.is_stale for cell in listed),
        provisional=sum(cell.is_provisional for cell in listed),
        due=sum(cell.is_due for cell in listed),
        in_flight=sum(cell.is_in_flight for cell in listed),
    )


def coverage(*, start: Period, end: Period, selection: Selection | None = None) -> Coverage:
    """Look up what is stored of the selected figures; by default every action and level-1 category.

    Only figures without a product and extra parameters are counted: those that runs collect.

    :raises InvalidInput: for unknown categories, a reversed range, or more than :data:`MAX_CELLS` cells.
    """
    selection = selection or Selection()
    actions = selection.actions or ALL_ACTIONS
    check_categories(selection.cat_ids, field="category")
    cat_ids = tuple(dict.fromkeys(selection.cat_ids)) or tuple(list_level1_ids())
    _check_size(count_periods(start, end) * len(actions) * len(cat_ids))
    periods = tuple(period_range(start, end))
    found = _stored(actions, cat_ids, periods)
    for key in _in_flight(actions, cat_ids, periods):
        found[key] = replace(found.get(key, _MISSING), is_in_flight=True)
    return Coverage(start.granularity, tuple(actions), cat_ids, periods, found)


Key = tuple[str, str, str]


def _stored(actions: Sequence[Action], cat_ids: Sequence[str], periods: Sequence[Period]) -> dict[Key, Cell]:
    now = utc_now()
    found: dict[Key, Cell] = {}
    for batch in batches(_singles(actions, cat_ids, periods), _BATCH_RECORDS):
        key_of = {query.record_id(query.start): _key(query) for query in batch}
        for record_id, state in record_states(list(key_of), now=now).items():
            found[key_of[record_id]] = Cell(
                CellState.EMPTY if state.is_empty else CellState.PRESENT,
                is_stale=not state.is_fresh,
                is_provisional=state.is_provisional,
                is_due=state.is_due,
            )
    return found


def _in_flight(actions: Sequence[Action], cat_ids: Sequence[str], periods: Sequence[Period]) -> Iterator[Key]:
    singles = [action for action in actions if action != Action.INDUSTRY_TREND]
    for batch in batches(_singles(singles, cat_ids, periods), _BATCH_RECORDS):
        key_of = {query.identity: _key(query) for query in batch}
        active = {"active_key": {"$in": list(key_of), "$type": "string"}}
        for document in collection_of(Collection).find(active, {"_id": 0, "active_key": 1}):
            yield key_of[document["active_key"]]
    if Action.INDUSTRY_TREND in actions:
        for cat_batch in batches(cat_ids, _BATCH_TRENDS):
            yield from _trends_in_flight(cat_batch, periods)


def _trends_in_flight(cat_ids: Sequence[str], periods: Sequence[Period]) -> Iterator[Key]:
    """Yield the cells of all trend ranges in flight; a range may begin and end at any period."""
    trend = Action.INDUSTRY_TREND.value
    group_of = {
        DataQuery(Action.INDUSTRY_TREND, cat_id, periods[0], periods[0]).cache_group: cat_id
        for cat_id in cat_ids
    }
    ranges = [
        {"active_key": {"$gte": f"{group}:", "$lt": f"{group};", "$type": "string"}} for group in group_of
    ]
    for document in collection_of(Collection).find({"$or": ranges}, {"_id": 0, "active_key": 1}):
        group, _colon, range_key = document["active_key"].rpartition(":")
        if group not in group_of:
            continue  # of a product, or with extra parameters
        first, _tilde, last = range_key.partition("~")
        # Within one granularity the keys sort as the periods do.
        for period in periods:
            if first <= period.key <= last:
                yield trend, group_of[group], period.key


def _singles(
    actions: Iterable[Action], cat_ids: Sequence[str], periods: Sequence[Period]
) -> Iterator[DataQuery]:
    for action in actions:
        for cat_id in cat_ids:
            for period in periods:
                yield DataQuery(action, cat_id, period, period)


def _key(query: DataQuery) -> Key:
    return query.action.value, query.cat_id, query.start.key


def _check_size(count: int) -> None:
    if count > MAX_CELLS:
        text = _(
            "That is %(count)d cells; at most %(limit)d are allowed. Select fewer periods or categories."
        )
        raise InvalidInput(text % {"count": count, "limit": MAX_CELLS})
