"""Cron expressions in words.

An expression is read into sets of numbers first, so that two expressions with the same meaning have the same
words. Every sentence is one text of the catalogue: the order of its parts differs between languages.
"""

from __future__ import annotations

import functools
import itertools
import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

from croniter import croniter
from django.utils.functional import Promise
from django.utils.text import capfirst
from django.utils.translation import pgettext, pgettext_lazy

# The lowest and the highest number of each field (0 and 7 both mean Sunday), and the names of its numbers.
FIELDS = tuple(zip((0, 0, 1, 1, 0), (59, 23, 31, 12, 7), croniter.ALPHACONV[:5], strict=True))

_MAX_TIMES = 7  # a longer list of times is described by its minutes and hours
_MIN_RUN = 3  # fewer successive numbers are listed one by one
_MAX_STEPS = 6  # more numbers with the same step are cut: 1, 3, 5, …, 31
_MIN_HOURS = 4  # fewer hours with the same step are listed one by one
_MINUTES, _HOURS, _DAYS, _MONTHS = range(60), range(24), range(1, 32), range(1, 13)
_WEEKDAYS = (1, 2, 3, 4, 5, 6, 0)  # a week begins on Monday
_SUNDAY = 7  # as 0

_ITEM = re.compile(r"(?P<first>\*|\w+)(?:-(?P<last>\w+))?(?:/(?P<step>\d+))?(?:#(?P<nth>\d+))?")

_MONTH_NAMES = {
    1: pgettext_lazy("cron", "January"),
    2: pgettext_lazy("cron", "February"),
    3: pgettext_lazy("cron", "March"),
    4: pgettext_lazy("cron", "April"),
    5: pgettext_lazy("cron", "May"),
    6: pgettext_lazy("cron", "June"),
    7: pgettext_lazy("cron", "July"),
    8: pgettext_lazy("cron", "August"),
    9: pgettext_lazy("cron", "September"),
    10: pgettext_lazy("cron", "October"),
    11: pgettext_lazy("cron", "November"),
    12: pgettext_lazy("cron", "December"),
}
_WEEKDAY_NAMES = {
    1: pgettext_lazy("cron", "Monday"),
    2: pgettext_lazy("cron", "Tuesday"),
    3: pgettext_lazy("cron", "Wednesday"),
    4: pgettext_lazy("cron", "Thursday"),
    5: pgettext_lazy("cron", "Friday"),
    6: pgettext_lazy("cron", "Saturday"),
    0: pgettext_lazy("cron", "Sunday"),
}
_ORDINALS = {
    1: pgettext_lazy("cron", "first"),
    2: pgettext_lazy("cron", "second"),
    3: pgettext_lazy("cron", "third"),
    4: pgettext_lazy("cron", "fourth"),
    5: pgettext_lazy("cron", "fifth"),
}


@dataclass(frozen=True, slots=True)
class _Field:
    """What a field matches: numbers, the last day of the month, the nth weekdays of the month."""

    numbers: frozenset[int]
    has_last_day: bool
    nths: tuple[tuple[int, int], ...]  # a weekday and its number within the month
    has_star: bool  # begins with "*", which decides between AND and OR of the day and the weekday


def words_of(expression: str) -> str:
    """Return a valid expression in words, such as "Every day at 02:00"."""
    texts = expression.lower().split()
    minute, hour, day, month, weekday = (_read(*each) for each in zip(texts, FIELDS, strict=True))
    months = "" if len(month.numbers) == len(_MONTHS) else _named(month.numbers, _MONTHS, _MONTH_NAMES)
    dates = _dates(day, weekday, months)
    minutes, hours = sorted(minute.numbers), sorted(hour.numbers)
    if interval := _interval_of_day(minutes, hours):
        words = pgettext("cron", "%(dates)s, %(interval)s") if dates else "%(interval)s"
        return capfirst(words % {"dates": dates, "interval": interval})
    dates = dates or pgettext("cron", "every day")
    if interval := _interval_of_hours(minutes, hours):
        return capfirst(pgettext("cron", "%(dates)s, %(interval)s") % {"dates": dates, "interval": interval})
    if len(minutes) * len(hours) <= _MAX_TIMES:
        times = _joined(_clock(hour, minute) for hour in hours for minute in minutes)
        return capfirst(pgettext("cron", "%(dates)s at %(times)s") % {"dates": dates, "times": times})
    facts = {"dates": dates, "minutes": _named(minutes, _MINUTES), "hours": _named(hours, _HOURS)}
    return capfirst(pgettext("cron", "%(dates)s at minutes %(minutes)s of hours %(hours)s") % facts)


