"""Cron expressions: their validation, and their description in words."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime

from croniter import croniter
from django.utils.dates import MONTHS, WEEKDAYS
from django.utils.text import capfirst
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from apps.core.errors import InvalidInput

MAX_LENGTH = 100
_ANY = "*"
_SOME_DAY = datetime(2024, 1, 1, tzinfo=UTC)
# The lowest and the highest number of each field (0 and 7 both mean Sunday), and the names of its numbers.
_FIELDS = tuple(zip((0, 0, 1, 1, 0), (59, 23, 31, 12, 7), croniter.ALPHACONV[:5], strict=True))
_VALUE, _STEP = "([0-9]+|[a-z]+)", "(?:/[0-9]+)?"
# The last day of a month; every value (*), one value or a range, with or without a step; the nth weekday.
_ITEM = re.compile(rf"l|\*{_STEP}|{_VALUE}(?:-{_VALUE})?{_STEP}|{_VALUE}#[0-9]+")


def parse_cron(text: str) -> str:
    """Return the expression with single spaces between its fields; the settings use this function, too.

    It accepts only syntax that every cron accepts. croniter alone would also accept reversed ranges, random
    times and a sixth field.

    :raises ValueError: when the text is not such an expression, or matches no date; the message does not
        contain the text.
    """
    expression = " ".join(text.split())
    try:
        for field, (low, high, names) in zip(expression.lower().split(), _FIELDS, strict=True):
            for item in field.split(","):
                _check_item(item, low, high, names)
        # As in cron: if the day or the weekday begins with "*", both must match; otherwise one of them is
        # enough.
        croniter(expression, _SOME_DAY, implement_cron_bug=True).get_next(datetime)
    except ValueError as error:
        raise ValueError("must be a cron expression of five fields that matches at least one date") from error
    return expression


def clean_cron(text: str) -> str:
    """Return a user's expression with single spaces between its fields.

    :raises InvalidInput: when it is too long to be stored, or ``parse_cron`` refuses it.
    """
    try:
        return parse_cron(text if len(text) <= MAX_LENGTH else "")
    except ValueError as error:
        message = _("Must be a cron expression of five fields that matches at least one date.")
        raise InvalidInput(_("The input is not valid."), fields={"cron": [message]}) from error


def describe_cron(expression: str) -> str:
    """Return the expression in words, such as "Every day at 02:00"; the times are in the market's zone."""
    try:
        minute, hour, day, month, weekday = expression.split()
    except ValueError:
        return expression
    interval = _interval(minute, hour)
    if interval and day == month == weekday == _ANY:
        return capfirst(interval)
    return " ".join(part for part in (_days(day, month, weekday), interval or _times(minute, hour)) if part)


def _check_item(item: str, low: int, high: int, names: Mapping[str, object]) -> None:
    found = _ITEM.fullmatch(item)
    if found is None:
        raise ValueError("not an item of a cron field")
    numbers = [low, *(int(str(names.get(text, text))) for text in found.groups() if text), high]
    if numbers != sorted(numbers):
        raise ValueError("out of bounds, or a reversed range")


def _interval(minute: str, hour: str) -> str:
    """Return the times in words if they repeat over the whole day, such as "every hour"; else ""."""
    if minute == _ANY and hour == _ANY:
        return _("every minute")
    if (step := _step(minute)) and hour == _ANY:
        return ngettext("every %(step)d minute", "every %(step)d minutes", step) % {"step": step}
    if minute.isdigit() and (hour == _ANY or _step(hour)):
        step = _step(hour) or 1
        every = ngettext("every hour", "every %(step)d hours", step) % {"step": step}
        past = _("%(minute)d minutes past the hour") % {"minute": int(minute)}
        return every if int(minute) == 0 else f"{every}, {past}"
    return ""


def _times(minute: str, hour: str) -> str:
    hours, minutes = _numbers(hour), _numbers(minute)
    if hours and minutes and len(hours) * len(minutes) <= len(WEEKDAYS):
        clock = ", ".join(f"{one:02d}:{other:02d}" for one in hours for other in minutes)
        return _("at %(times)s") % {"times": clock}
    return _("at minutes %(minutes)s of hours %(hours)s") % {"minutes": minute, "hours": hour}


def _days(day: str, month: str, weekday: str) -> str:
    parts = []
    if day == _ANY and weekday == _ANY:
        parts.append(_("Every day"))
    elif day != _ANY:
        parts.append(_("On day %(days)s of the month") % {"days": day.replace(",", ", ")})
    if weekday != _ANY:
        words = {"days": _named(weekday, _WEEKDAY_NAMES)}
        parts.append((_("or on %(days)s") if day != _ANY else _("On %(days)s")) % words)
    if month != _ANY:
        parts.append(_("in %(months)s") % {"months": _named(month, MONTHS)})
    return " ".join(parts)


def _step(field: str) -> int | None:
    start, slash, step = field.partition("/")
    return int(step) if slash and start in {_ANY, "0"} and step.isdigit() else None


def _numbers(field: str) -> list[int]:
    parts = field.split(",")
    return [int(part) for part in parts] if all(part.isdigit() for part in parts) else []


# Cron counts from Sunday, which is 0 and 7. Django counts from Monday, which is 0.
_WEEKDAY_NAMES = {number: WEEKDAYS[(number - 1) % 7] for number in range(8)}


def _named(field: str, names: Mapping[int, object]) -> str:
    numbers = _numbers(field)
    if not numbers or not all(number in names for number in numbers):
        return field
    return ", ".join(str(names[number]) for number in numbers)
