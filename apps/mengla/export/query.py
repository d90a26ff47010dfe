"""What an export is asked for: one data set, categories, a range of periods, a format."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum

from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from apps.categories.selectors import check_categories, list_level1_ids
from apps.core import market_clock
from apps.core.errors import Faults, InvalidInput
from apps.core.periods import Granularity, Period, check_begun, parse_range, period_range
from apps.mengla.choices import ALL_CATEGORIES, Action
from apps.mengla.queries.data_query import DataQuery
from apps.mengla.queries.parameters import CATEGORY_ID, MAX_PERIODS

MAX_CATEGORIES = 700


class ExportFormat(StrEnum):
    """The form of an exported file; the value is also the end of its name."""

    NDJSON = "ndjson"
    CSV = "csv"
    XLSX = "xlsx"
    PARQUET = "parquet"


@dataclass(frozen=True, slots=True)
class ExportQuery:
    """The records that an export holds; "" in ``cat_ids`` means all categories taken together."""

    action: Action
    cat_ids: tuple[str, ...]
    start: Period
    end: Period

    @property
    def periods(self) -> list[Period]:
        """The periods, first to last."""
        return period_range(self.start, self.end)

    def record_keys(self) -> Iterator[tuple[str, Period, str]]:
        """Yield category, period and id of every record: categories as they were given, then periods."""
        periods = self.periods
        for cat_id in self.cat_ids:
            query = DataQuery(self.action, cat_id, self.start, self.end)
            for period in periods:
                yield cat_id, period, query.record_id(period)


def build_export_query(
    *,
    action: Action,
    cat_ids: Sequence[str] | None,
    granularity: Granularity | None,
    start: str,
    end: str,
    field: str = "catIds",
) -> ExportQuery:
    """Return the query of an export; without ``cat_ids`` it has every level-1 category.

    :param cat_ids: ids, and ``all`` for all categories taken together.
    :param field: the name of the input with the categories, for errors.
    :raises InvalidInput: with the errors by input: ``field``, ``from`` and ``to``.
    """
    faults = Faults()
    with faults.of(field):
        wanted = _categories(cat_ids, field)
    with faults.of("from"):
        first, last = parse_range(start, end, granularity, names=("from", "to"), limit=MAX_PERIODS)
        check_begun(last, market_clock.today(), name="to")
    faults.check()
    return ExportQuery(action, wanted, first, last)


def split_cat_ids(text: str) -> list[str] | None:
    """Return the ids of a comma-separated list, None for an empty text."""
    return text.split(",") if text else None


def _categories(given: Sequence[str] | None, field: str) -> tuple[str, ...]:
    if given is None:
        wanted = tuple(list_level1_ids())
        if not wanted:
            raise _wrong(field, _("There are no categories yet. Import the category tree first."))
        return wanted
    if len(given) > MAX_CATEGORIES:
        message = ngettext(
            "There may be at most %(limit)d category, and there are %(count)d.",
            "There may be at most %(limit)d categories, and there are %(count)d.",
            MAX_CATEGORIES,
        )
        raise _wrong(field, message % {"limit": MAX_CATEGORIES, "count": len(given)})
    if not all(one == ALL_CATEGORIES or CATEGORY_ID.fullmatch(one) for one in given):
        raise _wrong(field, _("Must be ids of categories, separated by commas, without spaces."))
    if repeated := [one for number, one in enumerate(given) if one in given[:number]]:
        raise _wrong(field, _("Must not name a category twice: %(id)s.") % {"id": repeated[0]})
    wanted = tuple("" if one == ALL_CATEGORIES else one for one in given)
    check_categories(wanted, field=field)
    return wanted


def _wrong(field: str, message: str) -> InvalidInput:
    return InvalidInput(message, fields={field: [message]})