def _read(text: str, bounds: tuple[int, int, Mapping[str, object]]) -> _Field:
    low, high, names = bounds
    numbers: set[int] = set()
    nths = []
    for item in text.split(","):
        if item == "l":
            continue
        found = _ITEM.fullmatch(item)
        if found is None:
            raise ValueError("not an item of a cron field")
        first, last, step, nth = found.groups()
        start = low if first == "*" else _number(first, names)
        if nth:
            nths.append((start % _SUNDAY, int(nth)))
            continue
        end = _number(last, names) if last else start
        if first == "*" or (step and not last):  # 5/20 is 5-59/20
            end = high - (high == _SUNDAY)
        numbers |= set(range(start, end + 1, int(step or 1)))
    if high == _SUNDAY:
        numbers = {number % _SUNDAY for number in numbers}
    return _Field(frozenset(numbers), "l" in text.split(","), tuple(nths), text.startswith("*"))


def _number(text: str, names: Mapping[str, object]) -> int:
    return int(str(names.get(text, text)))


# --- Dates ----------------------------------------------------------------------------------------


def _dates(day: _Field, weekday: _Field, months: str) -> str:
    """Return the dates in words; "" for every day.

    As in cron: if the day or the weekday begins with "*", both must match; otherwise one of them is enough.
    """
    every_day, every_weekday = len(day.numbers) == len(_DAYS), len(weekday.numbers) == len(_WEEKDAYS)
    needs_both = day.has_star or weekday.has_star
    if (every_day and every_weekday) or (not needs_both and (every_day or every_weekday)):
        return pgettext("cron", "every day in %(months)s") % {"months": months} if months else ""
    if every_day:
        return _any_of(_on_weekdays(weekday, months))
    if every_weekday:
        return _any_of(_on_days(day, months))
    if needs_both:
        words = {"dates": _any_of(_on_days(day, months)), "weekdays": _weekday_nouns(weekday)}
        return pgettext("cron", "%(dates)s, only on %(weekdays)s") % words
    return _any_of([*_on_days(day, months), *_on_weekdays(weekday, months)])


def _on_days(day: _Field, months: str) -> list[str]:
    phrases = []
    if day.numbers:
        text = (
            pgettext("cron", "on day %(days)s of the month in %(months)s")
            if months
            else pgettext("cron", "on day %(days)s of the month")
        )
        phrases.append(text % {"days": _named(day.numbers, _DAYS), "months": months})
    if day.has_last_day:
        text = (
            pgettext("cron", "on the last day of the month in %(months)s")
            if months
            else pgettext("cron", "on the last day of the month")
        )
        phrases.append(text % {"months": months} if months else text)
    return phrases


def _on_weekdays(weekday: _Field, months: str) -> list[str]:
    phrases = []
    if weekday.numbers:
        text = (
            pgettext("cron", "on %(weekdays)s in %(months)s")
            if months
            else pgettext("cron", "on %(weekdays)s")
        )
        phrases.append(text % {"weekdays": _plain_weekdays(weekday.numbers), "months": months})
    for number, nth in weekday.nths:
        text = (
            pgettext("cron", "on the %(nth)s %(weekday)s of the month in %(months)s")
            if months
            else pgettext("cron", "on the %(nth)s %(weekday)s of the month")
        )
        phrases.append(text % {"nth": _ORDINALS[nth], "weekday": _WEEKDAY_NAMES[number], "months": months})
    return phrases


def _weekday_nouns(weekday: _Field) -> str:
    nouns = [_plain_weekdays(weekday.numbers)] if weekday.numbers else []
    text = pgettext("cron", "the %(nth)s %(weekday)s of the month")
    nouns += [text % {"nth": _ORDINALS[nth], "weekday": _WEEKDAY_NAMES[one]} for one, nth in weekday.nths]
    return _joined(nouns)


def _plain_weekdays(numbers: Collection[int]) -> str:
    return _named(numbers, _WEEKDAYS, _WEEKDAY_NAMES)


