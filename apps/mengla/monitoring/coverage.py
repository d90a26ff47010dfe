"""Which figures are stored, period by period, and what is being done about the others.

Present, empty or missing; stale, provisional; queued, in flight, failed.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from enum import StrEnum

from django.utils.translation import gettext as _

from apps.categories.selectors import check_categories, list_level1_ids
from apps.core import market_clock
from apps.core.batches import batches
from apps.core.errors import InvalidInput
from apps.core.periods import (
    Granularity,
    Period,
    check_begun,
    check_range,
    count_periods,
    period_of,
    period_range,
)
from apps.core.storage.mongo import utc_now
from apps.mengla.choices import Action
from apps.mengla.monitoring.cell_collections import (
    Key,
    UnderWay,
    find_failed,
    find_failed_trends,
    find_trends_under_way,
    find_under_way,
)
from apps.mengla.queries.data_query import DataQuery
from apps.mengla.queries.plans import ALL_ACTIONS
from apps.mengla.runs.collect import Selection
from apps.mengla.store.selectors import record_states

MAX_CELLS = 200_000
_BATCH_CELLS = 5000


class CellState(StrEnum):
    """What is stored of one period."""

    PRESENT = "present"
    EMPTY = "empty"
    MISSING = "missing"


class Mark(StrEnum):
    """How a cell is shown: what is being done about it, else what is stored."""

    PRESENT = "present"
    STALE = "stale"
    PROVISIONAL = "provisional"
    DUE = "due"
    EMPTY = "empty"
    MISSING = "missing"
    FAILED = "failed"
    QUEUED = "queued"
    IN_FLIGHT = "in_flight"


@dataclass(frozen=True, slots=True)
class Cell:
    """The state of one action, category and period."""

    state: CellState = CellState.MISSING
    is_stale: bool = False  # stored, and due for a refresh
    is_provisional: bool = False  # stored, but collected before the period was over
    is_due: bool = False  # provisional although the period is over: fills and gap checks collect it
    is_gap: bool = True  # missing, due, or empty and stale: what a fill collects
    is_queued: bool = False  # a collection of it is pending, and none is dispatched
    is_dispatched: bool = False  # the collection service is working on a collection of it
    is_failed: bool = False  # missing or stale, nothing is under way, and the newest collection of it failed

    @property
    def is_under_way(self) -> bool:
        """Whether a collection of it is pending or dispatched."""
        return self.is_queued or self.is_dispatched

    @property
    def may_have_failed(self) -> bool:
        """Whether it matters how the newest collection of it ended."""
        return not self.is_under_way and (self.state is CellState.MISSING or self.is_stale)

    @property
    def mark(self) -> Mark:
        """How it is shown."""
        if self.is_under_way:
            return Mark.IN_FLIGHT if self.is_dispatched else Mark.QUEUED
        if self.is_failed:
            return Mark.FAILED
        if self.state is not CellState.PRESENT:
            return Mark(self.state.value)
        if self.is_provisional:
            return Mark.DUE if self.is_due else Mark.PROVISIONAL
        return Mark.STALE if self.is_stale else Mark.PRESENT


@dataclass(frozen=True, slots=True)
class Totals:
    """How many cells are in each state.

    Every cell is ``present``, ``empty`` or ``missing``. The other numbers count some of them again.
    """

    present: int
    empty: int
    missing: int
    stale: int
    in_flight: int  # queued or dispatched
    provisional: int = 0
    due: int = 0  # provisional although the period is over
    gaps: int = 0  # what a fill would collect; those under way are left out
    failed: int = 0
    queued: int = 0
    dispatched: int = 0

    @property
    def all(self) -> int:
        """How many cells there are."""
        return self.present + self.empty + self.missing

    @property
    def percent(self) -> int:
        """How many of a hundred cells are stored, rounded so that only all are 100 and only none are 0."""
        stored = self.present + self.empty
        return max(stored * 100 // self.all, 1) if stored else 0


@dataclass(frozen=True, slots=True)
class Coverage:
    """The cells of some actions, categories ("" for all together) and periods, first to last."""

    granularity: Granularity
    actions: tuple[Action, ...]
    cat_ids: tuple[str, ...]
    periods: tuple[Period, ...]
    cells: Mapping[Key, Cell]  # by action, category, period key; absent: missing
    # How many collections are under way for them. That of a trend has a cell for each of its periods.
    queued_collections: int = 0
    dispatched_collections: int = 0

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

    def failed_periods(self) -> dict[str, list[str]]:
        """Return the keys of the periods with a failed cell, first to last, by action; none: it is absent."""
        failed = {(action, key) for (action, _cat_id, key), cell in self.cells.items() if cell.is_failed}
        by_action = {
            action.value: [period.key for period in self.periods if (action.value, period.key) in failed]
            for action in self.actions
        }
        return {action: keys for action, keys in by_action.items() if keys}

    def is_under_way(self, action: Action) -> bool:
        """Whether a collection of the action is queued or dispatched."""
        return any(cell.is_under_way for (name, *_rest), cell in self.cells.items() if name == action)

    def totals(self) -> Totals:
        """Count all cells."""
        return count_cells(cell for _action, _cat_id, cells in self.rows() for cell in cells)

    def totals_of(self, action: Action, period: Period) -> Totals:
        """Count the cells of one action and period."""
        return count_cells(self.cell(action.value, cat_id, period.key) for cat_id in self.cat_ids)


_MISSING = Cell()
_WORST_FIRST = (CellState.MISSING, CellState.PRESENT, CellState.EMPTY)


def count_cells(cells: Iterable[Cell]) -> Totals:
    """Count these cells."""
    counts = Counter(cells)  # few of them differ

    def count(is_counted: Callable[[Cell], bool]) -> int:
        return sum(number for cell, number in counts.items() if is_counted(cell))

    return Totals(
        present=count(lambda cell: cell.state is CellState.PRESENT),
        empty=count(lambda cell: cell.state is CellState.EMPTY),
        missing=count(lambda cell: cell.state is CellState.MISSING),
        stale=count(lambda cell: cell.is_stale),
        provisional=count(lambda cell: cell.is_provisional),
        due=count(lambda cell: cell.is_due),
        in_flight=count(lambda cell: cell.is_under_way),
        gaps=count(lambda cell: cell.is_gap and not cell.is_under_way),
        failed=count(lambda cell: cell.is_failed),
        queued=count(lambda cell: cell.is_queued),
        dispatched=count(lambda cell: cell.is_dispatched),
    )


def count_marks(cells: Iterable[Cell]) -> dict[Mark, int]:
    """Count these cells by how they are shown; each is counted once."""
    counts = dict.fromkeys(Mark, 0)
    for cell, number in Counter(cells).items():
        counts[cell.mark] += number
    return counts


def coverage(
    *,
    start: Period,
    end: Period,
    selection: Selection | None = None,
    names: tuple[str, str] | None = None,
) -> Coverage:
    """Look up what is stored of the selected figures; by default every action and level-1 category.

    Only figures without a product and extra parameters are counted: those that runs collect.

    Periods that have not begun are left out: they cannot be collected, so they are no gaps.

    :param names: of the two inputs of the range, for the error.
    :raises InvalidInput: for unknown categories, a range that is reversed or has not begun at all, or more
        than :data:`MAX_CELLS` cells.
    """
    selection = selection or Selection()
    actions = selection.actions or ALL_ACTIONS
    check_categories(selection.cat_ids, field="category")
    cat_ids = tuple(dict.fromkeys(selection.cat_ids)) or tuple(list_level1_ids())
    _check_size(count_periods(start, end) * len(actions) * len(cat_ids))
    start, end = begun_range(start, end, market_clock.today(), names=names)
    periods = tuple(period_range(start, end))
    found = _Lookup()
    for batch in batches(_cells(actions, cat_ids, periods), _BATCH_CELLS):
        found.add_cells(dict(batch))
    if Action.INDUSTRY_TREND in actions:
        found.add_trends(cat_ids, periods)
    return Coverage(
        start.granularity,
        tuple(actions),
        cat_ids,
        periods,
        found.cells,
        queued_collections=found.queued,
        dispatched_collections=found.dispatched,
    )


def begun_range(
    start: Period, end: Period, today: date, *, names: tuple[str, str] | None = None
) -> tuple[Period, Period]:
    """Return the part of a range that has begun: it ends with the current period at the latest.

    :raises PeriodError: for a reversed range, and when the first period has not begun.
    """
    check_range(start, end, names=names)
    check_begun(start, today, name=names and names[0])
    return start, min(end, period_of(today, start.granularity))


def _cells(
    actions: Iterable[Action], cat_ids: Iterable[str], periods: Sequence[Period]
) -> Iterator[tuple[str, Key]]:
    """Yield the cells by the keys of their records."""
    first = periods[0]
    for action in actions:
        for cat_id in cat_ids:
            # A page may have 40,000 cells, and their keys differ in the period alone.
            head = DataQuery(action, cat_id, first, first).record_id(first).removesuffix(first.key)
            for period in periods:
                yield head + period.key, (action.value, cat_id, period.key)


class _Lookup:
    """The cells as they are found, and how many collections are under way for them."""

    def __init__(self) -> None:
        self.cells: dict[Key, Cell] = {}
        self.queued = 0
        self.dispatched = 0

    def add_cells(self, key_of: Mapping[str, Key]) -> None:
        """Look up cells, which are given by the keys of their records."""
        for record_id, state in record_states(list(key_of), now=utc_now()).items():
            self.cells[key_of[record_id]] = Cell(
                CellState.EMPTY if state.is_empty else CellState.PRESENT,
                is_stale=not state.is_fresh,
                is_provisional=state.is_provisional,
                is_due=state.is_due,
                is_gap=state.is_gap,
            )
        # The identity of the collection of a single period is the key of its record.
        singles = {name: key for name, key in key_of.items() if key[0] != Action.INDUSTRY_TREND}
        self._mark_under_way(find_under_way(singles))
        doubtful = {name: key for name, key in singles.items() if self._cell(key).may_have_failed}
        self._mark_failed(find_failed(doubtful))

    def add_trends(self, cat_ids: Iterable[str], periods: Sequence[Period]) -> None:
        """Look up the collections of trends, after their cells."""
        self._mark_under_way(find_trends_under_way(cat_ids, periods))
        doubtful = [
            cat_id
            for cat_id in cat_ids
            if any(
                self._cell((Action.INDUSTRY_TREND.value, cat_id, period.key)).may_have_failed
                for period in periods
            )
        ]
        self._mark_failed(find_failed_trends(doubtful, periods))

    def _cell(self, key: Key) -> Cell:
        return self.cells.get(key, _MISSING)

    def _mark_under_way(self, collections: Iterable[UnderWay]) -> None:
        for one in collections:
            for key in one.keys:
                cell = self._cell(key)
                is_dispatched = one.is_dispatched or cell.is_dispatched
                self.cells[key] = replace(cell, is_dispatched=is_dispatched, is_queued=not is_dispatched)
            self.dispatched += one.is_dispatched
            self.queued += not one.is_dispatched

    def _mark_failed(self, keys: Iterable[Key]) -> None:
        for key in keys:
            if self._cell(key).may_have_failed:
                self.cells[key] = replace(self._cell(key), is_failed=True)


def _check_size(count: int) -> None:
    if count > MAX_CELLS:
        text = _(
            "That is %(count)d cells; at most %(limit)d are allowed. Select fewer periods or categories."
        )
        raise InvalidInput(text % {"count": count, "limit": MAX_CELLS})
