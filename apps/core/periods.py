"""Granularities and periods: strict parsing, canonical keys, real dates and ranges.

Nothing here reads the clock: "today" is always an argument. Text that is not exactly one of the accepted
forms is refused and never guessed, because a wrong guess would name another period.
"""

from __future__ import annotations

import calendar
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from enum import StrEnum
from functools import partial, total_ordering

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from apps.core.errors import InvalidInput
from apps.core.printable import clauses_text, labelled, list_text, quoted

# No data is older, and a year outside this century is a typing error.
# With four-digit years, the keys of one granularity are in calendar order when sorted as text.
MIN_YEAR, MAX_YEAR = 2000, 2099

MONTHS_PER_QUARTER = 3
MONTHS_PER_YEAR = 12
QUARTERS_PER_YEAR = 4
SHOWN_CHARACTERS = 40


class Granularity(StrEnum):
    """The length of a period."""

    DAY = "day"
    MONTH = "month"
    QUARTER = "quarter"
    YEAR = "year"

    @property
    def label(self) -> str:
        """The name in the current language, for use within a sentence."""
        return _(self.value)


_LABELS = (gettext_lazy("day"), gettext_lazy("month"), gettext_lazy("quarter"), gettext_lazy("year"))
# Other apps add names while they load.
_granularity_by_name = {granularity.value: granularity for granularity in Granularity}

# [0-9] and not \d, which matches the digits of every script.
_CANONICAL_FORMS = {
    Granularity.DAY: re.compile(r"[0-9]{8}"),
    Granularity.MONTH: re.compile(r"[0-9]{6}"),
    Granularity.QUARTER: re.compile(r"[0-9]{4}Q[1-4]"),
    Granularity.YEAR: re.compile(r"[0-9]{4}"),
}
_INPUT_FORMS = {
    Granularity.DAY: re.compile(r"[0-9]{4}(-?)[0-9]{2}\1[0-9]{2}"),
    Granularity.MONTH: re.compile(r"[0-9]{4}-?[0-9]{2}"),
    Granularity.QUARTER: re.compile(r"[0-9]{4}-?[Qq][1-4]"),
    Granularity.YEAR: re.compile(r"[0-9]{4}"),
}
_EXAMPLES = {
    Granularity.DAY: gettext_lazy("2025-06-01 or 20250601"),
    Granularity.MONTH: gettext_lazy("2025-06 or 202506"),
    Granularity.QUARTER: gettext_lazy("2025-Q2 or 2025Q2"),
    Granularity.YEAR: "2025",
}


class PeriodError(InvalidInput):
    """The input is not a period, or not one that is allowed here."""


@total_ordering
@dataclass(frozen=True, slots=True)
class Period:
    """One day, month, quarter or year, named by its canonical key.

    Periods of one granularity are ordered by time; comparing two granularities is a ``TypeError``.
    """

    granularity: Granularity
    key: str

    def __post_init__(self) -> None:
        if not _is_canonical(self.key, self.granularity):
            raise PeriodError(_unreadable(self.key, self.granularity))

    def __lt__(self, other: object) -> bool:
        if not isinstance(other, Period) or other.granularity != self.granularity:
            return NotImplemented
        return self.key < other.key

    def __str__(self) -> str:
        return self.key

    @property
    def first_day(self) -> date:
        """The first calendar day of the period."""
        return _first_day(self.key, self.granularity)

    @property
    def last_day(self) -> date:
        """The last calendar day of the period."""
        first = self.first_day
        match self.granularity:
            case Granularity.DAY:
                return first
            case Granularity.MONTH:
                month = first.month
            case Granularity.QUARTER:
                month = first.month + MONTHS_PER_QUARTER - 1
            case Granularity.YEAR:
                month = MONTHS_PER_YEAR
        return date(first.year, month, calendar.monthrange(first.year, month)[1])

    @property
    def dashed(self) -> str:
        """The key with dashes, such as ``2025-06-01`` or ``2025-Q2``."""
        return "-".join(part for part in (self.key[:4], self.key[4:6], self.key[6:]) if part)

    @property
    def index(self) -> int:
        """The number of the period; successive periods of a granularity have successive numbers."""
        first = self.first_day
        match self.granularity:
            case Granularity.DAY:
                return first.toordinal()
            case Granularity.MONTH:
                return first.year * MONTHS_PER_YEAR + first.month - 1
            case Granularity.QUARTER:
                return first.year * QUARTERS_PER_YEAR + (first.month - 1) // MONTHS_PER_QUARTER
            case Granularity.YEAR:
                return first.year

    def shift(self, count: int) -> Period:
        """Return the period ``count`` periods later (earlier when negative)."""
        return _at_index(self.index + count, self.granularity)

    def next(self) -> Period:
        """Return the period that follows this one."""
        return self.shift(1)

    def previous(self) -> Period:
        """Return the period before this one."""
        return self.shift(-1)


