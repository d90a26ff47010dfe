"""The periods of a form: their native controls, and periods that were typed for another granularity.

The script ``periods.js`` follows the same rules when a person changes the granularity:

- In a longer granularity, a period becomes the one that contains it.
- In a shorter one, it becomes the newest complete period inside, or its first one if none is complete; the
  start of a range becomes the first one.
- A range that would be longer than the page shows keeps its end and gets the default length.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import date
from typing import Any

from django.utils.translation import gettext as _

from apps.core.errors import Faults
from apps.core.periods import (
    MIN_YEAR,
    QUARTERS_PER_YEAR,
    Granularity,
    Period,
    PeriodError,
    count_periods,
    parse_bound,
    parse_granularity,
    parse_period,
    period_of,
    previous_closed_period,
)

# How many periods a range has if its start is left blank.
DEFAULT_PERIODS = {Granularity.DAY: 30, Granularity.MONTH: 12, Granularity.QUARTER: 8, Granularity.YEAR: 5}
MAX_SHOWN_CHARACTERS = 40
_ORDER = tuple(Granularity)
_NATIVE = {Granularity.DAY: "date", Granularity.MONTH: "month"}
# For browsers that show a native control as a text field.
_PATTERNS = {Granularity.DAY: "[0-9]{4}-[0-9]{2}-[0-9]{2}", Granularity.MONTH: "[0-9]{4}-[0-9]{2}"}


def converted(period: Period, granularity: Granularity, *, today: date, is_start: bool = False) -> Period:
    """Return the period of another granularity that stands for this one; the module says which."""
    if granularity == period.granularity:
        return period
    first = period_of(period.first_day, granularity)
    if is_start or _ORDER.index(granularity) > _ORDER.index(period.granularity):
        return first
    closed = previous_closed_period(today, granularity)
    return first if closed < first else min(period_of(period.last_day, granularity), closed)


def read_period(
    text: str, granularity: Granularity, *, today: date, is_start: bool = False, is_end: bool = False
) -> tuple[Period, str]:
    """Read a period in any granularity: returns it converted, and what was converted, in words.

    The words are empty if nothing was. The ends of a range may be days, as :func:`parse_bound` accepts them.

    :raises PeriodError: when the text is no period.
    """
    if is_start or is_end:
        try:
            return parse_bound(text, granularity, is_end=is_end), ""
        except PeriodError:
            pass  # it may be a period of another granularity
    typed = _other(text, granularity)
    found = converted(typed, granularity, today=today, is_start=is_start)
    return found, "" if found == typed else _said(typed, found)


def _other(text: str, granularity: Granularity) -> Period:
    """Return the period of another granularity.

    :raises PeriodError: which asks for one of the wanted granularity when the text is no period at all.
    """
    try:
        return parse_period(text)
    except PeriodError:
        return parse_period(text, granularity)


def _said(typed: Period, found: Period) -> str:
    text = _("%(typed)s is a %(granularity)s. The figures shown are those of %(period)s.")
    names = {"typed": typed.dashed, "granularity": typed.granularity.label, "period": found.dashed}
    return text % names


def converted_range(
    texts: Mapping[str, str], granularity: Granularity, *, today: date
) -> tuple[dict[str, str], tuple[str, ...]]:
    """Return the texts ``from`` and ``to`` of a range in this granularity, and what was converted, in words.

    A blank one, and one that is no period, stays as it is.
    """
    found = dict(texts)
    notes: list[str] = []
    for name in ("from", "to"):
        with suppress(PeriodError):
            is_start = name == "from"
            period, note = read_period(
                texts[name], granularity, today=today, is_start=is_start, is_end=not is_start
            )
            found[name] = period.key
            notes.append(note)
    return found, tuple(dict.fromkeys(filter(None, notes)))


def read_granularity(text: str, periods: Mapping[str, str], faults: Faults) -> Granularity:
    """Read the granularity; if that fails, note which of the periods is one of no granularity at all.

    :raises PeriodError: when there is no such granularity.
    """
    try:
        return parse_granularity(text)
    except PeriodError:
        for name, typed in periods.items():
            with faults.of(name):
                if typed:
                    parse_period(typed)
        raise


def shortened(start: Period, end: Period, *, limit: int) -> Period:
    """Return the start of a converted range; a range of too many periods gets the default length."""
    if end < start or count_periods(start, end) <= limit:
        return start
    return default_start(end)


def default_start(end: Period) -> Period:
    """Return the start of a range that is not given.

    :raises PeriodError: when it would be before the first year.
    """
    return end.shift(1 - DEFAULT_PERIODS[end.granularity])


@dataclass(frozen=True, slots=True)
class PeriodControl:
    """The control of one period: a native input, a select, or a text field for what was typed wrongly.

    ``form`` is the id of its form if that is elsewhere on the page.
    """

    name: str
    label: str
    kind: str  # date, month, select or text
    value: str
    fault: str = ""
    blank: str = ""  # what a blank value stands for, in words
    pattern: str = ""
    newest: str = ""  # the newest period that has begun
    years: tuple[tuple[str, tuple[str, ...]], ...] = ()
    form: str = ""

    @property
    def id(self) -> str:
        """The id of the element."""
        return f"{self.form or 'period'}-{self.name}"

    @property
    def fault_id(self) -> str:
        """The last part of the id of its fault."""
        return f"{self.form}-{self.name}" if self.form else self.name


def control_of(
    name: str, label: str, text: str, granularity: Granularity, *, today: date, blank: str, fault: str = ""
) -> PeriodControl:
    """Return the control for a period of this granularity that shows what was typed, right or wrong."""
    value, is_readable = _shown(text, granularity)
    newest = period_of(today, granularity)
    if not is_readable:
        return PeriodControl(name, label, "text", value, fault, blank, newest=newest.dashed)
    return PeriodControl(
        name,
        label,
        _NATIVE.get(granularity, "select"),
        value,
        fault,
        blank,
        pattern=_PATTERNS.get(granularity, ""),
        newest=newest.dashed,
        years=tuple(_years(newest, value)) if granularity not in _NATIVE else (),
    )


def _shown(text: str, granularity: Granularity) -> tuple[str, bool]:
    if not text:
        return "", True
    try:
        return parse_period(text, granularity).dashed, True
    except PeriodError:
        return text[:MAX_SHOWN_CHARACTERS], False


def _years(newest: Period, value: str) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Yield the years of a select with their periods, newest first; a later value is among them."""
    last = max(newest, parse_period(value)) if value else newest
    for year in range(last.first_day.year, MIN_YEAR - 1, -1):
        if last.granularity is Granularity.YEAR:
            yield f"{year}", (f"{year}",)
            continue
        quarters = [f"{year}-Q{quarter}" for quarter in range(QUARTERS_PER_YEAR, 0, -1)]
        yield f"{year}", tuple(one for one in quarters if parse_period(one) <= last)


def script_facts(today: date, *, limits: Mapping[Granularity, int] | None = None) -> dict[str, Any]:
    """Return what ``periods.js`` needs: the day, the first year, the lengths of ranges and their limits."""
    return {
        "today": f"{today:%Y-%m-%d}",
        "firstYear": MIN_YEAR,
        "lengths": {one.value: count for one, count in DEFAULT_PERIODS.items()},
        "limits": {one.value: count for one, count in (limits or {}).items()},
    }