# --- Times ----------------------------------------------------------------------------------------


def _interval_of_day(minutes: Sequence[int], hours: Sequence[int]) -> str:
    """Return in words how often the times repeat over the whole day; "" if they do not."""
    if len(hours) == len(_HOURS):
        if every_minutes := _every_minutes(minutes):
            return every_minutes
        return _past_the_hour(_every_hours(1), minutes)
    step = _step_of(hours)
    if len(minutes) == 1 and step and hours == list(range(0, len(_HOURS), step)) and len(_HOURS) % step == 0:
        return _past_the_hour(_every_hours(step), minutes)
    return ""


def _interval_of_hours(minutes: Sequence[int], hours: Sequence[int]) -> str:
    """Return in words how often the times repeat within some hours; "" if they are to be listed."""
    step = _step_of(hours)
    if len(minutes) == 1 and step and len(hours) >= _MIN_HOURS:
        interval = _every_hours(step)
    elif len(minutes) * len(hours) <= _MAX_TIMES or not (interval := _every_minutes(minutes)):
        return ""
    elif step != 1 and len(hours) > 1:
        words = {"interval": interval, "hours": _named(hours, _HOURS)}
        return pgettext("cron", "%(interval)s of hours %(hours)s") % words
    words = {"start": _clock(hours[0], minutes[0]), "end": _clock(hours[-1], minutes[-1])}
    return pgettext("cron", "%(interval)s from %(start)s to %(end)s") % (words | {"interval": interval})


def _every_minutes(minutes: Sequence[int]) -> str:
    """Return the interval of minutes that begin and end with an hour; "" for others."""
    step = _step_of(minutes)
    if not step or len(_MINUTES) % step or minutes != list(range(0, len(_MINUTES), step)):
        return ""
    if step == 1:
        return pgettext("cron", "every minute")
    return pgettext("cron", "every %(step)d minutes") % {"step": step}


def _every_hours(step: int) -> str:
    if step == 1:
        return pgettext("cron", "every hour")
    return pgettext("cron", "every %(step)d hours") % {"step": step}


def _past_the_hour(interval: str, minutes: Sequence[int]) -> str:
    if minutes == [0]:
        return interval
    words = {"interval": interval, "minutes": _named(minutes, _MINUTES)}
    if minutes == [1]:
        return pgettext("cron", "%(interval)s, 1 minute past the hour") % words
    return pgettext("cron", "%(interval)s, %(minutes)s minutes past the hour") % words


def _step_of(numbers: Sequence[int]) -> int | None:
    """Return the difference of successive numbers; None if it is not always the same."""
    differences = {after - before for before, after in itertools.pairwise(numbers)}
    return differences.pop() if len(differences) == 1 else None


def _clock(hour: int, minute: int) -> str:
    return f"{hour:02d}:{minute:02d}"


# --- Lists ----------------------------------------------------------------------------------------


def _named(numbers: Collection[int], order: Sequence[int], names: Mapping[int, Promise] | None = None) -> str:
    """Return numbers, or their names, as a list in the given order; successive ones become a range."""
    step = _step_of(sorted(numbers))
    if names is None and step not in (None, 1) and len(numbers) > _MAX_STEPS:
        first, second, third, *_others, last = sorted(numbers)
        return _joined([str(first), str(second), str(third), "…", str(last)])
    texts: list[str] = []
    # Successive numbers have the same distance from their own positions.
    found = enumerate(position for position, number in enumerate(order) if number in numbers)
    for _distance, group in itertools.groupby(found, lambda pair: pair[1] - pair[0]):
        run = [order[position] for _index, position in group]
        shown = [str(names[number]) if names else str(number) for number in run]
        if len(run) < _MIN_RUN:
            texts += shown
        else:
            texts.append(pgettext("cron", "%(first)s to %(last)s") % {"first": shown[0], "last": shown[-1]})
    return _joined(texts)


def _joined(texts: Iterable[str]) -> str:
    return functools.reduce(
        lambda one, other: pgettext("cron", "%(one)s, %(other)s") % {"one": one, "other": other}, texts
    )


def _any_of(phrases: Sequence[str]) -> str:
    return functools.reduce(
        lambda one, other: pgettext("cron", "%(one)s or %(other)s") % {"one": one, "other": other}, phrases
    )