def register_granularity_name(name: str, granularity: Granularity) -> None:
    """Add another name of a granularity; it is accepted in any letter case."""
    _granularity_by_name[name.lower()] = granularity


def parse_granularity(text: object) -> Granularity:
    """Parse a granularity, by its own or a registered name in any letter case."""
    granularity = _granularity_by_name.get(text.lower()) if isinstance(text, str) else None
    if granularity is None:
        message = _("%(text)s is not a granularity: use one of %(names)s.")
        raise PeriodError(message % {"text": _shown(text), "names": list_text(Granularity)})
    return granularity


def parse_period(text: object, granularity: Granularity | None = None) -> Period:
    """Parse a period in its canonical or dashed form; the form determines the granularity.

    With ``granularity`` given, the form of any other granularity is an error.
    """
    form = _form_of(text)
    if not isinstance(text, str) or form is None:
        raise PeriodError(_unreadable(text, granularity))
    key = text.replace("-", "").upper()
    if not _is_canonical(key, form):
        raise PeriodError(_unreadable(text, granularity))
    if granularity is not None and form != granularity:
        message = _("%(text)s is a %(form)s, but a %(granularity)s is needed here: use %(examples)s.")
        facts = {"text": _shown(text), "form": form.label, "granularity": granularity.label}
        raise PeriodError(message % (facts | {"examples": _EXAMPLES[granularity]}))
    return Period(form, key)


def parse_bound(text: object, granularity: Granularity, *, is_end: bool) -> Period:
    """Parse one end of a range of ``granularity``.

    Besides the granularity's own forms, this accepts the first day of a period at the start of a range and
    the last day of a period at its end, as ranges are often written. Any other day is an error: the period
    around it would cover days outside the requested range.
    """
    if granularity == Granularity.DAY or _form_of(text) != Granularity.DAY:
        return parse_period(text, granularity)
    day = parse_period(text, Granularity.DAY).first_day
    period = period_of(day, granularity)
    wanted = period.last_day if is_end else period.first_day
    if day != wanted:
        message = (
            _("%(text)s is not the last day of a %(granularity)s: use %(period)s or %(wanted)s.")
            if is_end
            else _("%(text)s is not the first day of a %(granularity)s: use %(period)s or %(wanted)s.")
        )
        facts = {"text": _shown(text), "granularity": granularity.label, "period": period.dashed}
        raise PeriodError(message % (facts | {"wanted": wanted}))
    return period


def parse_range(
    start: object,
    end: object,
    granularity: Granularity | None = None,
    *,
    names: tuple[str, str] | None = None,
    limit: int | None = None,
) -> tuple[Period, Period]:
    """Parse the first and the last period of a range; ``names`` are the names of the two inputs.

    With ``granularity`` given, both may be written as :func:`parse_bound` accepts them. Otherwise the form of
    the start determines the granularity, and the end must have the same one.

    :raises PeriodError: for an invalid start or end, and as :func:`check_range` does.
    """

    def read(text: object, *, is_end: bool) -> Period:
        if granularity is None:
            return parse_period(text, _form_of(start))
        return parse_bound(text, granularity, is_end=is_end)

    first, last = _both(partial(read, start, is_end=False), partial(read, end, is_end=True), names)
    check_range(first, last, names=names, limit=limit)
    return first, last


