"""What the coverage page shows: the data set, the periods and the categories, from the query parameters."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date

from django.urls import reverse
from django.utils.http import urlencode
from django.utils.translation import gettext as _

from apps.categories.selectors import NamedCategory, category_exists, find_named, list_named_children
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
from apps.core.stored_messages import list_text
from apps.core.time_texts import period_text
from apps.mengla.choices import Action
from apps.mengla.monitoring.coverage import Coverage, coverage
from apps.mengla.runs.collect import Selection

DEFAULT_PERIODS = {Granularity.DAY: 30, Granularity.MONTH: 12, Granularity.QUARTER: 8, Granularity.YEAR: 5}
MAX_PERIODS = {Granularity.DAY: 366, Granularity.MONTH: 120, Granularity.QUARTER: 40, Granularity.YEAR: 20}
MAX_CATEGORIES = 500  # Django accepts at most 1000 fields in a form
# Up to this many cells the page stays fast in a browser.
MAX_SHOWN_CELLS = 40_000


@dataclass(frozen=True, slots=True)
class Filters:
    """A range of periods of one data set, or of all; for level 1, or one category and its children."""

    action: Action | None
    start: Period
    end: Period
    parent: NamedCategory | None = None

    @property
    def granularity(self) -> Granularity:
        """The length of the periods."""
        return self.start.granularity

    @property
    def actions(self) -> tuple[Action, ...]:
        """The data sets."""
        return (self.action,) if self.action else tuple(Action)

    @property
    def title(self) -> str:
        """What is shown, in words."""
        names = [self.action.label if self.action else _("All data sets")]
        if self.parent:
            names.append(self.parent.name)
        return list_text([*map(str, names), period_text(self.start, self.end)])

    def parameters(self, **changes: str) -> dict[str, str]:
        """Return the filters as query parameters with the changes; a change to "" removes one."""
        mine = {
            "action": self.action.value if self.action else "",
            "granularity": self.granularity.value,
            "from": self.start.key,
            "to": self.end.key,
            "parent": self.parent.cat_id if self.parent else "",
        }
        return {name: value for name, value in (mine | changes).items() if value}

    def address(self, **changes: str) -> str:
        """Return the address of the page with these filters and the changes."""
        return f"{reverse('admin:collector_coverage')}?{urlencode(self.parameters(**changes))}"


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
    action = read_action(given["action"]) if given.get("action") else None
    return Filters(action, start, end, read_parent(given))


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


def shown_categories(filters: Filters) -> list[NamedCategory]:
    """Return the categories that the filters select, in the order of the tree."""
    children = list_named_children(filters.parent.cat_id if filters.parent else "")
    return [filters.parent, *children] if filters.parent else children


def read_coverage(filters: Filters, categories: list[NamedCategory]) -> Coverage:
    """Look up the cells of these categories, of which there must be one at least.

    :raises InvalidInput: when there would be too many cells.
    """
    cell_count = len(categories) * len(filters.actions) * count_periods(filters.start, filters.end)
    if cell_count > MAX_SHOWN_CELLS:
        text = _("The range has %(count)d cells; the page shows at most %(limit)d. Choose fewer periods.")
        raise InvalidInput(text % {"count": cell_count, "limit": MAX_SHOWN_CELLS})
    selection = Selection(tuple(category.cat_id for category in categories), filters.actions)
    return coverage(start=filters.start, end=filters.end, selection=selection)


def _default_start(last: str, granularity: Granularity) -> Period:
    return parse_bound(last, granularity, is_end=True).shift(1 - DEFAULT_PERIODS[granularity])
