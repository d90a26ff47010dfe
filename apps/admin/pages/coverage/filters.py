"""What the coverage page shows: the data set, the periods and the categories, from the query parameters."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import date
from typing import Any

from django.urls import reverse
from django.utils.http import urlencode
from django.utils.translation import gettext as _

from apps.admin.pages.inputs.categories import CategoryPicker
from apps.admin.pages.inputs.choices import read_action, with_value
from apps.admin.pages.inputs.faults import texts_of
from apps.admin.pages.inputs.periods import (
    PeriodControl,
    control_of,
    converted_range,
    default_start,
    read_granularity,
    script_facts,
    shortened,
)
from apps.categories.selectors import NamedCategory, check_categories, find_named, list_named_children
from apps.core import market_clock
from apps.core.errors import Faults, InvalidInput
from apps.core.periods import (
    Granularity,
    Period,
    PeriodError,
    count_periods,
    parse_bound,
    parse_range,
    previous_closed_period,
)
from apps.core.printable import facts_text
from apps.core.time_texts import period_text
from apps.mengla.choices import GRANULARITIES, Action
from apps.mengla.monitoring.coverage import Coverage, begun_range, coverage
from apps.mengla.runs.collect import Selection

MAX_PERIODS = {Granularity.DAY: 366, Granularity.MONTH: 120, Granularity.QUARTER: 40, Granularity.YEAR: 20}
MAX_CATEGORIES = 500  # Django accepts at most 1000 fields in a form
# Up to this many cells the page stays fast in a browser.
MAX_SHOWN_CELLS = 40_000


@dataclass(frozen=True, slots=True)
class Filters:
    """A range of periods of one data set, or of all; for level 1, or one category and its children.

    ``notes`` say which periods were converted from another granularity.
    """

    action: Action | None
    start: Period
    end: Period
    parent: NamedCategory | None = None
    notes: tuple[str, ...] = ()

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
            names.append(self.parent.own_name)
        return facts_text([*map(str, names), period_text(self.start, self.end)])

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


def read_filters(given: Mapping[str, str], *, today: date, converts: bool = False) -> Filters:
    """Read the filters from the query parameters; a missing one takes its default.

    :param converts: accept periods of another granularity, for a page that only looks.
    :raises InvalidInput: when one is not valid, or the range has too many periods.
    """
    action, faults = None, Faults()
    with faults.of("action"):
        action = read_action(given["action"]) if given.get("action") else None
    with faults.of("parent"):
        parent = read_parent(given)
    with faults.of("granularity"):
        texts = {name: given.get(name, "").strip() for name in ("from", "to")}
        granularity = read_granularity(given.get("granularity") or Granularity.MONTH.value, texts, faults)
        notes: tuple[str, ...] = ()
        if converts:
            texts, notes = converted_range(texts, granularity, today=today)
        with faults.of("from"):
            start, end = _read_range(texts, granularity, today, is_shortened=bool(notes))
    faults.check()
    return Filters(action, start, end, parent, notes)


def _read_range(
    given: Mapping[str, str], granularity: Granularity, today: date, *, is_shortened: bool
) -> tuple[Period, Period]:
    last = given.get("to") or previous_closed_period(today, granularity).key
    # The default start depends on the end: if that is not valid, it alone is told.
    first = given.get("from") or _default_start(last, granularity).key
    start, end = parse_range(first, last, granularity, names=("from", "to"))
    if is_shortened:
        start = shortened(start, end, limit=MAX_PERIODS[granularity])
    if (count := count_periods(start, end)) > MAX_PERIODS[granularity]:
        text = _("The range has %(count)d periods; the page shows at most %(limit)d.")
        raise InvalidInput(text % {"count": count, "limit": MAX_PERIODS[granularity]})
    return start, end


def form_of(
    given: Mapping[str, str], filters: Filters | None, faults: Mapping[str, list[str]] | None = None
) -> dict[str, Any]:
    """Return the form: its choices and values, as they were given if they could not be read.

    ``faults`` are the messages by the names of the fields.
    """
    values = filters.parameters() if filters else given
    told = texts_of(faults or {}, "action", "parent", "granularity")
    action, granularity = values.get("action", ""), values.get("granularity") or Granularity.MONTH.value
    return {
        "action": action,
        "actions": with_value(Action.choices, action, action),
        "parent": CategoryPicker(
            "parent",
            _("Category"),
            values.get("parent", ""),
            fault=told.get("parent", ""),
            firsts=(("", _("All level-1 categories")),),
        ),
        "granularity": granularity,
        "granularities": with_value(GRANULARITIES, granularity, granularity),
        "periods": period_controls(given, filters, granularity, faults or {}),
        "script": script_facts(market_clock.today(), limits=MAX_PERIODS),
        "faults": told,
    }


def period_controls(
    given: Mapping[str, str],
    filters: Filters | None,
    granularity: str,
    faults: Mapping[str, list[str]],
    *,
    form: str = "",
) -> list[PeriodControl]:
    """Return the controls of the range, as it was read or else given; ``form`` is the id of their form."""
    length = Granularity(granularity) if granularity in list(Granularity) else Granularity.MONTH
    ends = {"from": filters.start.dashed, "to": filters.end.dashed} if filters else given
    texts = (("from", _("From"), _("Default length")), ("to", _("To"), _("Latest complete")))
    told, today = texts_of(faults, "from", "to"), market_clock.today()
    controls = [
        control_of(
            name, label, ends.get(name, ""), length, today=today, blank=blank, fault=told.get(name, "")
        )
        for name, label, blank in texts
    ]
    return [replace(one, form=form) for one in controls]


def read_begun_filters(given: Mapping[str, str], *, today: date) -> Filters:
    """Read the filters of the map and the overview, which leave out the periods that have not begun.

    Periods of another granularity are converted.

    :raises InvalidInput: as :func:`read_filters` does, and when the range has not begun at all.
    """
    filters = read_filters(given, today=today, converts=True)
    _start, end = begun_range(filters.start, filters.end, today, names=("from", "to"))
    return replace(filters, end=end)


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
    check_categories(chosen, field="category")
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
    try:
        return default_start(parse_bound(last, granularity, is_end=True))
    except PeriodError as error:
        raise PeriodError(error.message, fields={"to": [error.message]}) from error