def parse_days(start: object, end: object, *, names: tuple[str, str] | None = None) -> tuple[date, date]:
    """Parse the first and the last day of a range.

    A month, quarter or year stands for its first day at the start, and for its last day at the end.

    :raises PeriodError: for an invalid start or end; its ``fields`` name it if ``names`` are given.
    """
    first, last = _both(partial(parse_period, start), partial(parse_period, end), names)
    return first.first_day, last.last_day


def reversed_text(end_name: str) -> str:
    """Return what is said of the start of a range that is after its end, whose input has this name."""
    return _("Must not be after %(name)s.") % {"name": end_name}


def check_range(
    start: Period, end: Period, *, names: tuple[str, str] | None = None, limit: int | None = None
) -> None:
    """Refuse a range that is reversed or has more than ``limit`` periods.

    :raises PeriodError: its ``fields`` name the wrong input if ``names`` are given.
    """
    if names and start.granularity == end.granularity and end < start:
        message = reversed_text(names[1])
        raise PeriodError(message, fields=_fields(names, message, is_end=False))
    count = count_periods(start, end)
    if limit is not None and count > limit:
        message = _("The range has more than %(limit)d periods.") % {"limit": limit}
        raise PeriodError(message, fields=_fields(names, message, is_end=True))


def check_begun(period: Period, today: date, *, name: str | None = None) -> None:
    """Refuse a period that begins after ``today``: nothing is known of it yet.

    :raises PeriodError: its ``fields`` name the input if ``name`` is given.
    """
    current = period_of(today, period.granularity)
    if current < period:
        message = _("%(period)s has not begun: the current period is %(current)s.")
        message %= {"period": period.dashed, "current": current.dashed}
        raise PeriodError(message, fields={name: [message]} if name else None)


def _both(
    read_start: Callable[[], Period], read_end: Callable[[], Period], names: tuple[str, str] | None
) -> tuple[Period, Period]:
    """Read both ends of a range; the error tells what is wrong with each of them."""
    found, problems = [], {}
    for is_end, read in enumerate((read_start, read_end)):
        try:
            found.append(read())
        except PeriodError as error:
            problems[is_end] = error.message
    if problems:
        fields = {names[is_end]: [message] for is_end, message in problems.items()} if names else None
        raise PeriodError(clauses_text(problems.values()), fields=fields)
    return found[0], found[1]


def _fields(names: tuple[str, str] | None, message: str, *, is_end: bool) -> dict[str, list[str]] | None:
    return {names[is_end]: [message]} if names else None


def period_of(day: date, granularity: Granularity) -> Period:
    """Return the period of ``granularity`` that contains the calendar day."""
    # To Python a datetime is a date, but its day depends on the time zone: use market_clock.
    if isinstance(day, datetime):
        raise TypeError("a calendar day is needed, not a datetime")
    match granularity:
        case Granularity.DAY:
            key = f"{day.year:04}{day.month:02}{day.day:02}"
        case Granularity.MONTH:
            key = f"{day.year:04}{day.month:02}"
        case Granularity.QUARTER:
            key = f"{day.year:04}Q{(day.month - 1) // MONTHS_PER_QUARTER + 1}"
        case Granularity.YEAR:
            key = f"{day.year:04}"
    return Period(granularity, key)


def previous_closed_period(today: date, granularity: Granularity) -> Period:
    """Return the latest period that ended before ``today``: yesterday, last month and so on."""
    return period_of(today, granularity).previous()


