"""The heat map of the coverage page: its filters, and its cells as compact HTML."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date

from django.utils.html import escape
from django.utils.safestring import SafeString, mark_safe
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from apps.categories.selectors import (
    NamedCategory,
    category_exists,
    find_named,
    ids_with_children,
    list_named_children,
)
from apps.core.errors import InvalidInput
from apps.core.periods import (
    Granularity,
    Period,
    count_periods,
    parse_bound,
    parse_granularity,
    parse_range,
    previous_closed_period,
)
from apps.mengla.choices import Action
from apps.mengla.monitoring.coverage import Cell, CellState, Totals, count_cells, coverage
from apps.mengla.runs.collect import Selection

DEFAULT_PERIODS = {Granularity.DAY: 30, Granularity.MONTH: 12, Granularity.QUARTER: 8, Granularity.YEAR: 5}
MAX_PERIODS = {Granularity.DAY: 366, Granularity.MONTH: 120, Granularity.QUARTER: 40, Granularity.YEAR: 20}
MAX_CATEGORIES = 500  # Django accepts at most 1000 fields in a form
# Up to this many cells the page stays fast in a browser.
MAX_SHOWN_CELLS = 40_000
# Each cell shows the letter of its state, so that the map can be read without colours.
MARKS = {
    "P": gettext_lazy("present"),
    "S": gettext_lazy("present, stale"),
    "V": gettext_lazy("provisional"),
    "D": gettext_lazy("provisional, due"),
    "E": gettext_lazy("empty"),
    "M": gettext_lazy("missing"),
    "F": gettext_lazy("being collected"),
}
_LETTERS = {"M": "·"}
_CELLS = {mark: f'<td class="{mark}">{_LETTERS.get(mark, mark)}</td>' for mark in MARKS}


@dataclass(frozen=True, slots=True)
class Filters:
    """The filters: a data set over a range of periods, for level 1 or the children of one category."""

    action: Action
    start: Period
    end: Period
    parent: NamedCategory | None = None

    @property
    def granularity(self) -> Granularity:
        """The length of the periods."""
        return self.start.granularity

    def parameters(self, **changes: str) -> dict[str, str]:
        """Return the filters as query parameters with the changes; a change to "" removes one."""
        mine = {
            "action": self.action.value,
            "granularity": self.granularity.value,
            "from": self.start.key,
            "to": self.end.key,
            "parent": self.parent.cat_id if self.parent else "",
        }
        return {name: value for name, value in (mine | changes).items() if value}


@dataclass(frozen=True, slots=True)
class Row:
    """One category with its cells, first period to last."""

    category: NamedCategory
    has_children: bool
    cells: SafeString
    totals: Totals


@dataclass(frozen=True, slots=True)
class Matrix:
    """The heat map."""

    heads: SafeString
    rows: list[Row]
    totals: Totals
    periods: Sequence[Period]


def read_filters(given: Mapping[str, str], *, today: date) -> Filters:
    """Read the filters from the query parameters; a missing one takes its default.

    :raises InvalidInput: when one is not valid, or the range has too many periods.
    """
    granularity = parse_granularity(given.get("granularity") or Granularity.MONTH.value)
    newest = previous_closed_period(today, granularity)
    last = given.get("to") or newest.key
    first = given.get("from") or _default_start(last, granularity).key
    start, end = parse_range(first, last, granularity)
    if (count := count_periods(start, end)) > MAX_PERIODS[granularity]:
        text = _("The range has %(count)d periods; the page shows at most %(limit)d.")
        raise InvalidInput(text % {"count": count, "limit": MAX_PERIODS[granularity]})
    return Filters(read_action(given.get("action") or Action.HOT.value), start, end, read_parent(given))


def read_action(text: str) -> Action:
    """Read the data set.

    :raises InvalidInput: when there is no such data set.
    """
    if text not in Action.values:
        raise InvalidInput(_("There is no such data set. Use one of: %s.") % ", ".join(Action.values))
    return Action(text)


def read_parent(given: Mapping[str, str]) -> NamedCategory | None:
    """Read the category whose children are shown; None for level 1.

    :raises InvalidInput: when there is no such category.
    """
    text = given.get("parent", "")
    if not text:
        return None
    parent = find_named(text)
    if parent is None:
        raise InvalidInput(_("There is no such category."))
    return parent


def read_categories(texts: Iterable[str]) -> tuple[str, ...]:
    """Read the ids of chosen categories.

    :raises InvalidInput: when none is chosen, too many are, or one does not exist.
    """
    chosen = tuple(dict.fromkeys(texts))
    if not chosen:
        raise InvalidInput(_("Choose at least one category."))
    if len(chosen) > MAX_CATEGORIES:
        raise InvalidInput(_("Choose at most %d categories.") % MAX_CATEGORIES)
    if any(not category_exists(cat_id) for cat_id in chosen):
        raise InvalidInput(_("There is no such category."))
    return chosen


def read_matrix(filters: Filters) -> Matrix:
    """Read the heat map.

    :raises InvalidInput: when it would have too many cells.
    """
    categories = list_named_children(filters.parent.cat_id if filters.parent else "")
    if filters.parent is not None:
        categories = [filters.parent, *categories]
    cell_count = len(categories) * count_periods(filters.start, filters.end)
    if cell_count > MAX_SHOWN_CELLS:
        text = _("The range has %(count)d cells; the page shows at most %(limit)d. Choose fewer periods.")
        raise InvalidInput(text % {"count": cell_count, "limit": MAX_SHOWN_CELLS})
    if not categories:
        return Matrix(mark_safe(""), [], count_cells([]), ())
    cat_ids = tuple(category.cat_id for category in categories)
    found = coverage(
        start=filters.start, end=filters.end, selection=Selection(cat_ids=cat_ids, actions=(filters.action,))
    )
    opened = filters.parent.cat_id if filters.parent else None
    with_children = ids_with_children(cat_ids) - {opened}
    rows = [
        Row(category, category.cat_id in with_children, cells_html(cells), count_cells(cells))
        for category, (_action, _cat_id, cells) in zip(categories, found.rows(), strict=True)
    ]
    return Matrix(heads_html(found.periods), rows, found.totals(), found.periods)


def mark_of(cell: Cell) -> str:
    """Return the letter of a cell's state. A collection under way takes precedence over what is stored."""
    if cell.is_in_flight:
        return "F"
    if cell.state is CellState.PRESENT:
        if cell.is_provisional:
            return "D" if cell.is_due else "V"
        return "S" if cell.is_stale else "P"
    return "E" if cell.state is CellState.EMPTY else "M"


def cells_html(cells: Iterable[Cell]) -> SafeString:
    """Return the cells of a row as HTML. No template is used, because a page may have thousands of cells."""
    return mark_safe("".join(_CELLS[mark_of(cell)] for cell in cells))  # noqa: S308 - constants only


def heads_html(periods: Iterable[Period]) -> SafeString:
    """Return the column headings as HTML."""
    heads = "".join(
        f'<th scope="col" data-period="{escape(period.key)}"><span>{escape(period.dashed)}</span></th>'
        for period in periods
    )
    return mark_safe(heads)  # noqa: S308 - everything variable is escaped


def _default_start(last: str, granularity: Granularity) -> Period:
    return parse_bound(last, granularity, is_end=True).shift(1 - DEFAULT_PERIODS[granularity])
