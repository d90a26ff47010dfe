"""What a reader chooses beside the query: the measure, the rows, and what the figures are compared with."""

from __future__ import annotations

import calendar
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import date
from enum import StrEnum

from django.http import QueryDict
from django.utils.translation import gettext as _

from apps.categories.selectors import resolve_categories
from apps.core.errors import Faults, InvalidInput
from apps.core.periods import Granularity, Period, PeriodError, period_of
from apps.core.printable import list_text
from apps.mengla.choices import ALL_CATEGORIES, Action
from apps.mengla.queries.data_query import DataQuery

SINGLE_NAMES = ("compare", "measure", "top")
LIST_NAMES = ("also", "brand")
TOPS = ("20", "50", "all")
MAX_ALSO = 5
MAX_BRANDS = 6
MAX_NAME = 500
_PERIODS_OF_A_YEAR = {Granularity.MONTH: 12, Granularity.QUARTER: 4, Granularity.YEAR: 1}
_LEAP_DAY = (2, 29)


class Compare(StrEnum):
    """The figures that those of the query are compared with."""

    PREVIOUS = "previous"
    YEAR = "year"


@dataclass(frozen=True, slots=True)
class Options:
    """The choices of a reader; ``also`` are ids of categories ("" for all), ``brands`` names of rows."""

    compare: Compare | None = None
    measure: str = ""
    top: str = TOPS[0]
    also: tuple[str, ...] = ()
    brands: tuple[str, ...] = ()

    @property
    def row_limit(self) -> int | None:
        """How many rows a chart shows, None for all."""
        return None if self.top == "all" else int(self.top)

    def parameters(self, *without: str) -> list[tuple[str, str]]:
        """Return the choices as parameters of the page, without those that are the default or named."""
        single = {
            "compare": str(self.compare or ""),
            "measure": self.measure,
            "top": "" if self.top == TOPS[0] else self.top,
        }
        given = [(name, value) for name, value in single.items() if value]
        given += [("also", cat_id or ALL_CATEGORIES) for cat_id in self.also]
        given += [("brand", brand) for brand in self.brands]
        return [(name, value) for name, value in given if name not in without]


def read_options(given: QueryDict) -> Options:
    """Read the choices of a reader; what depends on the query or the figures is checked later.

    A category is given by id or name, ``all`` stands for all of them. Blank and repeated ones are left out.

    :raises InvalidInput: which names every wrong parameter.
    """
    faults = Faults()
    with faults.of("compare"):
        compare = _compare(given.get("compare", ""))
    with faults.of("measure"):
        measure = _name(given.get("measure", ""))
    with faults.of("top"):
        top = _one_of(given.get("top", "") or TOPS[0], TOPS)
    with faults.of("also"):
        also = _categories(given.getlist("also"))
    with faults.of("brand"):
        brands = _brands(given.getlist("brand"), given.get("action", ""))
    faults.check()
    return Options(compare, measure, top, also, brands)


def options_for(query: DataQuery, options: Options) -> Options:
    """Return the choices as they are for a query: without the category that is shown anyway.

    :raises InvalidInput: when there are no periods to compare with.
    """
    if options.compare:
        try:
            compared_query(query, options.compare)
        except PeriodError as error:
            raise InvalidInput(error.message, fields={"compare": [error.message]}) from error
    return replace(options, also=tuple(cat_id for cat_id in options.also if cat_id != query.cat_id))


def compared_query(query: DataQuery, compare: Compare) -> DataQuery:
    """Return the query of the periods just before, or of the same periods one year earlier.

    :raises PeriodError: when they are before the first year that can be asked for.
    """
    if compare is Compare.YEAR:
        return query.narrowed(year_before(query.start), year_before(query.end))
    return query.narrowed(query.start.shift(-query.period_count), query.start.previous())


def compared_period(period: Period, query: DataQuery, compare: Compare) -> Period | None:
    """Return the period that one of the query is compared with; a leap day has none in the year before."""
    if compare is Compare.PREVIOUS:
        return period.shift(-query.period_count)
    day = period.first_day
    is_leap_day = period.granularity is Granularity.DAY and (day.month, day.day) == _LEAP_DAY
    return None if is_leap_day else year_before(period)


def year_before(period: Period) -> Period:
    """Return the same period one year earlier; for a leap day the day before it.

    :raises PeriodError: when there is no such period.
    """
    if period.granularity is not Granularity.DAY:
        return period.shift(-_PERIODS_OF_A_YEAR[period.granularity])
    day = period.first_day
    last_of_month = calendar.monthrange(day.year - 1, day.month)[1]
    return period_of(date(day.year - 1, day.month, min(day.day, last_of_month)), Granularity.DAY)


def _compare(text: str) -> Compare | None:
    return Compare(_one_of(text, tuple(Compare))) if text else None


def _one_of(text: str, values: Iterable[str]) -> str:
    if text not in values:
        raise InvalidInput(_("Must be one of: %(names)s.") % {"names": list_text(values)})
    return text


def _name(text: str) -> str:
    if len(text) > MAX_NAME:
        raise InvalidInput(_("This text is too long: at most %(limit)d characters.") % {"limit": MAX_NAME})
    return text


def _categories(texts: Iterable[str]) -> tuple[str, ...]:
    named = list(dict.fromkeys(text.strip() for text in texts if text.strip()))
    _check_count(named, MAX_ALSO)
    others = iter(resolve_categories([text for text in named if text != ALL_CATEGORIES], field="also"))
    cat_ids = ["" if text == ALL_CATEGORIES else next(others) for text in named]
    return tuple(dict.fromkeys(cat_ids))


def _brands(names: Iterable[str], action: str) -> tuple[str, ...]:
    brands = tuple(dict.fromkeys(_name(name) for name in names if name))
    if brands and action != Action.INDUSTRY_VIEW:
        data_set = str(Action.INDUSTRY_VIEW.label)
        raise InvalidInput(_("Only the data set “%(name)s” has brands.") % {"name": data_set})
    _check_count(brands, MAX_BRANDS)
    return brands


def _check_count(values: list[str] | tuple[str, ...], limit: int) -> None:
    if len(values) > limit:
        raise InvalidInput(_("At most %(limit)d are allowed.") % {"limit": limit})