def count_periods(start: Period, end: Period) -> int:
    """Count the periods from ``start`` to ``end``, both included, without building them."""
    if start.granularity != end.granularity:
        message = _(
            "The range starts with a %(first)s (%(start)s) and ends with a %(last)s (%(end)s): "
            "both must have the same granularity"
        )
        facts = {"first": start.granularity.label, "start": start.dashed}
        raise PeriodError(message % (facts | {"last": end.granularity.label, "end": end.dashed}))
    if end < start:
        message = _("The range starts at %(start)s, after its end %(end)s.")
        raise PeriodError(message % {"start": start.dashed, "end": end.dashed})
    return end.index - start.index + 1


def period_range(start: Period, end: Period) -> list[Period]:
    """List the periods from ``start`` to ``end``, both included."""
    first = start.index
    return [_at_index(first + offset, start.granularity) for offset in range(count_periods(start, end))]


def _form_of(text: object) -> Granularity | None:
    if not isinstance(text, str):
        return None
    return next((g for g, pattern in _INPUT_FORMS.items() if pattern.fullmatch(text)), None)


def _is_canonical(key: object, granularity: Granularity) -> bool:
    if not isinstance(key, str) or not _CANONICAL_FORMS[granularity].fullmatch(key):
        return False
    try:
        return MIN_YEAR <= _first_day(key, granularity).year <= MAX_YEAR
    except ValueError:  # the form is valid, but the calendar has no such month or day
        return False


def _first_day(key: str, granularity: Granularity) -> date:
    year = int(key[:4])
    match granularity:
        case Granularity.DAY:
            return date(year, int(key[4:6]), int(key[6:]))
        case Granularity.MONTH:
            return date(year, int(key[4:]), 1)
        case Granularity.QUARTER:
            return date(year, (int(key[5:]) - 1) * MONTHS_PER_QUARTER + 1, 1)
        case Granularity.YEAR:
            return date(year, 1, 1)


def _at_index(index: int, granularity: Granularity) -> Period:
    lowest = period_of(date(MIN_YEAR, 1, 1), granularity).index
    highest = period_of(date(MAX_YEAR, MONTHS_PER_YEAR, 31), granularity).index
    if not lowest <= index <= highest:
        message = _("The period lies outside the years %(first)d to %(last)d.")
        raise PeriodError(message % {"first": MIN_YEAR, "last": MAX_YEAR})
    match granularity:
        case Granularity.DAY:
            first = date(MIN_YEAR, 1, 1) + timedelta(days=index - lowest)
        case Granularity.MONTH:
            first = date(index // MONTHS_PER_YEAR, index % MONTHS_PER_YEAR + 1, 1)
        case Granularity.QUARTER:
            quarter = index % QUARTERS_PER_YEAR
            first = date(index // QUARTERS_PER_YEAR, quarter * MONTHS_PER_QUARTER + 1, 1)
        case Granularity.YEAR:
            first = date(index, 1, 1)
    return period_of(first, granularity)


def _unreadable(text: object, granularity: Granularity | None) -> str:
    if granularity is None:
        forms = clauses_text(labelled(one.label, example) for one, example in _EXAMPLES.items())
        message = _("%(text)s is not a period of the years %(first)d to %(last)d: use %(forms)s.")
        return message % {"text": _shown(text), "first": MIN_YEAR, "last": MAX_YEAR, "forms": forms}
    message = _("%(text)s is not a %(granularity)s of the years %(first)d to %(last)d: use %(examples)s.")
    facts = {"text": _shown(text), "granularity": granularity.label, "first": MIN_YEAR, "last": MAX_YEAR}
    return message % (facts | {"examples": _EXAMPLES[granularity]})


def _shown(value: object) -> str:
    """Return any value for use in a message: short, on one line and safe to encode."""
    if not isinstance(value, str):
        return _("A value of type %(name)s") % {"name": type(value).__name__}
    return quoted(value, limit=SHOWN_CHARACTERS)
